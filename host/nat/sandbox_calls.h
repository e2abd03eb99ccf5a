/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call the worker may make once it serves, and what for. sandbox_linux.c makes the
 * filter of this list and of nothing else; the test goes through all numbers and compares.
 *
 * CALL is free in its arguments; CALL_IF is held to what sandbox_linux.c says of it.
 */
#ifndef CALL
#error "define CALL and CALL_IF first"
#endif

CALL(read, "the bell that the daemon rings")
CALL(write, "the daemon's bell; messages of libslirp's, on stderr")
CALL(writev, "the same, from the C library")
CALL(recvfrom, "the host's sockets; control messages")
CALL(recvmsg, "errors of UDP sockets")
CALL(sendto, "the host's sockets; answers to the daemon")
CALL(sendmsg, "the same")
CALL(poll, "waiting")
CALL(ppoll, "the same, where there is no poll")
CALL(connect, "a member's connection")
CALL(bind, "a forward")
CALL(listen, "a forward")
CALL(accept, "a forward")
CALL(accept4, "a forward")
CALL(shutdown, "one direction of a connection ends")
CALL(close, "a connection ends")
CALL(getsockname, "which port a forward has")
CALL(getpeername, "whether a connection is there")
CALL(getsockopt, "the error of a connection")
CALL(brk, "memory")
CALL(munmap, "memory")
CALL(mremap, "memory")
CALL(madvise, "memory")
CALL(futex, "locks of the libraries")
CALL(getrandom, "the C library's allocator")
CALL(clock_gettime, "time, where the kernel's page is not used")
CALL(gettimeofday, "the same")
CALL(time, "the same")
CALL(getpid, "messages of GLib's")
CALL(gettid, "abort")
CALL(sched_yield, "locks of the sanitizers")
CALL(rt_sigreturn, "a signal was handled")
CALL(rt_sigprocmask, "abort")
CALL(restart_syscall, "poll goes on after the process was stopped")
CALL(exit, "the end")
CALL(exit_group, "the end")
CALL_IF(socket, "IPv4 and IPv6, streams and datagrams; ping")
CALL_IF(setsockopt, "the options libslirp and we set")
CALL_IF(fcntl, "flags only")
CALL_IF(ioctl, "FIONREAD only")
CALL_IF(mmap, "anonymous memory, never executable")
CALL_IF(mprotect, "never executable")
