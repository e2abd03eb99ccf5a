/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device configuration (2.5): the one place where it is read.
 *
 * A device may change its configuration at any moment, also between two fields of one read. With a
 * generation counter a snapshot counts if the generation was the same before and after (CF-2);
 * without one, if two reads in a row agree (LG-6). A device whose configuration never holds still
 * is broken: the number of attempts is ours (H-9, H-15).
 */
#include "vio/device.h"

#define CONFIG_ATTEMPTS	  16
#define CONFIG_MAX_VALUES 16u /* of one snapshot */

static int config_read_once(struct vio_device *dev, const struct vio_config_field *fields,
			    unsigned nfields, uint32_t *vals, unsigned *nvals)
{
	struct vio_transport *t = dev->t;
	unsigned n = 0;

	for (unsigned f = 0; f < nfields; f++) {
		for (unsigned i = 0; i < fields[f].count; i++) {
			uint32_t off = fields[f].off + (uint32_t)fields[f].width * i;
			int err;

			if (n == CONFIG_MAX_VALUES)
				return VIO_EINVAL;
			err = t->ops->config_read(t, off, fields[f].width, &vals[n++]);
			if (err)
				return err;
		}
	}
	*nvals = n;
	return VIO_OK;
}

int vio_config_read(struct vio_device *dev, const struct vio_config_field *fields, unsigned nfields,
		    uint32_t *vals)
{
	struct vio_transport *t = dev->t;
	uint32_t now[CONFIG_MAX_VALUES], last[CONFIG_MAX_VALUES];
	unsigned n = 0;

	for (int attempt = 0; attempt < CONFIG_ATTEMPTS; attempt++) {
		uint8_t before = t->ops->generation(t);
		int err = config_read_once(dev, fields, nfields, now, &n);
		bool good;

		if (err)
			return err;
		if (t->has_generation)
			good = t->ops->generation(t) == before;
		else
			good = attempt > 0 && !__builtin_memcmp(now, last, n * sizeof(now[0]));
		if (good) {
			__builtin_memcpy(vals, now, n * sizeof(now[0]));
			return VIO_OK;
		}
		__builtin_memcpy(last, now, n * sizeof(now[0]));
	}
	vio_device_break(dev, "configuration never consistent");
	return VIO_EBROKEN;
}
