/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/viorun/results.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool json_sink_fail(struct json_sink *sink, const char *path)
{
	(void)snprintf(sink->err, sizeof(sink->err), "--json: cannot write %.150s: %s", path,
		       strerror(errno));
	return false;
}

bool json_sink_open(struct json_sink *sink, const char *path)
{
	struct stat st;
	bool special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);

	*sink = (struct json_sink){.path = path};
	if (!strcmp(path, "-")) {
		sink->file = stdout;
		return true;
	}
	if (special) { /* a directory fails here, a pipe or a device must not be replaced */
		sink->file = fopen(path, "we");
		return sink->file || json_sink_fail(sink, path);
	}
	if (snprintf(sink->temp, sizeof(sink->temp), "%s.%ld.tmp", path, (long)getpid()) >=
	    (int)sizeof(sink->temp)) {
		sink->temp[0] = '\0';
		errno = ENAMETOOLONG;
		return json_sink_fail(sink, path);
	}
	sink->file = fopen(sink->temp, "wxe");
	if (!sink->file) {
		sink->temp[0] = '\0';
		return json_sink_fail(sink, path);
	}
	return true;
}

static json_t *json_sink_addr(const uint8_t a[4])
{
	return json_sprintf("%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
}

static json_t *json_sink_features(uint64_t bits)
{
	json_t *names = json_array();
	char buf[OPTIONS_FEATURE_LEN];

	for (unsigned bit = 0; bit < 64; bit++) {
		const char *name = bits >> bit & 1 ? options_feature_name(bit, buf) : NULL;

		if (name)
			json_array_append_new(names, json_string(name));
		else if (bits >> bit & 1)
			json_array_append_new(names, json_sprintf("bit%u", bit));
	}
	return names;
}

static json_t *json_sink_lease(const struct dhcp_lease *l)
{
	json_t *dns = json_array();

	for (unsigned i = 0; i < l->ndns; i++)
		json_array_append_new(dns, json_sink_addr(l->dns[i]));
	return json_pack("{so so so so}", "address", json_sink_addr(l->address), "router",
			 json_sink_addr(l->router), "netmask", json_sink_addr(l->netmask), "dns",
			 dns);
}

static json_t *json_sink_transfer(const struct transfer *t, const struct vio_net_stats *s)
{
	return json_pack("{sI sf sf sb sf sf}", "bytes", (json_int_t)t->done, "seconds", t->seconds,
			 "mbit_s", t->mbit_s, "verified", (int)t->verified, "kicks_per_packet",
			 results_kicks(s), "interrupts_per_packet", results_irqs(s));
}

static json_t *json_sink_queue(const struct vio_net_queue_stats *q)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{"packets", q->packets}, {"bytes", q->bytes},	{"buffers", q->buffers},
		{"kicks", q->kicks},	 {"irqs", q->irqs},	{"gso", q->gso},
		{"csum", q->csum},	 {"full", q->full},	{"errors", q->errors},
		{"dropped", q->dropped}, {"merged", q->merged},
	};
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_set_new(o, all[i].name, json_integer((json_int_t)all[i].value));
	return o;
}

static json_t *json_sink_kexts(const struct results *r)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < r->n_kexts; i++) {
		const struct results_kext *k = &r->kexts[i];

		json_array_append_new(all, json_pack("{ss ss ss ss}", "name", k->name, "identifier",
						     k->identifier, "version", k->version, "sha256",
						     k->sha256));
	}
	return all;
}

/* What only the simulated kernel can tell. */
static void json_sink_mac(json_t *o, const struct results *r)
{
	const struct results_mac *m = &r->mac;

	json_object_set_new(o, "release", json_sprintf("10.%u", r->o->release));
	json_object_set_new(o, "interface",
			    json_pack("{ss ss sI sI sI sI sI sI si si}", "name", m->interface,
				      "media", m->media, "tso", (json_int_t)m->tx_tso, "checksums",
				      (json_int_t)m->tx_csum, "vouched", (json_int_t)m->rx_good,
				      "large", (json_int_t)m->rx_large, "tx_dropped",
				      (json_int_t)m->tx_dropped, "rx_dropped",
				      (json_int_t)m->rx_dropped, "link_ups", (int)m->link_ons,
				      "link_downs", (int)m->link_offs));
	json_object_set_new(o, "kernel_leaks", json_integer(m->leaks));
}

json_t *json_sink_results(const struct results *r)
{
	const struct vio_net_stats *s = &r->stats;
	json_t *o = json_object();

	json_object_set_new(o, "driver", json_string(r->driver));
	json_object_set_new(o, "transport", json_string(r->info.transport));
	json_object_set_new(o, "device", json_string(options_transport_name(r->o->transport)));
	json_object_set_new(o, "machine", json_string(options_machine_name(r->o->machine)));
	json_object_set_new(o, "qemu", json_string(r->qemu_version));
	json_object_set_new(o, "net", json_string(options_net_name(r->o->net)));
	json_object_set_new(o, "irq", json_string(options_irq_name(r->o->irq)));
	json_object_set_new(o, "features", json_sink_features(r->info.features));
	json_object_set_new(o, "offered", json_sink_features(r->info.offered));
	json_object_set_new(o, "queues",
			    json_pack("{si si si}", "rx", r->info.rx_size, "tx", r->info.tx_size,
				      "ctrl", r->info.ctrl_size));
	json_object_set_new(o, "link", json_boolean(r->link.up));
	json_object_set_new(o, "lease", json_sink_lease(&r->lease));
	json_object_set_new(o, "ping_us", json_integer(results_ping_us(r)));
	json_object_set_new(o, "ping_large_us", json_integer(r->ping_large_us));
	json_object_set_new(o, "download", json_sink_transfer(&r->download, &r->download_stats));
	json_object_set_new(o, "upload", json_sink_transfer(&r->upload, &r->upload_stats));
	json_object_set_new(
		o, "counters",
		json_pack("{so so}", "rx", json_sink_queue(&s->rx), "tx", json_sink_queue(&s->tx)));
	json_object_set_new(o, "kicks_per_packet", json_real(results_kicks(s)));
	json_object_set_new(o, "interrupts_per_packet", json_real(results_irqs(s)));
	json_object_set_new(o, "leaks",
			    json_pack("{si sI sI}", "buffers", (int)r->leak_buffers, "dma_bytes",
				      (json_int_t)r->leaks.dma_bytes, "private_bytes",
				      (json_int_t)r->leaks.private_bytes));
	json_object_set_new(o, "link_toggled", json_boolean(r->link_toggled));
	json_object_set_new(o, "kexts", json_sink_kexts(r));
	if (r->n_kexts)
		json_sink_mac(o, r);
	json_object_set_new(o, "seconds", json_real(r->seconds));
	return o;
}

/* Written, flushed and closed; the file is gone from the sink whatever the result. */
static bool json_sink_put(struct json_sink *sink, const json_t *o)
{
	FILE *file = sink->file;
	bool ok = json_dumpf(o, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 &&
		  fputc('\n', file) != EOF && fflush(file) == 0;

	sink->file = NULL;
	if (file != stdout && fclose(file) != 0)
		ok = false;
	return ok;
}

bool json_sink_write(struct json_sink *sink, const struct results *r)
{
	json_t *o = json_sink_results(r);
	bool ok = json_sink_put(sink, o);

	json_decref(o);
	if (ok && sink->temp[0])
		ok = rename(sink->temp, sink->path) == 0;
	if (!ok)
		(void)json_sink_fail(sink, sink->path);
	else
		sink->temp[0] = '\0';
	return ok;
}

void json_sink_discard(struct json_sink *sink)
{
	if (sink->file && sink->file != stdout)
		(void)fclose(sink->file);
	sink->file = NULL;
	if (sink->temp[0])
		(void)unlink(sink->temp);
	sink->temp[0] = '\0';
}
