// The Linux calls that Swift's Glibc hides behind _GNU_SOURCE or macros.
//
// Every function answers what the call of its name answers, or a negated errno: no caller has to read errno after
// other code may have changed it. Calls interrupted by a signal are repeated.

#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

// An IP address and port without the sockaddr zoo. `family` is 4 or 6; 0 stands for any other family.
struct linux_address {
  uint8_t family;
  uint16_t port;
  uint8_t octets[16];  // network order, the first 4 for IPv4
};

// Threads and time.
int linux_start_thread(void (*body)(void *), void *argument);
void *linux_thread_owner(void);
void linux_set_thread_owner(void *owner);
uint64_t linux_monotonic_nanoseconds(void);
uint64_t linux_wall_clock_nanoseconds(void);

// Polling.
int linux_epoll_create(void);
int linux_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data);
int linux_epoll_remove(int epoll, int descriptor);
int linux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int milliseconds);
int linux_eventfd(void);

// Descriptors.
int linux_close(int descriptor);
int64_t linux_read(int descriptor, void *buffer, size_t count);
int64_t linux_write(int descriptor, const void *buffer, size_t count);
int64_t linux_send(int socket, const void *buffer, size_t count);
int64_t linux_splice(int source, int sink, size_t count);
int linux_pipe(int ends[2], int capacity);
int linux_open_null(void);
int linux_raise_descriptor_limit(void);

// Sockets. All are non-blocking and close-on-exec.
int linux_listen(const struct linux_address *address, int backlog, int joins);
int linux_listen_unix(const char *path, int backlog);
int linux_unlink(const char *path);
int linux_accept(int listener, struct linux_address *peer);
int linux_tcp_socket(int family);
int linux_connect(int socket, const struct linux_address *address);
int linux_local_address(int socket, struct linux_address *address);
int linux_peer_address(int socket, struct linux_address *address);
int linux_shutdown_write(int socket);
int linux_reset_on_close(int socket);
int linux_keep_alive(int socket, int seconds);
int linux_notify(const char *path, size_t length, const char *message);

// Signals: blocked in the calling thread and those it starts, and then waited for.
int linux_block_signals(const int *signals, int count);
int linux_wait_signal(const int *signals, int count);

#endif
