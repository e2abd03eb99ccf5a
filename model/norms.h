/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules a driver must keep, as a table: the norm ids that comments, tests and the conformance
 * report use. Wording is ours; the rule itself stands in the specification (1.4), in the section
 * each group names. Strength: M must, X must not, S should, N should not.
 *
 * The last column says why this model cannot judge a rule by itself; NULL where it can. INSIDE
 * rules show only in what the driver makes of what it got: tests that check it report through
 * model_attest. NEVER rules belong to a feature this model does not implement: it may be offered to
 * tempt a driver, and accepting it is a violation of FB-4.
 */
#ifndef MODEL_NORMS_H
#define MODEL_NORMS_H

#define NORM_INSIDE	 "inside the driver: attested by tests"
#define NORM_NEVER(what) what " is not implemented: never accepted (FB-4)"
#define NORM_BARRIER	 "barriers do not show in one thread: ring soak and explorer"
#define NORM_ENDIAN	 "needs a big-endian build to tell; counted as used"

/* clang-format off */
#define NORMS(X)										\
	/* Device status (2.1) */								\
	X(ST, 1, 'M', "status bits are set one by one as the init steps are really done", NULL)	\
	X(ST, 2, 'X', "a set status bit is never cleared (only a full reset zeroes them)", NULL) \
	X(ST, 3, 'M', "after FAILED, reset before trying again", NULL)				\
	X(ST, 4, 'N',										\
	  "once NEEDS_RESET shows, do not count on anything in flight finishing", NORM_INSIDE)	\
	/* Feature bits (2.2) */								\
	X(FB, 1, 'X', "accept nothing that was not offered", NULL)				\
	X(FB, 2, 'X', "accept nothing whose prerequisite is not accepted", NULL)		\
	X(FB, 3, 'M', "check the offered set for sanity", NULL)					\
	X(FB, 4, 'M',										\
	  "ignore and never accept unknown, reserved, wrong-transport or wrong-device bits", NULL) \
	X(FB, 5, 'S', "fall back to an older mode when a wanted bit is missing", NULL)		\
	X(FB, 6, 'M', "otherwise FAILED and stop", NULL)					\
	X(FB, 7, 'X', "an unknown offered bit alone is no reason to fail", NULL)		\
	/* Reset (2.4) */									\
	X(RS, 1, 'S', "reset is over only when status reads 0", NULL)				\
	/* Device configuration (2.5) */							\
	X(CF, 1, 'X', "wide or multi-field reads are not atomic; never assume it", NORM_INSIDE)	\
	X(CF, 2, 'S', "read under the generation loop", NULL)					\
	X(CF, 3, 'M', "look at an optional field only if its feature was offered", NULL)	\
	X(CF, 4, 'X', "never require an exact config or struct size", NULL)			\
	X(CF, 5, 'S', "require only 'large enough'", NULL)					\
	/* Virtqueue reset (2.6) */								\
	X(QR, 1, 'M',										\
	  "confirm that the queue really was reset", "only with RING_RESET accepted")		\
	X(QR, 2, 'M',										\
	  "re-enabling repeats the whole queue set-up", "only with RING_RESET accepted")	\
	/* Initialisation (3.1) */								\
	X(IN, 1, 'M',										\
	  "reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, re-read, set-up, " \
	  "DRIVER_OK, in order", NULL) \
	X(IN, 2, 'X', "no config writes before features are settled", NULL)			\
	X(IN, 3, 'X', "no new feature bits after FEATURES_OK", NULL)				\
	X(IN, 4, 'M',										\
	  "re-read FEATURES_OK (part of IN-1; has its own id because real drivers forget it)", \
	  NULL) \
	X(IN, 5, 'S', "FAILED on a step that cannot be saved", NULL)				\
	X(IN, 6, 'X', "do not go on after that", NULL)						\
	X(IN, 7, 'X', "no available-buffer notification before DRIVER_OK", NULL)		\
	/* Cleanup (3.3) */									\
	X(CL, 1, 'X', "entries of exposed buffers on a live queue are not touched", NULL)	\
	X(CL, 2, 'M',										\
	  "queue must not be live (reset) before exposed buffers are taken back", NULL)		\
	/* Suspend (1.4) */									\
	X(SU, 1, 'N', "SUSPEND only if negotiated and DRIVER_OK is set", NORM_NEVER("SUSPEND"))	\
	X(SU, 2, 'M', \
	  "re-read to see SUSPEND=1 and DRIVER_OK=0", \
	  NORM_NEVER("SUSPEND")) \
	X(SU, 3, 'X', "no new buffers while suspended", NORM_NEVER("SUSPEND"))			\
	X(SU, 4, 'X', \
	  "no notifications while suspended", \
	  NORM_NEVER("SUSPEND")) \
	X(SU, 5, 'X', "no config writes except status", NORM_NEVER("SUSPEND"))			\
	X(SU, 6, 'M', \
	  "on resume wait for SUSPEND=0 and DRIVER_OK=1", \
	  NORM_NEVER("SUSPEND")) \
	/* Reserved feature bits (6) */								\
	X(RF, 1, 'M', "take VERSION_1 if offered", NULL)					\
	X(RF, 2, 'S', "take ACCESS_PLATFORM if offered", NULL)					\
	X(RF, 3, 'M',										\
	  "and then give addresses the platform's IOMMU understands (or switch it off)", NULL)	\
	X(RF, 4, 'M', "without it, give physical addresses only", NULL)				\
	X(RF, 5, 'S', "take RING_PACKED if offered", NORM_NEVER("RING_PACKED"))			\
	X(RF, 6, 'S', "take ORDER_PLATFORM if offered", NULL)					\
	X(RF, 7, 'M', \
	  "with it, use barriers fit for real hardware", \
	  NORM_BARRIER) \
	X(RF, 8, 'X', "SR_IOV only on PCI with that capability", NORM_NEVER("SR_IOV"))		\
	X(RF, 9, 'M', \
	  "SR_IOV settled before VFs are enabled", \
	  NORM_NEVER("SR_IOV")) \
	X(RF, 10, 'S', \
	  "take NOTIF_CONFIG_DATA if offered", \
	  NORM_NEVER("NOTIF_CONFIG_DATA")) \
	/* Split virtqueue (2.7) */								\
	X(SQ, 1, 'M', "table on 16, available on 2, used on 4 bytes", NULL)			\
	X(SQ, 2, 'M', "writable elements after readable ones", NULL)				\
	X(SQ, 3, 'N', "no absurd number of descriptors", NULL)					\
	X(SQ, 4, 'X', "chain total at most 2^32 bytes, hence no loops", NULL)			\
	X(SQ, 5, 'M', "IN_ORDER: next is x+1, and 0 for the last slot", NORM_NEVER("IN_ORDER"))	\
	X(SQ, 6, 'X', "INDIRECT only if negotiated", NULL)					\
	X(SQ, 7, 'X', "no indirect inside indirect", NULL)					\
	X(SQ, 8, 'X', "chain no longer than the queue", NULL)					\
	X(SQ, 9, 'X', "INDIRECT and NEXT never together", NULL)					\
	X(SQ, 10, 'M', \
	  "IN_ORDER: indirect entries in sequence", \
	  NORM_NEVER("IN_ORDER")) \
	X(SQ, 11, 'X', "available index never goes back", NULL)					\
	X(SQ, 12, 'M', "no EVENT_IDX: flags is 0 or 1", NULL)					\
	X(SQ, 13, 'M', "EVENT_IDX: flags is 0", NULL)						\
	X(SQ, 14, 'M', "survive spurious notifications", NORM_INSIDE)				\
	X(SQ, 15, 'X', "believe nothing past the first len bytes", NORM_INSIDE)			\
	X(SQ, 16, 'S', "and ignore those bytes", NORM_INSIDE)					\
	X(SQ, 17, 'M', "used flags zeroed when the ring is allocated", NULL)			\
	X(SQ, 18, 'M', "no EVENT_IDX: avail_event ignored", NULL)				\
	X(SQ, 19, 'N', "no notification when used flags is 1", NULL)				\
	X(SQ, 20, 'M', "notification when used flags is 0", NULL)				\
	X(SQ, 21, 'M', "EVENT_IDX: low bit of used flags ignored", NULL)			\
	X(SQ, 22, 'M', "EVENT_IDX: notify when the slot written equals avail_event", NULL)	\
	X(SQ, 23, 'N', "EVENT_IDX: otherwise do not", NULL)					\
	X(SQ, 24, 'M', "barrier before the index is published", NORM_BARRIER)			\
	X(SQ, 25, 'M', \
	  "barrier before flags or avail_event is read", \
	  NORM_BARRIER) \
	/* PCI: discovery (4.1.2) */								\
	X(PD, 1, 'M', "match vendor 1AF4, ids 1040-107F", NULL)					\
	X(PD, 2, 'M', "and the transitional id for the types that have one", NULL)		\
	X(PD, 3, 'M', "any revision", NULL)							\
	/* PCI: access (4.1.3) */								\
	X(PL, 1, 'M',										\
	  "access width equals field width; 64-bit fields as two 32-bit halves", NULL)		\
	/* PCI: capabilities (4.1.4) */								\
	X(PC, 1, 'M', "skip reserved cfg_type", NULL)						\
	X(PC, 2, 'S', "use the first usable instance of each type", NULL)			\
	X(PC, 3, 'M', "accept a longer cap_len", NULL)						\
	X(PC, 4, 'M', "skip reserved BAR numbers", NULL)					\
	X(PC, 5, 'S',										\
	  "map only what is needed", "mapping is the port's: the bus contract opens whole BARs") \
	X(PC, 6, 'M', "survive a surprisingly large length", NULL)				\
	X(PC, 7, 'X', "write no capability field, except in the PCI_CFG one", NULL)		\
	/* PCI: common structure (4.1.4.3) */							\
	X(PM, 1, 'X',										\
	  "read-only fields are not written (device_feature, num_queues, " \
	  "config_generation, queue_notify_off, queue_notif_config_data)", NULL) \
	X(PM, 2, 'X', "packed: queue_size 0 is not written", NORM_NEVER("RING_PACKED"))		\
	X(PM, 3, 'X', "split: only powers of two", NULL)					\
	X(PM, 4, 'M', "all queue fields before queue_enable", NULL)				\
	X(PM, 5, 'M', "after writing status 0, wait to read 0 before re-init", NULL)		\
	X(PM, 6, 'X', "0 is never written to queue_enable", NULL)				\
	X(PM, 7, 'X',										\
	  "queue reset is not complete until queue_reset reads 0", \
	  "only with RING_RESET accepted") \
	X(PM, 8, 'M',										\
	  "administration queues only in the advertised index range", NORM_NEVER("ADMIN_VQ"))	\
	/* PCI: ISR (4.1.4.5) */								\
	X(PI, 1, 'N', "with MSI-X, leave ISR alone on a queue interrupt", NULL)			\
	/* PCI: vendor capability */								\
	X(PV, 1, 'N', "vendor capability only for debugging", NULL)				\
	X(PV, 2, 'M',										\
	  "check vendor_id before using it", "the driver has no use for vendor capabilities")	\
	/* PCI: access window (4.1.4.9) */							\
	X(PG, 1, 'X', "offset is a multiple of length in the access window", NULL)		\
	X(PG, 2, 'X', "window used only inside a range some other capability names", NULL)	\
	/* PCI: MSI-X (4.1.5.1) */								\
	X(PX, 1, 'M', "any table size from 0 to 0x7FF", NULL)					\
	X(PX, 2, 'X', "no vector beyond the table", NULL)					\
	X(PX, 3, 'M', "read the vector back; NO_VECTOR means it failed", NULL)			\
	/* PCI: notifications (4.1.5.2) */							\
	X(PN, 1, 'M', "16-bit write without NOTIFICATION_DATA", NULL)				\
	X(PN, 2, 'M', "32-bit write with it", "only with NOTIFICATION_DATA accepted")		\
	X(PN, 3, 'M', "plain value is the queue index", NULL)					\
	X(PN, 4, 'M',										\
	  "in the 32-bit form the vq field is the queue index", \
	  "only with NOTIFICATION_DATA accepted") \
	X(PN, 5, 'M',										\
	  "with NOTIF_CONFIG_DATA the value is the one the device gave", \
	  NORM_NEVER("NOTIF_CONFIG_DATA")) \
	X(PN, 6, 'M', \
	  "the same inside the 32-bit form", \
	  NORM_NEVER("NOTIF_CONFIG_DATA")) \
	/* PCI: configuration change */								\
	X(PS, 1, 'M', "one interrupt may mean both config change and used buffers", NULL)	\
	/* Network: configuration (5.1.4) */							\
	X(NC, 1, 'X', "config is never written (modern)", NULL)					\
	X(NC, 2, 'S', "take MAC", NULL)								\
	X(NC, 3, 'M', "and use that address", NULL)						\
	X(NC, 4, 'S', "otherwise make a locally administered one", NULL)			\
	X(NC, 5, 'S', "no STATUS: assume link up", NULL)					\
	X(NC, 6, 'S', \
	  "STATUS: bottom bit is the link", \
	  NORM_INSIDE) \
	X(NC, 7, 'S', "take MTU", NULL)								\
	X(NC, 8, 'M', "receive buffers fit one MTU packet", NULL)				\
	X(NC, 9, 'X', "send nothing above MTU without GSO", NULL)				\
	X(NC, 10, 'S', "take STANDBY", NORM_NEVER("STANDBY"))					\
	X(NC, 11, 'M', \
	  "speed above 0x7fffffff or odd duplex is 'unknown'", \
	  NORM_INSIDE) \
	X(NC, 12, 'S', "re-read them on config change", NULL)					\
	X(NC, 13, 'N', \
	  "HASH_REPORT without CTRL_VQ", \
	  NORM_NEVER("HASH_REPORT")) \
	X(NC, 14, 'N', "CTRL_RX_EXTRA without CTRL_VQ", "only with CTRL_RX_EXTRA accepted")	\
	/* Network: transmission (5.1.6.2) */							\
	X(NT, 1, 'M', "same header size as for receive", NULL)					\
	X(NT, 2, 'M', "num_buffers 0", NULL)							\
	X(NT, 3, 'M', "no CSUM: flags 0", NULL)							\
	X(NT, 4, 'S', "no CSUM: packet fully summed", NULL)					\
	X(NT, 5, 'X', "TCPv4 GSO only with HOST_TSO4", NULL)					\
	X(NT, 6, 'X', "TCPv6 GSO only with HOST_TSO6", NULL)					\
	X(NT, 7, 'X', "UDP fragmentation only with HOST_UFO", NULL)				\
	X(NT, 8, 'X', "UDP segmentation only with HOST_USO", NULL)				\
	X(NT, 9, 'N', "ECN segments only with HOST_ECN", NULL)					\
	X(NT, 10, 'M', "and then the ECN bit set", NULL)					\
	X(NT, 11, 'X', "tunnel GSO bits only if negotiated (1.4, as all tunnel rows)", NULL)	\
	X(NT, 12, 'M', "inner v4: the v4 tunnel bit", NORM_NEVER("UDP tunnel offload"))		\
	X(NT, 13, 'M', "inner v6: the v6 tunnel bit", NORM_NEVER("UDP tunnel offload"))		\
	X(NT, 14, 'X',										\
	  "outer checksum offload only with both tunnel features", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NT, 15, 'M',										\
	  "then tunnel bit and tunnel-checksum flag together", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NT, 16, 'M', "tunnel-checksum flag clear without the feature", NULL)			\
	X(NT, 17, 'X', \
	  "and no packet that would need it", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NT, 18, 'X', "tunnel bits never with UFO", NORM_NEVER("UDP tunnel offload"))		\
	X(NT, 19, 'X', "never both tunnel bits", NULL)						\
	X(NT, 20, 'X', "checksum flag never without a tunnel bit", NULL)			\
	X(NT, 21, 'M', "NEEDS_CSUM: earlier checksums already right", NULL)			\
	X(NT, 22, 'M', "pseudo-header sum stored in place", NULL)				\
	X(NT, 23, 'M', "start and offset such that summing gives a valid packet", NULL)		\
	X(NT, 24, 'M', "no HOST_* GSO: type NONE", NULL)					\
	X(NT, 25, 'M', "GSO implies NEEDS_CSUM", NULL)						\
	X(NT, 26, 'M', "and gso_size is the MSS", NULL)						\
	X(NT, 27, 'M', "GUEST_HDRLEN: exact header length", NULL)				\
	X(NT, 28, 'S', "otherwise at least the header length", NULL)				\
	X(NT, 29, 'M',										\
	  "tunnel: outer transport and inner network offsets set", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NT, 30, 'M', "outer checksum: pseudo sum stored", NORM_NEVER("UDP tunnel offload"))	\
	X(NT, 31, 'X', \
	  "otherwise the outer one needs no work", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NT, 32, 'M', \
	  "i.e. it is 0 or complete", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NT, 33, 'X', "(said again) no tunnel bits without the feature", NULL)			\
	X(NT, 34, 'X', "(said again) no tunnel-checksum flag without the feature", NULL)	\
	X(NT, 35, 'S', "take GUEST_HDRLEN if exact lengths are known", NULL)			\
	X(NT, 36, 'X', "DATA_VALID and RSC_INFO never on transmit", NULL)			\
	X(NT, 37, 'X', \
	  "DATA_VALID never with a tunnel", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NT, 38, 'M', \
	  "IPsec: outbound object exists (1.4)", \
	  NORM_NEVER("IPsec")) \
	X(NT, 39, 'M', \
	  "IPsec: resource id names it", \
	  NORM_NEVER("IPsec")) \
	/* Network: receive buffers (5.1.6.3) */						\
	X(NR, 1, 'S', "GSO, no merge: 65 601 bytes (65 609 with hash)", NULL)			\
	X(NR, 2, 'S', "no GSO, no merge: 1 526 (1 534)", NULL)					\
	X(NR, 3, 'M', "merge: at least the header each", NULL)					\
	X(NR, 4, 'M',										\
	  "header is 12, 20 (hash), 24 (tunnel) or 32 bytes (outer header or IPsec)", NULL)	\
	X(NR, 5, 'S', "fill every receive queue that will be used", NULL)			\
	/* Network: incoming packets (5.1.6.4) */						\
	X(NP, 1, 'M', "ignore unknown flag bits", NORM_INSIDE)					\
	X(NP, 2, 'X', \
	  "outer_nh_offset only if negotiated and nonzero", \
	  NORM_INSIDE) \
	X(NP, 3, 'X', \
	  "csum fields only with NEEDS_CSUM and without RSC_INFO", \
	  NORM_INSIDE) \
	X(NP, 4, 'X', "hdr_len is never trusted", NORM_INSIDE)					\
	X(NP, 5, 'X', "no trust in the checksum without NEEDS_CSUM or DATA_VALID", NORM_INSIDE)	\
	X(NP, 6, 'X', \
	  "both tunnel bits: drop", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NP, 7, 'X', \
	  "tunnel offsets unused without a tunnel bit", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NP, 8, 'X',										\
	  "tunnel without NEEDS_CSUM, or with DATA_VALID, or with base type NONE: drop", \
	  NORM_NEVER("UDP tunnel offload")) \
	X(NP, 9, 'X', \
	  "tunnel checksum without a tunnel bit: drop", \
	  NORM_NEVER("UDP tunnel offload")) \
	/* Network: control queue (5.1.6.5) */							\
	X(NX, 1, 'M', "HASH_TUNNEL negotiated before its command", NORM_NEVER("HASH_REPORT"))	\
	X(NX, 2, 'X', "only supported tunnel types", NORM_NEVER("HASH_REPORT"))			\
	X(NX, 3, 'M', "undocumented supported bits ignored", NORM_NEVER("HASH_REPORT"))		\
	X(NX, 4, 'X', "promiscuous and all-multicast only with CTRL_RX", NULL)			\
	X(NX, 5, 'X',										\
	  "extra filters only with CTRL_RX_EXTRA", "only with CTRL_RX_EXTRA accepted")		\
	X(NX, 6, 'X', "MAC class commands only with CTRL_RX", NULL)				\
	X(NX, 7, 'S', "set the default MAC if it differs", NULL)				\
	X(NX, 8, 'M', "table command is count + unicast, then count + multicast", NULL)		\
	X(NX, 9, 'S', \
	  "announce: tell the neighbours", \
	  NORM_INSIDE) \
	X(NX, 10, 'M', "and acknowledge it on the control queue", NULL)				\
	X(NX, 11, 'M', "queues configured before the pairs command", NORM_NEVER("MQ"))		\
	X(NX, 12, 'X', "pairs never 0 or above the maximum", NORM_NEVER("MQ"))			\
	X(NX, 13, 'M', "before it, only transmit queue 1", NULL)				\
	X(NX, 14, 'X', \
	  "after it, none above the number asked", \
	  NORM_NEVER("MQ")) \
	X(NX, 15, 'X', "RSS command only with RSS", NORM_NEVER("RSS"))				\
	X(NX, 16, 'M', \
	  "table names only enabled receive queues", \
	  NORM_NEVER("RSS")) \
	X(NX, 17, 'M', "power-of-two table", NORM_NEVER("RSS"))					\
	X(NX, 18, 'M', \
	  "mask below the maximum", \
	  NORM_NEVER("RSS")) \
	X(NX, 19, 'X', "only supported hash types", NORM_NEVER("RSS"))				\
	X(NX, 20, 'M', "RSS_CONTEXT negotiated first (1.4)", NORM_NEVER("RSS_CONTEXT"))		\
	X(NX, 21, 'M', "context id within 1..max", NORM_NEVER("RSS_CONTEXT"))			\
	X(NX, 22, 'X', \
	  "no pairs command while contexts exist", \
	  NORM_NEVER("RSS_CONTEXT")) \
	X(NX, 23, 'X', "offloads only if negotiated", NULL)					\
	X(NX, 24, 'M', "coalescing: an enabled queue", NORM_NEVER("NOTF_COAL"))			\
	X(NX, 25, 'M', \
	  "NOTF_COAL first", \
	  NORM_NEVER("NOTF_COAL")) \
	X(NX, 26, 'M', "VQ_NOTF_COAL first", NORM_NEVER("NOTF_COAL"))				\
	X(NX, 27, 'M', \
	  "on ERR the returned values are ignored", \
	  NORM_NEVER("DEVICE_STATS")) \
	X(NX, 28, 'M', \
	  "statistics types asked for first (1.4)", \
	  NORM_NEVER("DEVICE_STATS")) \
	X(NX, 29, 'M', \
	  "valid for that queue", \
	  NORM_NEVER("DEVICE_STATS")) \
	X(NX, 30, 'M', "reply buffer large enough for the headers", NORM_NEVER("DEVICE_STATS"))	\
	/* Legacy interface, PCI and network */							\
	X(LG, 1, 'M', "a device without VERSION_1 is legacy", NULL)				\
	X(LG, 2, 'M', "and is driven by the legacy sections", NULL)				\
	X(LG, 3, 'M', "transitional driver: virtio capabilities are looked for first", NULL)	\
	X(LG, 4, 'M', "a modern-only driver fails gracefully on a legacy device", NORM_INSIDE)	\
	X(LG, 5, 'M', "initialisation without FEATURES_OK", NULL)				\
	X(LG, 6, 'S', "no generation: read the MAC until two reads agree", NULL)		\
	X(LG, 7, 'M', "take ANY_LAYOUT if offered", NULL)					\
	X(LG, 8, 'N', "never accept bit 30", NULL)						\
	X(LG, 9, 'M', "the queue size is the device's", NULL)					\
	X(LG, 10, 'M', "one block by the formula, page aligned, contiguous", NULL)		\
	X(LG, 11, 'M', "alignment 4096, address given as a page number", NULL)			\
	X(LG, 12, 'M', "guest-endian rings; PCI header registers little-endian", NORM_ENDIAN)	\
	X(LG, 13, 'M', "use the header in I/O BAR 0", NULL)					\
	X(LG, 14, 'M',										\
	  "device configuration at 20, at 24 while MSI-X is on; features 0-31 only", NULL)	\
	X(LG, 16, 'M', \
	  "guest-endian status and pairs", \
	  NORM_ENDIAN) \
	X(LG, 17, 'M', \
	  "guest-endian packet header", \
	  NORM_ENDIAN) \
	X(LG, 18, 'M', "guest-endian MAC table", NORM_ENDIAN)					\
	X(LG, 19, 'M', \
	  "guest-endian VLAN id", \
	  NORM_ENDIAN) \
	X(LG, 20, 'M', "guest-endian pairs command", NORM_NEVER("MQ"))				\
	X(LG, 21, 'M', \
	  "guest-endian offloads", \
	  NORM_ENDIAN) \
	X(LG, 22, 'M', "header is 10 bytes without MRG_RXBUF", NULL)				\
	X(LG, 23, 'S', \
	  "used length ignored on transmit and control", \
	  NORM_INSIDE) \
	X(LG, 24, 'M', "without ANY_LAYOUT: the header alone in the first descriptor", NULL)	\
	X(LG, 25, 'M', "control commands framed 2 bytes / data / 1 byte", NULL)
/* clang-format on */

enum norm {
#define NORM_ENUM(area, num, strength, text, blind) NORM_##area##_##num,
	NORMS(NORM_ENUM)
#undef NORM_ENUM
		NORM_COUNT
};

/* "SQ-2", and what it says. Static text. */
const char *norm_name(enum norm id);
const char *norm_text(enum norm id);
/* NORM_COUNT if there is none of this name. */
enum norm norm_find(const char *name);

#endif
