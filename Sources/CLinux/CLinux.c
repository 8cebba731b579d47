#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define CHECKED(call)                                   \
  ({                                                    \
    __typeof__(call) result_;                           \
    do result_ = (call); while (result_ < 0 && errno == EINTR); \
    result_ < 0 ? -errno : result_;                     \
  })

// MARK: - Threads and time

struct start {
  void (*body)(void *);
  void *argument;
};

static void *run_thread(void *argument) {
  struct start start = *(struct start *)argument;
  free(argument);
  // splice(2) to a socket whose peer has gone raises SIGPIPE, and knows no MSG_NOSIGNAL: EPIPE says enough.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, NULL);
  start.body(start.argument);
  return NULL;
}

int linux_start_thread(void (*body)(void *), void *argument) {
  struct start *start = malloc(sizeof *start);
  if (!start) return -ENOMEM;
  *start = (struct start){body, argument};
  pthread_t thread;
  int error = pthread_create(&thread, NULL, run_thread, start);
  if (error) {
    free(start);
    return -error;
  }
  pthread_detach(thread);
  return 0;
}

static _Thread_local void *thread_owner;

void *linux_thread_owner(void) { return thread_owner; }
void linux_set_thread_owner(void *owner) { thread_owner = owner; }

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t linux_monotonic_nanoseconds(void) { return nanoseconds(CLOCK_MONOTONIC); }
uint64_t linux_wall_clock_nanoseconds(void) { return nanoseconds(CLOCK_REALTIME); }

// MARK: - Polling

int linux_epoll_create(void) { return CHECKED(epoll_create1(EPOLL_CLOEXEC)); }

int linux_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  return CHECKED(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event));
}

int linux_epoll_remove(int epoll, int descriptor) {
  return CHECKED(epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL));
}

int linux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int milliseconds) {
  int count = epoll_wait(epoll, events, capacity, milliseconds);
  return count < 0 ? -errno : count;
}

int linux_eventfd(void) { return CHECKED(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

// MARK: - Descriptors

// Linux has released the descriptor even when close() answers EINTR: repeating it could close another's.
int linux_close(int descriptor) { return close(descriptor) < 0 ? -errno : 0; }

int64_t linux_read(int descriptor, void *buffer, size_t count) { return CHECKED(read(descriptor, buffer, count)); }

int64_t linux_write(int descriptor, const void *buffer, size_t count) {
  return CHECKED(write(descriptor, buffer, count));
}

int64_t linux_send(int socket, const void *buffer, size_t count) {
  return CHECKED(send(socket, buffer, count, MSG_NOSIGNAL));
}

int64_t linux_unacknowledged(int socket) {
  int protocol, count;
  socklen_t size = sizeof protocol;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0) return -errno;
  // For a Unix-domain socket, SIOCOUTQ is the memory in use.
  if (protocol != IPPROTO_TCP) return 0;
  return ioctl(socket, SIOCOUTQ, &count) < 0 ? -errno : count;
}

int64_t linux_splice(int source, int sink, size_t count) {
  return CHECKED(splice(source, NULL, sink, NULL, count, SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
}

int linux_pipe(int ends[2], int capacity, int least) {
  int result = CHECKED(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
  if (result < 0) return result;
  if (fcntl(ends[1], F_SETPIPE_SZ, capacity) >= capacity || fcntl(ends[1], F_GETPIPE_SZ) >= least) return 0;
  close(ends[0]);
  close(ends[1]);
  return -ENOBUFS;
}

int linux_open_null(void) { return CHECKED(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

int linux_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur > INT_MAX ? INT_MAX : (int)limit.rlim_cur;
}

int linux_local_port_count(void) {
  int first = 32768, last = 60999;
  FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
  if (file == NULL) return last - first + 1;
  if (fscanf(file, "%d %d", &first, &last) != 2 || last < first) first = last = 1;
  fclose(file);
  return last - first + 1;
}

int linux_make_temporary(char *path) { return CHECKED(mkostemp(path, O_CLOEXEC)); }

// MARK: - Memory

// With huge pages, the first octet would make two mebibytes resident.
void *linux_reserve(size_t count) {
  void *memory = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  madvise(memory, count, MADV_NOHUGEPAGE);
  return memory;
}

void linux_release(void *memory, size_t count) { munmap(memory, count); }

// glibc reserves 64 to 128 MiB of address space for each thread's arena (mallopt(3)).
void linux_share_arena(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) mallopt(M_ARENA_MAX, 1);
}

int linux_can_allocate(size_t count) {
  void *memory = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  munmap(memory, count);
  return 1;
}

// MARK: - Addresses

union ip_address {
  struct sockaddr generic;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

union local_address {
  struct sockaddr generic;
  struct sockaddr_un local;
};

static socklen_t to_system(const struct linux_address *address, union ip_address *system) {
  memset(system, 0, sizeof *system);
  if (address->family == 4) {
    system->v4.sin_family = AF_INET;
    system->v4.sin_port = htons(address->port);
    memcpy(&system->v4.sin_addr, address->octets, 4);
    return sizeof system->v4;
  }
  system->v6.sin6_family = AF_INET6;
  system->v6.sin6_port = htons(address->port);
  memcpy(&system->v6.sin6_addr, address->octets, 16);
  system->v6.sin6_scope_id = address->scope;
  return sizeof system->v6;
}

static void from_system(const union ip_address *system, struct linux_address *address) {
  memset(address, 0, sizeof *address);
  if (system->generic.sa_family == AF_INET) {
    address->family = 4;
    address->port = ntohs(system->v4.sin_port);
    memcpy(address->octets, &system->v4.sin_addr, 4);
  } else if (system->generic.sa_family == AF_INET6) {
    address->family = 6;
    address->port = ntohs(system->v6.sin6_port);
    memcpy(address->octets, &system->v6.sin6_addr, 16);
    address->scope = system->v6.sin6_scope_id;
  }
}

// MARK: - Sockets

static int enable(int socket, int level, int option) {
  int on = 1;
  return setsockopt(socket, level, option, &on, sizeof on);
}

// Relayed bytes must not wait for an acknowledgement.
static void tune(int socket) { enable(socket, IPPROTO_TCP, TCP_NODELAY); }

static int fail(int socket) {
  int error = errno;
  close(socket);
  return -error;
}

// The first listener on an address is bound before it may be shared: another program that listens there, though it
// shares too, is an error then. Those that join the first must share before they are bound.
//
// Accepted sockets inherit the listener's options, so tuning the listener saves a call a connection.
int linux_listen(const struct linux_address *address, int backlog, enum linux_sharing sharing) {
  union ip_address system;
  socklen_t length = to_system(address, &system);
  int listener = socket(system.generic.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) return -errno;
  enable(listener, SOL_SOCKET, SO_REUSEADDR);
  if (sharing == LINUX_JOINS && enable(listener, SOL_SOCKET, SO_REUSEPORT) < 0) return fail(listener);
  if (address->family == 6 && enable(listener, IPPROTO_IPV6, IPV6_V6ONLY) < 0) return fail(listener);
  tune(listener);
  if (bind(listener, &system.generic, length) < 0) return fail(listener);
  if (sharing == LINUX_SHARED && enable(listener, SOL_SOCKET, SO_REUSEPORT) < 0) return fail(listener);
  if (listen(listener, backlog) < 0) return fail(listener);
  return listener;
}

// Replaces a socket file at which no program listens: an earlier run has left it. Where one listens, the answer is
// -EADDRINUSE.
int linux_listen_unix(const char *path, int backlog, unsigned mode) {
  union local_address system = {.local = {.sun_family = AF_UNIX}};
  if (strlen(path) >= sizeof system.local.sun_path) return -ENAMETOOLONG;
  strcpy(system.local.sun_path, path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) return -errno;
  struct stat existing;
  if (lstat(path, &existing) == 0 && S_ISSOCK(existing.st_mode)) {
    if (connect(listener, &system.generic, sizeof system.local) == 0 || errno != ECONNREFUSED) {
      close(listener);
      return -EADDRINUSE;
    }
    unlink(path);
  }
  // bind(2) gives the file the socket's mode, less the umask: no client can connect before the mode holds.
  if (fchmod(listener, mode) < 0) return fail(listener);
  if (bind(listener, &system.generic, sizeof system.local) < 0) return fail(listener);
  if (listen(listener, backlog) < 0) return fail(listener);
  return listener;
}

// The value of a socket option that is one number; -1 when the socket has no such option.
static int option(int socket, int level, int name) {
  int value;
  socklen_t length = sizeof value;
  return getsockopt(socket, level, name, &value, &length) < 0 ? -1 : value;
}

static int set_flag(int descriptor, int get, int set, int flag) {
  int flags = fcntl(descriptor, get);
  return flags < 0 || fcntl(descriptor, set, flags | flag) < 0 ? -errno : 0;
}

int linux_adopt_listener(int descriptor, struct linux_address *address, char *path, size_t capacity) {
  if (fcntl(descriptor, F_GETFD) < 0) return LINUX_NOT_OPEN;
  int type = option(descriptor, SOL_SOCKET, SO_TYPE);
  if (type < 0) return LINUX_NO_SOCKET;
  int family = option(descriptor, SOL_SOCKET, SO_DOMAIN);
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return LINUX_OTHER_FAMILY;
  if (type != SOCK_STREAM) return LINUX_NO_STREAM;
  if (family != AF_UNIX && option(descriptor, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP) return LINUX_NO_STREAM;
  if (option(descriptor, SOL_SOCKET, SO_ACCEPTCONN) != 1) return LINUX_NO_LISTENER;

  union {
    union ip_address ip;
    union local_address local;
    // A path may take all 108 octets, without a NUL.
    char octets[sizeof(struct sockaddr_un) + 1];
  } system = {0};
  socklen_t length = sizeof system - 1;
  if (getsockname(descriptor, &system.ip.generic, &length) < 0) return -errno;
  from_system(&system.ip, address);
  path[0] = 0;
  if (family == AF_UNIX && length > offsetof(struct sockaddr_un, sun_path)) {
    char *name = system.local.local.sun_path;
    if (!name[0]) name[0] = '@';
    if (strlen(name) >= capacity) return -ENAMETOOLONG;
    strcpy(path, name);
  }
  if (family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&system.ip.v6.sin6_addr) &&
      option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY) != 1) {
    return LINUX_BOTH_FAMILIES;
  }
  int error = set_flag(descriptor, F_GETFD, F_SETFD, FD_CLOEXEC);
  if (!error) error = set_flag(descriptor, F_GETFL, F_SETFL, O_NONBLOCK);
  if (!error && family != AF_UNIX) tune(descriptor);
  return error;
}

int linux_duplicate(int descriptor) {
  int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  return copy < 0 ? -errno : copy;
}

int linux_connect_unix(const char *path) {
  union local_address system = {.local = {.sun_family = AF_UNIX}};
  if (strlen(path) >= sizeof system.local.sun_path) return -ENAMETOOLONG;
  strcpy(system.local.sun_path, path);
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection < 0) return -errno;
  if (CHECKED(connect(connection, &system.generic, sizeof system.local)) < 0) return fail(connection);
  return connection;
}

int64_t linux_peer_user(int socket) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ? -errno : (int64_t)peer.uid;
}

int linux_unlink(const char *path) { return unlink(path) < 0 ? -errno : 0; }

// socket(7), SO_ATTACH_FILTER: passes everything but a SYN without ACK. The filter sees the TCP header (RFC 9293 §3.1),
// of which octet 13 has the flags. What answers a SYN-ACK passes, so that connections in progress are made.
int linux_drop_connection_requests(int socket) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
  };
  struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
  return CHECKED(setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter));
}

int linux_accept(int listener, struct linux_address *peer) {
  union ip_address system = {0};
  socklen_t length = sizeof system;
  int connection = CHECKED(accept4(listener, &system.generic, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (connection >= 0) from_system(&system, peer);
  return connection;
}

int linux_tcp_socket(int family) {
  int result = CHECKED(socket(family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (result >= 0) tune(result);
  return result;
}

int linux_connect(int socket, const struct linux_address *address) {
  union ip_address system;
  socklen_t length = to_system(address, &system);
  return connect(socket, &system.generic, length) < 0 ? -errno : 0;
}

// Whether bind(2) takes an address: this host has it, or is let to take any (ip_nonlocal_bind).
static int can_bind(const struct linux_address *address) {
  struct linux_address any_port = *address;
  any_port.port = 0;
  union ip_address system;
  socklen_t length = to_system(&any_port, &system);
  int probe = socket(system.generic.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return 0;
  int result = bind(probe, &system.generic, length) == 0;
  close(probe);
  return result;
}

// Whether the kernel delivers to this host what is sent to an address (rtnetlink(7), RTM_GETROUTE): also an address of no
// interface, of which bind(2) knows over IPv4 only (`ip route add local`). -1 when it does not say.
static int is_routed_here(const struct linux_address *address) {
  size_t length = address->family == 4 ? 4 : 16;
  struct {
    struct nlmsghdr header;
    struct rtmsg route;
    struct rtattr attribute;
    uint8_t destination[16];
  } question = {
      .header = {.nlmsg_len = sizeof question - 16 + length, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
      .route = {.rtm_family = address->family == 4 ? AF_INET : AF_INET6, .rtm_dst_len = length * 8},
      .attribute = {.rta_len = RTA_LENGTH(length), .rta_type = RTA_DST},
  };
  memcpy(question.destination, address->octets, length);
  // What follows is of no interest, and is cut off.
  struct {
    struct nlmsghdr header;
    struct rtmsg route;
  } answer;
  int probe = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (probe < 0) return -1;
  // The answer is there when the question is sent.
  ssize_t count = send(probe, &question, question.header.nlmsg_len, 0);
  if (count >= 0) count = recv(probe, &answer, sizeof answer, MSG_DONTWAIT);
  close(probe);
  if (count < (ssize_t)sizeof answer || answer.header.nlmsg_type != RTM_NEWROUTE) return -1;
  return answer.route.rtm_type == RTN_LOCAL;
}

int linux_is_own_address(const struct linux_address *address) {
  // RestrictAddressFamilies= of systemd can forbid a service to ask for routes. Then bind(2) tells of most addresses.
  int is_routed = is_routed_here(address);
  if (is_routed >= 0 || !can_bind(address)) return is_routed > 0;
  // No host has 0.0.0.1 or 100::1 (RFC 6666): where they can be bound too, binding proves nothing.
  struct linux_address unassigned = {.family = address->family};
  unassigned.octets[0] = address->family == 6;
  unassigned.octets[address->family == 6 ? 15 : 3] = 1;
  return !can_bind(&unassigned);
}

int linux_local_address(int socket, struct linux_address *address) {
  union ip_address system = {0};
  socklen_t length = sizeof system;
  if (getsockname(socket, &system.generic, &length) < 0) return -errno;
  from_system(&system, address);
  return 0;
}

int linux_peer_address(int socket, struct linux_address *address) {
  union ip_address system = {0};
  socklen_t length = sizeof system;
  if (getpeername(socket, &system.generic, &length) < 0) return -errno;
  from_system(&system, address);
  return 0;
}

int linux_shutdown_write(int socket) { return shutdown(socket, SHUT_WR) < 0 ? -errno : 0; }

int linux_keep_alive(int socket, int seconds) {
  int probes = 4;
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  return enable(socket, SOL_SOCKET, SO_KEEPALIVE) < 0 ? -errno : 0;
}

int linux_reset_on_close(int socket) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  return setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0 ? -errno : 0;
}

// MARK: - Datagrams

// Datagrams are never marked "don't fragment": one that is too big for a link is to arrive in pieces. Bursts wait in
// the largest buffers the kernel allows.
int linux_udp_socket(int family) {
  int is_v4 = family == 4;
  int result = CHECKED(socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (result < 0) return result;
  int size = 4 << 20;
  setsockopt(result, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(result, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  if (is_v4) {
    int never = IP_PMTUDISC_DONT;
    if (setsockopt(result, IPPROTO_IP, IP_MTU_DISCOVER, &never, sizeof never) < 0) return fail(result);
  } else {
    int never = IPV6_PMTUDISC_DONT;
    if (enable(result, IPPROTO_IPV6, IPV6_V6ONLY) < 0) return fail(result);
    if (setsockopt(result, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &never, sizeof never) < 0) return fail(result);
  }
  return result;
}

int linux_bind(int socket, const struct linux_address *address) {
  union ip_address system;
  socklen_t length = to_system(address, &system);
  return bind(socket, &system.generic, length) < 0 ? -errno : 0;
}

// Connecting a datagram socket sends nothing, but chooses the route and the address to send from.
int linux_address_towards(const struct linux_address *destination, struct linux_address *source) {
  int probe = linux_udp_socket(destination->family);
  if (probe < 0) return probe;
  int result = linux_connect(probe, destination);
  if (result == 0) result = linux_local_address(probe, source);
  close(probe);
  return result;
}

int64_t linux_send_to(int socket, const void *buffer, size_t count, const struct linux_address *destination) {
  union ip_address system;
  socklen_t length = destination ? to_system(destination, &system) : 0;
  return CHECKED(sendto(socket, buffer, count, MSG_NOSIGNAL, length ? &system.generic : NULL, length));
}

// An error behind some datagrams is kept by the kernel, which reports it in the next call.
int linux_receive_datagrams(int socket, struct linux_datagram *datagrams, int count) {
  struct mmsghdr headers[LINUX_DATAGRAM_BATCH];
  struct iovec contents[LINUX_DATAGRAM_BATCH];
  union ip_address sources[LINUX_DATAGRAM_BATCH];
  if (count > LINUX_DATAGRAM_BATCH) return -EINVAL;
  for (int index = 0; index < count; index++) {
    contents[index] = (struct iovec){datagrams[index].bytes, datagrams[index].count};
    headers[index].msg_hdr = (struct msghdr){
      .msg_name = &sources[index],
      .msg_namelen = sizeof sources[index],
      .msg_iov = &contents[index],
      .msg_iovlen = 1,
    };
  }
  int received = CHECKED(recvmmsg(socket, headers, (unsigned)count, MSG_DONTWAIT, NULL));
  for (int index = 0; index < received; index++) {
    datagrams[index].count = headers[index].msg_len;
    from_system(&sources[index], &datagrams[index].source);
  }
  return received;
}

// What fits into an Ethernet frame without being fragmented, by IPv6 too.
enum { LARGEST_SEGMENT = 1500 - 40 - 8, LARGEST_RUN = 65000 };

static int is_same(const struct linux_address *one, const struct linux_address *other) {
  return one->family == other->family && one->port == other->port && one->scope == other->scope &&
         memcmp(one->octets, other->octets, sizeof one->octets) == 0;
}

// How many of the datagrams the kernel can cut out of one message: to one destination and of one size, but for the
// last, which may be shorter.
static int run_length(const struct linux_datagram *datagrams, const uint8_t *order, int count) {
  const struct linux_datagram *first = &datagrams[order[0]];
  size_t total = first->count;
  int length = 1;
  if (total > LARGEST_SEGMENT) return length;
  for (int is_last = 0; length < count && !is_last; length++) {
    const struct linux_datagram *next = &datagrams[order[length]];
    total += next->count;
    if (next->count == 0 || next->count > first->count || total > LARGEST_RUN) break;
    if (!is_same(&first->destination, &next->destination)) break;
    is_last = next->count < first->count;
  }
  return length;
}

union segment_size {
  struct cmsghdr header;
  char space[CMSG_SPACE(sizeof(uint16_t))];
};

// udp(7), UDP_SEGMENT.
static void cut(struct msghdr *message, union segment_size *control, size_t size) {
  *control = (union segment_size){.header = {
    .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t))}};
  memcpy(CMSG_DATA(&control->header), &(uint16_t){(uint16_t)size}, sizeof(uint16_t));
  message->msg_control = control;
  message->msg_controllen = sizeof *control;
}

static int send_datagrams(int socket, const struct linux_datagram *datagrams, const uint8_t *order, int count,
                          int in_runs) {
  struct mmsghdr headers[LINUX_DATAGRAM_BATCH];
  struct iovec contents[LINUX_DATAGRAM_BATCH];
  union ip_address destinations[LINUX_DATAGRAM_BATCH];
  union segment_size segments[LINUX_DATAGRAM_BATCH];
  int messages = 0;
  for (int index = 0; index < count; messages++) {
    const struct linux_datagram *first = &datagrams[order[index]];
    struct msghdr *message = &headers[messages].msg_hdr;
    int length = in_runs ? run_length(datagrams, order + index, count - index) : 1;
    *message = (struct msghdr){.msg_iov = &contents[index], .msg_iovlen = (size_t)length};
    if (length > 1) cut(message, &segments[messages], first->count);
    if (first->destination.family != 0) {
      message->msg_name = &destinations[messages];
      message->msg_namelen = to_system(&first->destination, &destinations[messages]);
    }
    for (int end = index + length; index < end; index++) {
      contents[index] = (struct iovec){datagrams[order[index]].bytes, datagrams[order[index]].count};
    }
  }
  int sent = CHECKED(sendmmsg(socket, headers, (unsigned)messages, MSG_DONTWAIT | MSG_NOSIGNAL));
  if (sent < 0) {
    int length = (int)headers[0].msg_hdr.msg_iovlen;
    if (length == 1 || sent == -EAGAIN || sent == -ENOBUFS) return sent;
    return send_datagrams(socket, datagrams, order, length, 0);
  }
  int result = 0;
  for (int index = 0; index < sent; index++) result += (int)headers[index].msg_hdr.msg_iovlen;
  return result;
}

// Answers how many were sent; the error is that of the first, when not even that was.
//
// A run goes through the network stack as one, which takes most of the cost of sending off it. Where that cannot be, on
// a link of small frames or through IPsec, its datagrams are sent one by one.
int linux_send_datagrams(int socket, const struct linux_datagram *datagrams, const uint8_t *order, int count) {
  if (count > LINUX_DATAGRAM_BATCH) return -EINVAL;
  return send_datagrams(socket, datagrams, order, count, 1);
}

// MARK: - The service manager

struct notice {
  int socket;
  union local_address system;
  socklen_t size;
  char *message;
};

static void send_notice(void *argument) {
  struct notice *notice = argument;
  CHECKED(sendto(notice->socket, notice->message, strlen(notice->message), MSG_NOSIGNAL, &notice->system.generic,
                 notice->size));
  close(notice->socket);
  free(notice->message);
  free(notice);
}

// A path that begins with '@' is in the abstract namespace (sd_notify(3)).
int linux_notify(const char *path, size_t length, const char *message) {
  union local_address system = {.local = {.sun_family = AF_UNIX}};
  if (length == 0 || length >= sizeof system.local.sun_path) return -ENAMETOOLONG;
  memcpy(system.local.sun_path, path, length);
  if (path[0] == '@') system.local.sun_path[0] = 0;
  int socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return -errno;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  if (sendto(socket_, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT, &system.generic, size) >= 0) {
    close(socket_);
    return 0;
  }
  if (errno != EAGAIN) return fail(socket_);
  // A message that is lost may cost the service its life, and a manager that is busy may not read for long.
  struct notice *notice = malloc(sizeof *notice);
  char *copy = strdup(message);
  if (notice && copy) {
    *notice = (struct notice){socket_, system, size, copy};
    if (linux_start_thread(send_notice, notice) == 0) return 0;
  }
  free(notice);
  free(copy);
  close(socket_);
  return -ENOMEM;
}

// MARK: - Programs

int linux_spawn(char *const arguments[], char *const environment[]) {
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_t attributes;
  int error = posix_spawnattr_init(&attributes);
  if (error) return -error;
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t process;
  error = posix_spawnp(&process, arguments[0], NULL, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  return error ? -error : process;
}

int linux_has_capabilities(int file) {
  return fgetxattr(file, "security.capability", NULL, 0) > 0;
}

int linux_reap(int process, int *status) {
  int raw;
  int result = CHECKED(waitpid(process, &raw, WNOHANG));
  if (result <= 0) return result;
  *status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
  return 1;
}

// MARK: - Signals

static sigset_t set_of(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int index = 0; index < count; index++) sigaddset(&set, signals[index]);
  return set;
}

int linux_block_signals(const int *signals, int count) {
  sigset_t set = set_of(signals, count);
  return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int linux_wait_signal(const int *signals, int count) {
  sigset_t set = set_of(signals, count);
  return CHECKED(sigwaitinfo(&set, NULL));
}
