/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI bus of the simulated Mac: memory descriptors, registers by trap, configuration space,
 * interrupts, power; on a board made up here, on the model, and on a QEMU machine.
 */
#include "tests/sim/child.h"

/* C may give a function the name of a struct; g++ counts that as shadowing. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#include "tests/lib/board_model.h"
#include "tools/board/qemu_board.h"
}
#pragma GCC diagnostic pop

#include "guest/ports/xnu/kpi/collections.h"
#include "guest/ports/xnu/kpi/dma.h"
#include "guest/ports/xnu/kpi/pci.h"
#include "sim/macos/pci/decode.h"
#include "tests/sim/pci_fake.h"

#define RAM_BYTES (16u << 20)

/* ---- a Mac ---- */

static struct fake fake;
static struct mac_pci *plugged;
static IOPCIDevice *nub;
static unsigned leaks_expected;

/* ram: of the board, or 0 for some. */
static void boot(int release, const struct sim_ram *ram)
{
	struct mac_config config = child_mac(release, RAM_BYTES);

	if (ram)
		config.ram = *ram;
	CHECK(!mac_boot(&config));
}

static void find_nub(void)
{
	CHECK(mac_quiet(WAIT_MS));
	sim_enter("test");
	nub = OSDynamicCast(IOPCIDevice, IOService::waitForMatchingService(
						 IOService::serviceMatching("IOPCIDevice"),
						 WAIT_MS * 1000000ULL));
	CHECK(nub);
	/* As matching would do if there were a driver. */
	CHECK(!nub->getResources());
}

static void boot_fake(int release, unsigned entries)
{
	boot(release, nullptr);
	fake_init(&fake, entries);
	CHECK(!mac_pci_add(&fake_ops, &fake, "NIC0", true, &plugged));
	find_nub();
	nub->setMemoryEnable(true);
	nub->setIOEnable(true);
}

static void halt(void)
{
	nub->release();
	nub = nullptr;
	sim_exit();
	CHECK(mac_halt(stderr) == leaks_expected);
}

static unsigned calls, claims, where;

static void count_call(OSObject *, void *, IOService *service, int source)
{
	CHECK(ml_get_interrupts_enabled() == 0);
	__atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
	where = static_cast<unsigned>(source);
	if (claims)
		service->disableInterrupt(source);
}

static bool come(unsigned n)
{
	return child_wait([=] { return __atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= n; });
}

static void works(void (*body)(void))
{
	child_works(body);
}

static void violates(void (*body)(void), const char *what)
{
	child_violates(body, what);
}

/* ---- the decoder ---- */

static void decoder_knows_moves(void **)
{
	static const struct {
		uint8_t code[12];
		unsigned len, width;
		bool store;
		unsigned reg;
	} good[] = {
		{{0x8b, 0x07}, 2, 4, false, 0},			  /* mov eax, [rdi] */
		{{0x44, 0x8b, 0x4f, 0x10}, 4, 4, false, 9},	  /* mov r9d, [rdi+16] */
		{{0x66, 0x8b, 0x44, 0x8f, 0x02}, 5, 2, false, 0}, /* mov ax, [rdi+rcx*4+2] */
		{{0x8a, 0x25, 1, 0, 0, 0}, 6, 1, false, 0},	  /* mov ah, [rip+1] */
		{{0x40, 0x8a, 0x3e}, 3, 1, false, 7},		  /* mov dil, [rsi] */
		{{0x0f, 0xb6, 0x07}, 3, 1, false, 0},		  /* movzx eax, byte [rdi] */
		{{0x48, 0x0f, 0xb7, 0x07}, 4, 2, false, 0},	  /* movzx rax, word [rdi] */
		{{0x0f, 0xbe, 0x87, 0, 1, 0, 0}, 7, 1, false, 0}, /* movsx eax, [rdi+256] */
		{{0x48, 0x63, 0x04, 0x25, 0, 0, 0, 0x10}, 8, 4, false, 0}, /* movsxd rax, [abs] */
		{{0x89, 0x34, 0x24}, 3, 4, true, 6},			   /* mov [rsp], esi */
		{{0x66, 0x41, 0x89, 0x45, 0x00}, 5, 2, true, 0},	   /* mov [r13], ax */
		{{0x88, 0x1f}, 2, 1, true, 3},				   /* mov [rdi], bl */
		{{0xc6, 0x07, 5}, 3, 1, true, 0},			   /* mov byte [rdi], 5 */
		{{0x66, 0xc7, 0x47, 8, 1, 2}, 6, 2, true, 0}, /* mov word [rdi+8], 0x201 */
		{{0xc7, 0x07, 1, 2, 3, 4}, 6, 4, true, 0},    /* mov dword [rdi], ... */
		{{0x48, 0x8b, 0x07}, 3, 8, false, 0},	      /* mov rax, [rdi] */
	};
	static const uint8_t bad[][4] = {
		{0x01, 0x07}, {0xf0, 0x87, 0x07}, {0x8b, 0xc7}, {0xc7, 0x4f}, {0x0f, 0x6f, 0x07},
		{0xa4},	      {0xff, 0x07},
	};
	struct decoded d;

	for (const auto &g : good) {
		assert_true(sim_decode(g.code, &d));
		assert_int_equal(d.len, g.len);
		assert_int_equal(d.width, g.width);
		assert_int_equal(d.store, g.store);
		if (!d.immediate)
			assert_int_equal(d.reg, g.reg);
	}
	for (const auto &b : bad)
		assert_false(sim_decode(b, &d));
}

static void decoder_fills_registers(void **)
{
	static const uint8_t byte[] = {0x8a, 0x07}, high[] = {0x8a, 0x27}, word[] = {0x66, 0x8b, 7},
			     full[] = {0x8b, 0x07}, sign[] = {0x48, 0x0f, 0xbe, 0x07},
			     store[] = {0x88, 0x27};
	const uint64_t old = UINT64_C(0x1122334455667788);
	struct decoded d;

	sim_decode(byte, &d);
	assert_true(sim_decode_load(&d, old, 0xfe) == UINT64_C(0x11223344556677fe));
	sim_decode(high, &d);
	assert_true(sim_decode_load(&d, old, 0xfe) == UINT64_C(0x112233445566fe88));
	sim_decode(word, &d);
	assert_true(sim_decode_load(&d, old, 0xfedc) == UINT64_C(0x112233445566fedc));
	sim_decode(full, &d);
	assert_true(sim_decode_load(&d, old, 0xfedcba98) == UINT64_C(0xfedcba98));
	sim_decode(sign, &d);
	assert_true(sim_decode_load(&d, old, 0xfe) == ~UINT64_C(1));
	sim_decode(store, &d);
	assert_int_equal(sim_decode_stored(&d, old), 0x77);
}

/* ---- registers ---- */

static volatile uint8_t *map_registers(IOMemoryMap **map)
{
	*map = nub->mapDeviceMemoryWithRegister(kIOPCIConfigBaseAddress2);
	CHECK(*map && (*map)->getLength() == 4096);
	CHECK((*map)->getPhysicalAddress() == REGISTERS);
	return reinterpret_cast<volatile uint8_t *>((*map)->getVirtualAddress());
}

/* The compiler does not know that an access to a register calls the fake. */
static void settle(void)
{
	__asm__ volatile("" ::: "memory");
}

static void registers_trap(void)
{
	volatile uint8_t *regs;
	IOMemoryMap *map, *second;

	boot_fake(9, 3);
	regs = map_registers(&map);
	*reinterpret_cast<volatile uint32_t *>(regs + 8) = 0x12345678;
	settle();
	CHECK(fake.last_width == 4 && get(fake.regs + 8, 4) == 0x12345678);
	*reinterpret_cast<volatile uint16_t *>(regs + 0xffe) = 0xabcd;
	settle();
	CHECK(fake.last_width == 2 && get(fake.regs + 0xffe, 2) == 0xabcd);
	regs[9] = 0xff;
	settle();
	CHECK(fake.last_width == 1);
	CHECK(*reinterpret_cast<volatile uint32_t *>(regs + 8) == 0x1234ff78);
	CHECK(*reinterpret_cast<volatile uint16_t *>(regs + 8) == 0xff78);
	CHECK(static_cast<int8_t>(regs[9]) == -1);
	settle();
	CHECK(fake.reads == 3 && fake.writes == 3);
	/* Another mapping is another address of the same. */
	CHECK(map_registers(&second) != regs);
	second->release();
	/* Not decoded: nobody answers. */
	CHECK(nub->setMemoryEnable(false));
	CHECK(regs[9] == 0xff && *reinterpret_cast<volatile uint32_t *>(regs) == ~0u);
	CHECK(!nub->setMemoryEnable(true));
	settle();
	CHECK(fake.reads == 3);
	map->release();
	halt();
}

static void ports_are_ports(void)
{
	IOMemoryMap *map;

	boot_fake(9, 3);
	map = nub->mapDeviceMemoryWithRegister(kIOPCIConfigBaseAddress0);
	CHECK(map && map->getVirtualAddress() == PORTS && map->getLength() == 64);
	nub->ioWrite32(4, 0xcafebabe, map);
	CHECK(nub->ioRead16(6, map) == 0xcafe && nub->ioRead8(4, map) == 0xbe);
	CHECK(nub->ioRead32(PORTS + 4) == 0xcafebabe);
	map->release();
	CHECK(!nub->mapDeviceMemoryWithRegister(kIOPCIConfigBaseAddress1));
	halt();
}

static void registers_in_a_stopped_world(void)
{
	volatile uint8_t *regs;
	IOMemoryMap *map;

	boot_fake(9, 3);
	regs = map_registers(&map);
	CHECK(!nub->registerInterrupt(0, nub, count_call));
	fake_line(&fake, true);
	claims = 1;
	CHECK(sim_world_stop());
	regs[1] = 5;
	CHECK(regs[1] == 5);
	CHECK(nub->configRead16(0) == 0x1af4);
	CHECK(!nub->enableInterrupt(0));
	usleep(200000);
	CHECK(calls == 0);
	sim_world_go();
	CHECK(come(1));
	CHECK(!nub->unregisterInterrupt(0));
	map->release();
	halt();
}

static void foreign_port(void)
{
	boot_fake(9, 3);
	nub->ioRead8(0x80);
}

static void port_dereferenced(void)
{
	boot_fake(9, 3);
	sim_config.quiet = false;
	*reinterpret_cast<volatile uint8_t *>(PORTS) = 1;
}

static void register_after_release(void)
{
	volatile uint8_t *regs;
	IOMemoryMap *map;

	boot_fake(9, 3);
	regs = map_registers(&map);
	map->release();
	(void)regs[0];
}

static void register_too_wide(void)
{
	IOMemoryMap *map;

	boot_fake(9, 3);
	*reinterpret_cast<volatile uint64_t *>(map_registers(&map)) = 1;
}

static void register_unaligned(void)
{
	IOMemoryMap *map;
	volatile uint8_t *regs;

	boot_fake(9, 3);
	regs = map_registers(&map) + 2;
	asm volatile("movl $1, (%0)" : : "r"(regs) : "memory");
}

static void register_added(void)
{
	IOMemoryMap *map;

	boot_fake(9, 3);
	asm volatile("addl $1, (%0)" : : "r"(map_registers(&map)) : "memory");
}

static void register_behind_end(void)
{
	IOMemoryMap *map;

	boot_fake(9, 3);
	map_registers(&map)[4096] = 1;
}

static void registers_are_trapped(void **)
{
	works(registers_trap);
	works(ports_are_ports);
	works(registers_in_a_stopped_world);
	violates(foreign_port, "ioRead8 of NIC0: 0x80 is no port");
	violates(register_after_release, "through a map that was released");
	violates(register_too_wide, "at 0 accessed with 8 bytes");
	violates(register_unaligned, "not aligned");
	violates(register_added, "no plain load or store: 83 00 01");
	violates(register_behind_end, "behind the end of the map of BAR 2 of NIC0");
}

static void faults_elsewhere_are_told(void **)
{
	int status = child_run(port_dereferenced);

	assert_non_null(strstr(child_said(), "a port number taken for an address"));
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- the nub ---- */

static void nub_properties(void)
{
	OSData *data;
	char text[64];

	boot_fake(9, 3);
	CHECK(mac_registry_get("IOPCIDevice", "IOName", text, sizeof(text)));
	CHECK(!strcmp(text, "pci1af4,1000"));
	data = OSDynamicCast(OSData, nub->getProperty("device-id"));
	CHECK(data && data->getLength() == 4 &&
	      get(static_cast<const uint8_t *>(data->getBytesNoCopy()), 4) == 0x1000);
	data = OSDynamicCast(OSData, nub->getProperty("class-code"));
	CHECK(data && get(static_cast<const uint8_t *>(data->getBytesNoCopy()), 4) == 0x020000);
	CHECK(nub->getProperty("built-in"));
	CHECK(nub->getDeviceMemoryCount() == 2);
	CHECK(nub->getDeviceMemoryWithRegister(0x18)->getLength() == 4096);
	CHECK(nub->getDeviceMemoryWithRegister(0x10)->getLength() == 64);
	halt();
}

static bool matches(const char *key, const char *value)
{
	OSDictionary *table = OSDictionary::withCapacity(1);
	OSString *text = OSString::withCString(value);
	SInt32 score = 5;
	bool match;

	table->setObject(key, text);
	match = nub->matchPropertyTable(table, &score);
	CHECK(!match || score == 5);
	text->release();
	table->release();
	return match;
}

static void nub_matching(void)
{
	OSString *name;

	boot_fake(9, 3);
	CHECK(matches("IOPCIMatch", "0x10001af4"));
	CHECK(matches("IOPCIMatch", "0x00011af4"));
	CHECK(!matches("IOPCIPrimaryMatch", "0x00011af4"));
	CHECK(matches("IOPCISecondaryMatch", "0x00011af4"));
	CHECK(matches("IOPCIPrimaryMatch", "0x10001af4&0xffc0ffff"));
	CHECK(matches("IOPCIPrimaryMatch", "0x12341af4 0x10001af4"));
	CHECK(!matches("IOPCIPrimaryMatch", "0x12341af4 0x10411af4"));
	CHECK(matches("IOPCIClassMatch", "0x020000ff"));
	CHECK(!matches("IOPCIClassMatch", "0x02800000"));
	/* Not what is in there now. */
	put(&fake, 0, 4, 0x10411af4);
	CHECK(matches("IOPCIPrimaryMatch", "0x10001af4"));
	name = OSString::withCString("pciclass,020000");
	CHECK(nub->compareName(name));
	name->release();
	halt();
}

static void nub_config(void)
{
	IOByteCount at = 0;
	UInt8 small = 0;

	boot_fake(9, 3);
	CHECK(nub->configRead16(0) == 0x1af4 && nub->configRead8(3) == 0x10);
	/* The status half goes back as it was read. */
	put(&fake, 4, 4, 0x20100003);
	CHECK(!nub->setBusMasterEnable(true));
	CHECK(nub->setBusMasterEnable(true));
	CHECK((get(fake.cfg + 4, 4) & 0x20000007) == 0x7);
	put(&fake, 6, 2, 0x10);
	/* First of all by the chain, the next by address. */
	CHECK(nub->findPCICapability(9, &small) == 0x00100009 && small == CAP_VENDOR);
	CHECK(nub->extendedFindPCICapability(0x11, &at) && at == CAP_MSIX);
	at = CAP_VENDOR;
	CHECK(!nub->extendedFindPCICapability(9, &at) && at == 0);
	halt();
}

static void config_unaligned(void)
{
	boot_fake(9, 3);
	nub->configRead32(2);
}

static void config_after_removal(int release, UInt32 wanted)
{
	boot_fake(release, 3);
	sim_exit();
	mac_pci_remove(plugged);
	sim_enter("test");
	CHECK(nub->isInactive());
	CHECK(nub->configRead32(0) == wanted);
	halt();
}

static void config_inactive(void)
{
	config_after_removal(9, ~0u);
}

static void nub_behaves(void **)
{
	works(nub_properties);
	works(nub_matching);
	works(nub_config);
	works(config_inactive);
	violates(config_unaligned, "configRead32 at 0x2: not aligned");
}

/* ---- interrupts ---- */

static int count_sources(int *messaged)
{
	int type, n = 0;

	*messaged = 0;
	while (!nub->getInterruptType(n, &type)) {
		*messaged += (type & kIOInterruptTypePCIMessaged) != 0;
		CHECK((type & kIOInterruptTypePCIMessaged) || type == kIOInterruptTypeLevel);
		n++;
	}
	return n;
}

static void line_by_release(void)
{
	int messaged;

	boot_fake(9, 3);
	CHECK(count_sources(&messaged) == 1 && messaged == 0);
	CHECK(!nub->registerInterrupt(0, nub, count_call));
	CHECK(fake.mode == 1);
	claims = 1;
	fake_line(&fake, true);
	usleep(50000);
	CHECK(calls == 0); /* not enabled yet */
	CHECK(!nub->enableInterrupt(0));
	CHECK(come(1));
	usleep(50000);
	CHECK(calls == 1); /* the handler disabled it, and the line is still high */
	CHECK(!nub->enableInterrupt(0));
	CHECK(come(2));
	fake_line(&fake, false);
	CHECK(!nub->enableInterrupt(0));
	usleep(50000);
	CHECK(calls == 2);
	CHECK(!nub->unregisterInterrupt(0));
	CHECK(fake.mode == 0);
	halt();
}

static void line_storm(void)
{
	boot_fake(9, 3);
	CHECK(!nub->registerInterrupt(0, nub, count_call));
	CHECK(!nub->enableInterrupt(0));
	fake_line(&fake, true);
	child_wait_for_end();
}

/* The messages so far have been looked at. */
static void taken(void)
{
	unsigned waits = 0;

	CHECK(child_wait([&] { return fake_taken(&fake, &waits); }));
	CHECK(child_wait([&] { return fake_waits(&fake) > waits; }));
}

static void message_once_per_entry(void)
{
	int messaged;

	boot_fake(12, 3);
	CHECK(count_sources(&messaged) == 4 && messaged == 3);
	nub->setBusMasterEnable(false);
	CHECK(!nub->registerInterrupt(1, nub, count_call));
	CHECK(fake.mode == 2 && nub->getProperty("IOPCIMSIMode"));
	CHECK(nub->configRead16(4) & kIOPCICommandBusMaster);
	fake_fire(&fake, 2);
	taken();
	CHECK(calls == 0);
	CHECK(!nub->enableInterrupt(1));
	CHECK(calls == 1 && where == 1); /* inside enableInterrupt */
	fake_fire(&fake, 0);
	taken();
	CHECK(calls == 4);
	CHECK(!nub->disableInterrupt(1));
	fake_fire(&fake, 0);
	taken();
	CHECK(calls == 7); /* disabling stops nothing */
	/* A second source: neither is called. */
	CHECK(!nub->registerInterrupt(2, nub, count_call));
	CHECK(!nub->enableInterrupt(2));
	fake_fire(&fake, 1);
	taken();
	CHECK(calls == 7);
	CHECK(!nub->unregisterInterrupt(1));
	CHECK(fake.mode == 2);
	CHECK(!nub->unregisterInterrupt(2));
	CHECK(fake.mode == 0 && !nub->getProperty("IOPCIMSIMode"));
	halt();
}

static void message_lost(void)
{
	boot_fake(10, 3);
	CHECK(!nub->registerInterrupt(1, nub, count_call));
	CHECK(!nub->enableInterrupt(1));
	fake_fire(&fake, 0);
	taken();
	CHECK(calls == 0);
	CHECK(!nub->unregisterInterrupt(1));
	halt();
}

static void message_of_one(void)
{
	boot_fake(11, 1);
	CHECK(!nub->registerInterrupt(1, nub, count_call));
	CHECK(!nub->enableInterrupt(1));
	fake_fire(&fake, 0);
	CHECK(come(1));
	CHECK(!nub->unregisterInterrupt(1));
	halt();
}

static volatile bool in_call, leave;

static void slow_call(OSObject *, void *, IOService *, int)
{
	in_call = true;
	while (!leave)
		usleep(100);
	usleep(20000);
	in_call = false;
}

static void *let_go(void *)
{
	usleep(50000);
	leave = true;
	return nullptr;
}

static void unregister_waits(void)
{
	pthread_t thread;

	boot_fake(12, 1);
	CHECK(!nub->registerInterrupt(1, nub, slow_call));
	CHECK(!nub->enableInterrupt(1));
	fake_fire(&fake, 0);
	CHECK(child_wait([] { return in_call; }));
	CHECK(!pthread_create(&thread, nullptr, let_go, nullptr));
	CHECK(!nub->unregisterInterrupt(1));
	CHECK(!in_call);
	pthread_join(thread, nullptr);
	halt();
}

static void interrupts_by_release(void **)
{
	works(line_by_release);
	works(message_once_per_entry);
	works(message_lost);
	works(message_of_one);
	works(unregister_waits);
	violates(line_storm, "interrupt storm: the line of NIC0");
}

/* ---- power ---- */

static void power_off_and_on(void)
{
	boot_fake(12, 1);
	nub->setBusMasterEnable(true);
	CHECK(!nub->registerInterrupt(1, nub, count_call));
	CHECK(!nub->enableInterrupt(1));
	sim_exit();
	CHECK(!mac_sleep());
	CHECK((fake.cfg[4] & 7) == 0 && fake.mode == 0);
	CHECK(!mac_wake());
	sim_enter("test");
	CHECK((fake.cfg[4] & 7) == 7 && fake.mode == 2);
	fake_fire(&fake, 0);
	CHECK(come(1));
	CHECK(!nub->unregisterInterrupt(1));
	halt();
}

static void power_is_kept(void **)
{
	works(power_off_and_on);
}

/* ---- memory ---- */

static void buffers(void)
{
	IOBufferMemoryDescriptor *memory;
	IOByteCount run, at;
	unsigned pieces = 0;
	uint8_t *bytes, some[8];

	boot_fake(9, 3);
	memory = IOBufferMemoryDescriptor::inTaskWithPhysicalMask(
		kernel_task, kIODirectionInOut | kIOMemoryPhysicallyContiguous, 100000,
		0xffffc000ULL);
	CHECK(memory && memory->getLength() == 100000);
	CHECK(memory->getDirection() == kIODirectionInOut);
	CHECK((memory->getPhysicalSegment(0, &run) & 0x3fff) == 0 && run == 100000);
	CHECK(memory->getPhysicalSegment(99999, &run) && run == 1);
	CHECK(!memory->getPhysicalSegment(100000, &run) && run == 0);
	bytes = static_cast<uint8_t *>(memory->getBytesNoCopy());
	CHECK(bytes[0] != 0 || bytes[1] != 0);
	CHECK(sim_ram_address(bytes) == memory->getPhysicalAddress());
	CHECK(memory->writeBytes(99996, "abcdefgh", 8) == 4);
	CHECK(memory->readBytes(99996, some, 8) == 4 && !memcmp(some, "abcd", 4));
	memory->setLength(10);
	CHECK(memory->getLength() == 10 && memory->getCapacity() == 100000);
	CHECK(!memory->getBytesNoCopy(8, 4) && memory->getBytesNoCopy(8, 2) == bytes + 8);
	CHECK(!memory->prepare() && !memory->prepare() && !memory->complete() &&
	      !memory->complete());
	memory->release();
	/* Unless asked for, pages need not follow each other. */
	memory = IOBufferMemoryDescriptor::inTaskWithPhysicalMask(kernel_task, kIODirectionOut,
								  64 * 4096, 0xfffff000ULL);
	CHECK(memory);
	for (at = 0; at < 64 * 4096; at += run, pieces++)
		CHECK(memory->getPhysicalSegment(at, &run) && run && (at + run) % 4096 == 0);
	CHECK(pieces > 4 && pieces < 64);
	memory->release();
	CHECK(!IOBufferMemoryDescriptor::inTaskWithPhysicalMask(kernel_task, kIODirectionOut,
								RAM_BYTES, 0xfffff000ULL));
	halt();
}

static void commands(void)
{
	IOBufferMemoryDescriptor *buffer = IOBufferMemoryDescriptor::withOptions(0, 1, 1);
	IODMACommand *command;
	IODMACommand::Segment64 segs[3];
	IOMemoryDescriptor *memory;
	UInt64 offset = 0;
	UInt32 n = 3;

	CHECK(buffer);
	buffer->release();
	buffer = IOBufferMemoryDescriptor::withOptions(
		kIODirectionInOut | kIOMemoryPhysicallyContiguous, 10000, 4096);
	memory =
		IOMemoryDescriptor::withAddress(buffer->getBytesNoCopy(), 10000, kIODirectionInOut);
	CHECK(memory && !memory->getPhysicalAddress());
	CHECK(!memory->prepare());
	CHECK(memory->getPhysicalAddress() == buffer->getPhysicalAddress());
	CHECK(!IODMACommand::withSpecification(kIODMACommandOutputHost32, 33, 0));
	command = IODMACommand::withSpecification(kIODMACommandOutputHost64, 64, 4096);
	CHECK(command->gen64IOVMSegments(&offset, segs, &n) == kIOReturnNotReady);
	CHECK(!command->setMemoryDescriptor(buffer));
	CHECK(command->setMemoryDescriptor(memory) == kIOReturnBusy);
	n = 2;
	CHECK(!command->gen64IOVMSegments(&offset, segs, &n) && n == 2 && offset == 8192);
	CHECK(segs[0].fIOVMAddr == buffer->getPhysicalAddress() && segs[0].fLength == 4096);
	n = 3;
	CHECK(!command->gen64IOVMSegments(&offset, segs, &n) && n == 1 && offset == 10000);
	CHECK(segs[0].fLength == 10000 - 8192);
	CHECK(command->gen64IOVMSegments(&offset, segs, &n) == kIOReturnOverrun);
	CHECK(command->prepare(0, 5) == kIOReturnNotReady && !command->prepare());
	CHECK(!command->clearMemoryDescriptor());
	CHECK(command->complete() == kIOReturnNotReady);
	command->release();
	CHECK(!memory->complete());
	memory->release();
	buffer->release();
}

static void commands_on_a_mac(void)
{
	boot_fake(9, 3);
	commands();
	halt();
}

static void completed_too_often(void)
{
	IOBufferMemoryDescriptor *buffer;

	boot_fake(9, 3);
	buffer = IOBufferMemoryDescriptor::withOptions(kIODirectionInOut, 100);
	buffer->complete();
}

static void released_prepared(void)
{
	IOBufferMemoryDescriptor *buffer;

	boot_fake(9, 3);
	buffer = IOBufferMemoryDescriptor::withOptions(kIODirectionInOut, 100);
	CHECK(!buffer->prepare());
	buffer->release();
}

static void length_beyond(void)
{
	boot_fake(9, 3);
	IOBufferMemoryDescriptor::withOptions(kIODirectionInOut, 100)->setLength(101);
}

static void heap_to_a_device(void)
{
	static char here[16];
	IOMemoryDescriptor *memory;

	boot_fake(9, 3);
	memory = IOMemoryDescriptor::withAddress(here, sizeof(here), kIODirectionOut);
	CHECK(!memory->prepare());
	memory->getPhysicalAddress();
}

static void allocated_in_a_filter(void)
{
	boot_fake(9, 3);
	sim_interrupt_begin();
	IOBufferMemoryDescriptor::withOptions(kIODirectionInOut, 100);
}

static void memory_is_described(void **)
{
	works(buffers);
	works(commands_on_a_mac);
	violates(completed_too_often, "complete() without prepare()");
	violates(released_prepared, "released while prepared");
	violates(length_beyond, "setLength: 101 of a capacity of 100");
	violates(heap_to_a_device, "is not device memory");
	violates(allocated_in_a_filter, "IOBufferMemoryDescriptor::withOptions");
}

/* ---- boards ---- */

static void on_model(void)
{
	static struct board_model board;
	struct sim_ram ram;
	struct model_options opts;
	struct model_state state;
	volatile uint8_t *common;
	IOMemoryMap *map;

	board_model_defaults(&opts);
	CHECK(board_model_open(&board, &opts));
	ram = board_model_ram(&board);
	boot(12, &ram);
	CHECK(!mac_pci_add(&board_model_ops, &board, "MODEL", true, &plugged));
	find_nub();
	nub->setMemoryEnable(true);
	map = nub->mapDeviceMemoryWithRegister(
		static_cast<UInt8>(kIOPCIConfigBaseAddress0 + 4 * opts.layout.bar));
	CHECK(map);
	common = reinterpret_cast<volatile uint8_t *>(map->getVirtualAddress());
	/* device_status: reset, acknowledge, driver */
	common[20] = 0;
	common[20] = 1;
	common[20] = 3;
	CHECK(common[20] == 3);
	model_get(board_model_lock(&board), &state);
	board_model_unlock(&board);
	CHECK(state.status == 3);
	/* A vector for configuration changes, and one. */
	CHECK(!nub->registerInterrupt(1, nub, count_call));
	CHECK(!nub->enableInterrupt(1));
	*reinterpret_cast<volatile uint16_t *>(common + 16) = 1;
	CHECK(*reinterpret_cast<volatile uint16_t *>(common + 16) == 1);
	model_interrupt(board_model_lock(&board), MODEL_QUEUES);
	board_model_unlock(&board);
	CHECK(come(opts.msix_entries));
	CHECK(!nub->unregisterInterrupt(1));
	common[20] = 0;
	map->release();
	halt();
	board_model_close(&board);
}

static void board_of_a_model(void **)
{
	works(on_model);
}

static void on_qemu_with(int release, const char *device)
{
	static struct qemu_board board;
	const char *const args[] = {"-netdev", "user,id=n0", "-device", device, nullptr};
	struct qemu_opts opts = {};
	struct sim_ram ram;
	struct qemu_board_fn *fn;
	volatile uint8_t *common;
	IOMemoryMap *map;
	int err, source = release >= 12;

	opts.argv = args;
	err = qemu_board_open(&board, &opts, 1);
	if (err) {
		dprintf(2, "%s\n", board.err);
		_exit(77);
	}
	fn = qemu_board_function(&board, 0);
	CHECK(fn && !qemu_board_function(&board, 1));
	ram = qemu_board_ram(&board);
	boot(release, &ram);
	CHECK(!mac_pci_add(&qemu_board_ops, fn, "QEMU", true, &plugged));
	find_nub();
	nub->setMemoryEnable(true);
	nub->setBusMasterEnable(true);
	map = nub->mapDeviceMemoryWithRegister(
		static_cast<UInt8>(kIOPCIConfigBaseAddress0 + 4 * fn->f->common.bar));
	CHECK(map);
	common = reinterpret_cast<volatile uint8_t *>(map->getVirtualAddress()) + fn->f->common.off;
	CHECK(!nub->registerInterrupt(source, nub, count_call));
	claims = !source;
	CHECK(!nub->enableInterrupt(source));
	common[20] = 0;
	common[20] = 1;
	common[20] = 3;
	*reinterpret_cast<volatile uint32_t *>(common + 8) = 0;
	*reinterpret_cast<volatile uint32_t *>(common + 12) = 1 << 16; /* STATUS */
	*reinterpret_cast<volatile uint32_t *>(common + 8) = 1;
	*reinterpret_cast<volatile uint32_t *>(common + 12) = 1; /* VERSION_1 */
	common[20] = 11;
	CHECK(common[20] == 11);
	if (source)
		*reinterpret_cast<volatile uint16_t *>(common + 16) = 1;
	common[20] = 15;
	CHECK(!qemu_board_link(&board, "n0", false));
	CHECK(come(1));
	CHECK(!nub->unregisterInterrupt(source));
	common[20] = 0;
	map->release();
	/* It is pulled. */
	CHECK(qemu_board_alive(&board));
	CHECK(!qemu_board_del(&board, "nic", WAIT_MS));
	CHECK(nub->configRead32(0) == ~0u);
	sim_exit();
	mac_pci_remove(plugged);
	CHECK(!qemu_board_add(&board, "virtio-net-pci", "nic2", nullptr, nullptr, &fn));
	CHECK(!mac_pci_add(&qemu_board_ops, fn, "QEMU2", true, &plugged));
	sim_enter("test");
	halt();
	qemu_board_close(&board);
}

static void on_qemu_msix(void)
{
	on_qemu_with(12, "virtio-net-pci,id=nic,netdev=n0,disable-legacy=on");
}

static void on_qemu_line(void)
{
	on_qemu_with(9, "virtio-net-pci,id=nic,netdev=n0,disable-legacy=on,vectors=0");
}

static void board_of_qemu(void **)
{
	void (*const bodies[])(void) = {on_qemu_msix, on_qemu_line};

	for (auto body : bodies) {
		int status = child_run(body);

		if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
			print_message("no QEMU: %s", child_said());
			skip();
		}
		child_assert_worked(status, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoder_knows_moves),
		cmocka_unit_test(decoder_fills_registers),
		cmocka_unit_test(registers_are_trapped),
		cmocka_unit_test(faults_elsewhere_are_told),
		cmocka_unit_test(nub_behaves),
		cmocka_unit_test(interrupts_by_release),
		cmocka_unit_test(power_is_kept),
		cmocka_unit_test(memory_is_described),
		cmocka_unit_test(board_of_a_model),
		cmocka_unit_test(board_of_qemu),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
