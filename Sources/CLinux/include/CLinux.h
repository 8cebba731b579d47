// The Linux calls that Swift's Glibc hides behind _GNU_SOURCE or macros.
//
// Every function answers what the call of its name answers, or a negated errno: no caller has to read errno after
// other code may have changed it. Calls interrupted by a signal are repeated.

#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

// An IP address and port without the sockaddr zoo. `family` is 4 or 6, or 0 for any other family.
struct linux_address {
  uint8_t family;
  uint16_t port;
  uint8_t octets[16];  // network order, the first 4 for IPv4
  uint32_t scope;      // the interface's index, for a link-local IPv6 address; else 0
};

// A datagram in memory. It goes to `destination`, or where its socket is connected to if that has family 0.
struct linux_datagram {
  uint8_t *bytes;
  size_t count;
  struct linux_address source;
  struct linux_address destination;
};

// How many datagrams one call moves at most.
#define LINUX_DATAGRAM_BATCH 32

// Which other listeners the same address may have: none, listeners that join later, or those that this one joins.
enum linux_sharing { LINUX_ALONE, LINUX_SHARED, LINUX_JOINS };

// What makes a descriptor unfit to be accepted from.
enum linux_unfit {
  LINUX_FIT,
  LINUX_NOT_OPEN,
  LINUX_NO_SOCKET,
  LINUX_NO_STREAM,
  LINUX_NO_LISTENER,
  LINUX_OTHER_FAMILY,
  LINUX_BOTH_FAMILIES  // listens on all addresses of IPv6 and of IPv4
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
// Octets written to a TCP socket that its peer has not acknowledged.
int64_t linux_unacknowledged(int socket);
int64_t linux_splice(int source, int sink, size_t count);
// -ENOBUFS when it would hold less than `least`: past pipe-user-pages-soft the kernel gives an unprivileged user two pages.
int linux_pipe(int ends[2], int capacity, int least);
int linux_open_null(void);
int linux_make_temporary(char *path);
// How many descriptors the process may open from then on.
int linux_raise_descriptor_limit(void);
// How many ports there are to connect from, as far as the system tells.
int linux_local_port_count(void);

// Memory whose pages take room only once they are touched; NULL when there is none.
void *linux_reserve(size_t count);
void linux_release(void *memory, size_t count);
int linux_can_allocate(size_t count);
// Where RLIMIT_AS limits address space, all threads share one arena of malloc(3). To be called before they start.
void linux_share_arena(void);

// Sockets. All are non-blocking and close-on-exec.
int linux_listen(const struct linux_address *address, int backlog, enum linux_sharing sharing);
int linux_listen_unix(const char *path, int backlog, unsigned mode);
// Takes over a listening socket that another program opened: where it listens, as an address or a path that ends with
// NUL ('@' begins an abstract one). Answers what makes the descriptor unfit, or a negated errno.
int linux_adopt_listener(int descriptor, struct linux_address *address, char *path, size_t capacity);
int linux_duplicate(int descriptor);
int linux_connect_unix(const char *path);
int64_t linux_peer_user(int socket);
int linux_unlink(const char *path);
// Drops the SYNs that arrive at a listening socket from now on. A handshake whose SYN has arrived is completed.
int linux_drop_connection_requests(int socket);
int linux_accept(int listener, struct linux_address *peer);
int linux_tcp_socket(int family);
int linux_connect(int socket, const struct linux_address *address);
// 1 when the kernel delivers to this host what is sent to the address; 0 when not, or when that
// cannot be known. A few system calls: ask only when it matters.
int linux_is_own_address(const struct linux_address *address);
int linux_local_address(int socket, struct linux_address *address);
int linux_peer_address(int socket, struct linux_address *address);
int linux_shutdown_write(int socket);
int linux_reset_on_close(int socket);
int linux_keep_alive(int socket, int seconds);
long linux_round_trip_microseconds(int socket);
int linux_unacknowledged_segments(int socket);
int linux_udp_socket(int family);
int linux_bind(int socket, const struct linux_address *address);
int linux_address_towards(const struct linux_address *destination, struct linux_address *source);
int64_t linux_send_to(int socket, const void *buffer, size_t count, const struct linux_address *destination);
int linux_receive_datagrams(int socket, struct linux_datagram *datagrams, int count);
int linux_send_datagrams(int socket, const struct linux_datagram *datagrams, const uint8_t *order, int count);
// Returns at once: while the receiver has no room, a thread of its own waits for it.
int linux_notify(const char *path, size_t length, const char *message);

// Programs. The one that is started holds no signal back. `linux_reap` answers 1 and the exit status once it has ended,
// 128 and the signal's number if by a signal, and 0 while it runs. A file has capabilities or not: 1 or 0.
int linux_spawn(char *const arguments[], char *const environment[]);
int linux_reap(int process, int *status);
int linux_has_capabilities(int file);

// Signals: blocked in the calling thread and those it starts, and then waited for.
int linux_block_signals(const int *signals, int count);
int linux_wait_signal(const int *signals, int count);

#endif
