/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel debugging protocol of XNU: one UDP packet asks, one answers. Mac OS X 10.6 to macOS
 * 10.15 speak it alike. Numbers are little-endian, but the ports in it are in network order.
 *
 * The machine that is debugged listens on KDP_PORT. It answers to the port named in CONNECT (or in
 * REATTACH), whichever port the request came from. EXCEPTION is the one packet that it sends on its
 * own; the debugger's answer to it is a bare header.
 */
#ifndef WIRE_KDP_H
#define WIRE_KDP_H

#include "common/endian.h"
#include "wire/virtio.h"

#define KDP_PORT       41139u
#define KDP_PACKET_MAX 1200u
#define KDP_DATA_MAX   1024u /* of memory in one packet */
#define KDP_REPLY      0x80u /* bit of kdp_hdr.request */
#define KDP_VERSION_IS 12u   /* from 11 on there are the requests with 64-bit addresses */

enum kdp_request {
	KDP_CONNECT = 0,
	KDP_DISCONNECT = 1,
	KDP_HOSTINFO = 2,
	KDP_VERSION = 3,
	KDP_MAXBYTES = 4,
	KDP_READMEM = 5,
	KDP_WRITEMEM = 6,
	KDP_READREGS = 7,
	KDP_WRITEREGS = 8,
	KDP_LOAD = 9,	    /* never answered */
	KDP_IMAGEPATH = 10, /* never answered */
	KDP_SUSPEND = 11,
	KDP_RESUMECPUS = 12,
	KDP_EXCEPTION = 13, /* kernel to debugger */
	KDP_TERMINATION = 14,
	KDP_BREAKPOINT_SET = 15,
	KDP_BREAKPOINT_REMOVE = 16,
	KDP_REGIONS = 17,
	KDP_REATTACH = 18,
	KDP_HOSTREBOOT = 19, /* not answered */
	KDP_READMEM64 = 20,
	KDP_WRITEMEM64 = 21,
	KDP_BREAKPOINT64_SET = 22,
	KDP_BREAKPOINT64_REMOVE = 23,
	KDP_KERNELVERSION = 24,
	KDP_READPHYSMEM64 = 25,
	KDP_WRITEPHYSMEM64 = 26,
	KDP_READIOPORT = 27,
	KDP_WRITEIOPORT = 28,
	KDP_READMSR64 = 29,
	KDP_WRITEMSR64 = 30,
	KDP_DUMPINFO = 31,
	KDP_REQUESTS = 32,
};

enum kdp_error {
	KDP_OK = 0,
	KDP_ERR_CONNECTED = 1, /* already, and to somebody else */
	KDP_ERR_NBYTES = 2,
	KDP_ERR_FLAVOR = 3,
	KDP_ERR_ACCESS = 4,
	KDP_ERR_BREAKPOINTS = 100, /* no room for another */
	KDP_ERR_NO_BREAKPOINT = 101,
	KDP_ERR_TRAP_THERE = 102,
};

#define KDP_BREAKPOINTS_MAX 100u
#define KDP_FEATURE_BP	    1u /* kdp_version_reply.feature: BREAKPOINT64_SET and _REMOVE work */
#define KDP_CPU_TYPE_X86_64 0x01000007u
#define KDP_FLAVOR_THREAD64 4u /* kdp_regs64 */
#define KDP_FLAVOR_FLOAT64  5u
#define KDP_FLOAT64_LEN	    524u
#define KDP_EXC_BAD_ACCESS  1u
#define KDP_EXC_BREAKPOINT  6u
#define KDP_CODE_BREAKPOINT 3u /* with KDP_EXC_BREAKPOINT, for traps and for single steps */
#define KDP_RFLAGS_TF	    0x100u

struct kdp_hdr {
	uint8_t request; /* and KDP_REPLY */
	uint8_t seq;
	le16 len; /* of the whole packet */
	le32 key; /* chosen by the debugger, and repeated in the reply */
};
WIRE_SIZE(kdp_hdr, 8);
WIRE_OFFSET(kdp_hdr, seq, 1);
WIRE_OFFSET(kdp_hdr, len, 2);
WIRE_OFFSET(kdp_hdr, key, 4);

struct kdp_connect_req {
	struct kdp_hdr hdr;
	be16 reply_port;
	be16 exception_port;
	/* and a greeting */
};
WIRE_SIZE(kdp_connect_req, 12);
WIRE_OFFSET(kdp_connect_req, reply_port, 8);
WIRE_OFFSET(kdp_connect_req, exception_port, 10);

/* A reply of which only the error is told; what was read follows. */
struct kdp_error_reply {
	struct kdp_hdr hdr;
	le32 error;
};
WIRE_SIZE(kdp_error_reply, 12);
WIRE_OFFSET(kdp_error_reply, error, 8);

struct kdp_hostinfo_reply {
	struct kdp_hdr hdr;
	le32 cpus_mask;
	le32 cpu_type;
	le32 cpu_subtype;
};
WIRE_SIZE(kdp_hostinfo_reply, 20);
WIRE_OFFSET(kdp_hostinfo_reply, cpu_type, 12);

struct kdp_version_reply {
	struct kdp_hdr hdr;
	le32 version;
	le32 feature;
	le32 pad[2];
};
WIRE_SIZE(kdp_version_reply, 24);
WIRE_OFFSET(kdp_version_reply, version, 8);
WIRE_OFFSET(kdp_version_reply, feature, 12);

struct kdp_maxbytes_reply {
	struct kdp_hdr hdr;
	le32 max_bytes;
};
WIRE_SIZE(kdp_maxbytes_reply, 12);

/* READMEM; WRITEMEM, the data behind it. */
struct kdp_mem_req {
	struct kdp_hdr hdr;
	le32 address;
	le32 nbytes;
};
WIRE_SIZE(kdp_mem_req, 16);
WIRE_OFFSET(kdp_mem_req, nbytes, 12);

/* READMEM64; WRITEMEM64, the data behind it. */
struct kdp_mem64_req {
	struct kdp_hdr hdr;
	le64 address;
	le32 nbytes;
} __attribute__((packed));
WIRE_SIZE(kdp_mem64_req, 20);
WIRE_OFFSET(kdp_mem64_req, address, 8);
WIRE_OFFSET(kdp_mem64_req, nbytes, 16);

/* READPHYSMEM64; WRITEPHYSMEM64, the data behind it. */
struct kdp_phys_req {
	struct kdp_hdr hdr;
	le64 address;
	le32 nbytes;
	le16 cpu;
} __attribute__((packed));
WIRE_SIZE(kdp_phys_req, 22);
WIRE_OFFSET(kdp_phys_req, nbytes, 16);
WIRE_OFFSET(kdp_phys_req, cpu, 20);

/* READREGS; WRITEREGS, the registers behind it. */
struct kdp_regs_req {
	struct kdp_hdr hdr;
	le32 cpu;
	le32 flavor;
};
WIRE_SIZE(kdp_regs_req, 16);
WIRE_OFFSET(kdp_regs_req, flavor, 12);

/* KDP_FLAVOR_THREAD64 */
struct kdp_regs64 {
	le64 rax, rbx, rcx, rdx, rdi, rsi, rbp, rsp;
	le64 r8, r9, r10, r11, r12, r13, r14, r15;
	le64 rip, rflags, cs, fs, gs;
};
WIRE_SIZE(kdp_regs64, 168);
WIRE_OFFSET(kdp_regs64, rdi, 32);
WIRE_OFFSET(kdp_regs64, rsp, 56);
WIRE_OFFSET(kdp_regs64, rip, 128);
WIRE_OFFSET(kdp_regs64, gs, 160);

struct kdp_resume_req {
	struct kdp_hdr hdr;
	le32 cpus_mask;
};
WIRE_SIZE(kdp_resume_req, 12);

struct kdp_exception {
	struct kdp_hdr hdr;
	le32 count; /* 1 */
	le32 cpu;
	le32 exception;
	le32 code;
	le32 subcode;
};
WIRE_SIZE(kdp_exception, 28);
WIRE_OFFSET(kdp_exception, cpu, 12);
WIRE_OFFSET(kdp_exception, subcode, 24);

struct kdp_breakpoint_req {
	struct kdp_hdr hdr;
	le32 address;
};
WIRE_SIZE(kdp_breakpoint_req, 12);

struct kdp_breakpoint64_req {
	struct kdp_hdr hdr;
	le64 address;
};
WIRE_SIZE(kdp_breakpoint64_req, 16);
WIRE_OFFSET(kdp_breakpoint64_req, address, 8);

struct kdp_regions_reply {
	struct kdp_hdr hdr;
	le32 count; /* 1 */
	le32 address;
	le32 nbytes;
	le32 protection; /* 1 read, 2 write, 4 execute */
};
WIRE_SIZE(kdp_regions_reply, 24);
WIRE_OFFSET(kdp_regions_reply, address, 12);

struct kdp_reattach_req {
	struct kdp_hdr hdr;
	be16 reply_port;
} __attribute__((packed));
WIRE_SIZE(kdp_reattach_req, 10);
WIRE_OFFSET(kdp_reattach_req, reply_port, 8);

/* READIOPORT; WRITEIOPORT, the data behind it. */
struct kdp_port_req {
	struct kdp_hdr hdr;
	le16 cpu;
	le16 address;
	le16 nbytes;
} __attribute__((packed));
WIRE_SIZE(kdp_port_req, 14);

/* READMSR64; WRITEMSR64, 8 bytes behind it. */
struct kdp_msr_req {
	struct kdp_hdr hdr;
	le32 address;
	le16 cpu;
} __attribute__((packed));
WIRE_SIZE(kdp_msr_req, 14);

#define KDP_DUMPINFO_LEN 98u

#endif
