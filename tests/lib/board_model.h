/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model of a device as the board of a simulated Mac (sim/macos/board.h), with memory of its own.
 *
 * The model is not thread-safe and calls hooks from inside; here is the lock around it. Hooks take
 * note: frames it transmits are copied into a queue, interrupts wait to be fetched.
 */
#ifndef TESTS_LIB_BOARD_MODEL_H
#define TESTS_LIB_BOARD_MODEL_H

#include <pthread.h>
#include "model/model.h"
#include "sim/macos/board.h"

#define BOARD_MODEL_RAM	   (64u << 20)
#define BOARD_MODEL_FIRST  0x10000u /* below it, nothing */
#define BOARD_MODEL_FRAMES 256u	    /* transmitted, not yet taken: more are dropped */

struct board_frame {
	struct model_hdr hdr;
	uint8_t *data; /* owned by the queue, or by who took it */
	uint32_t len;
	struct board_frame *next;
};

struct board_model {
	struct model *model;
	uint8_t *ram;
	size_t ram_len;

	pthread_mutex_t lock; /* the model and all below */
	pthread_cond_t changed;
	uint64_t fired; /* vectors */
	bool line;	/* INTx */
	unsigned mode;	/* what is on: 0, 1 INTx, 2 MSI-X */
	unsigned entries;
	struct board_frame *first, *last;
	unsigned frames;
	uint64_t dropped, sent; /* frames: for want of room in the queue, in all */
	uint64_t complaints;	/* of the norm monitor */
	char complaint[160];	/* the first one */
	struct model_options opts;
};

/* Immediate mode, frames gathered, monitor on: what board_model_open wants by default. */
void board_model_defaults(struct model_options *opts);
/*
 * opts as for model_create. In deferred mode somebody has to call board_model_poll. False: no
 * memory, or options that make no device.
 */
bool board_model_open(struct board_model *b, const struct model_options *opts);
/*
 * Its power goes off and on again: a new device of the same options, which remembers nothing. What
 * is counted goes on; memory stays. False: no memory, and it is the old one.
 */
bool board_model_power_cycle(struct board_model *b);
/* After the Mac was switched off. */
void board_model_close(struct board_model *b);

struct sim_ram board_model_ram(const struct board_model *b);
extern const struct sim_pci_ops board_model_ops; /* fn: struct board_model */

/* A frame for the driver; hdr may be NULL. `raw`: past filter and checks. */
enum model_rx_result board_model_send(struct board_model *b, const struct model_hdr *hdr,
				      const void *frame, size_t len, bool raw);
/*
 * The oldest frame the driver has transmitted, waiting up to timeout_us. False: none. Free
 * out->data.
 */
bool board_model_take(struct board_model *b, struct board_frame *out, uint32_t timeout_us);
bool board_model_poll(struct board_model *b);

/* The model under the lock, for all else: links, hostile mode, holding queues, looking inside. */
struct model *board_model_lock(struct board_model *b);
void board_model_unlock(struct board_model *b);

#endif
