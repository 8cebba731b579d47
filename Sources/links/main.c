// A row of network namespaces, each joined to the next by a link that takes its time: every packet is held for as long,
// in order, and none is lost. For kernels without netem, and as one picture of who reaches whom.
//
// The ends of a link are TUN devices: "on" in the namespace nearer to the first, "back" in the one behind it. Addresses
// and routes are left to ip(8). The namespaces have no names: their paths are printed, one a line, and they are gone as
// soon as this program and those that were started in them have ended.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST_NODES = 16, LARGEST_PACKET = 65536 };

struct packet {
  struct packet *next;
  uint64_t due;  // nanoseconds of the monotonic clock
  size_t count;
  uint8_t bytes[];
};

// One way of a link. All its packets are held for the same time, so the first to come is the first that is due.
struct way {
  int source, sink;
  struct packet *first, **end;
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

// MARK: Namespaces and devices

// Makes a namespace and enters it. The descriptor that its path names stays open.
static void enter_new_namespace(void) {
  if (unshare(CLONE_NEWNET) != 0) fail("a network namespace (only root can make one)");
  int namespace = open("/proc/self/ns/net", O_RDONLY);
  if (namespace < 0) fail("/proc/self/ns/net");
  printf("/proc/%d/fd/%d\n", getpid(), namespace);

  int forwarding = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY);
  if (forwarding < 0 || write(forwarding, "1", 1) != 1) fail("/proc/sys/net/ipv4/ip_forward");
  close(forwarding);
}

// A device of the present namespace, which lasts as long as its descriptor.
static int open_device(const char *name) {
  int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (device < 0) fail("/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strcpy(request.ifr_name, name);
  if (ioctl(device, TUNSETIFF, &request) != 0) fail("a TUN device");
  return device;
}

static struct way way_between(int source, int sink) {
  return (struct way){.source = source, .sink = sink};
}

// Fills in both ways of each link and answers how many ways there are.
static int make_row(int nodes, struct way *ways) {
  int count = 0, on = -1;
  for (int node = 0; node < nodes; node++) {
    enter_new_namespace();
    if (node > 0) {
      int back = open_device("back");
      ways[count++] = way_between(on, back);
      ways[count++] = way_between(back, on);
    }
    if (node < nodes - 1) on = open_device("on");
  }
  return count;
}

// MARK: Delay

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void take(struct way *way, uint64_t delay) {
  static uint8_t bytes[LARGEST_PACKET];
  for (;;) {
    ssize_t count = read(way->source, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) fail("reading from a TUN device");
    struct packet *packet = malloc(sizeof *packet + (size_t)count);
    if (!packet) fail("malloc");
    packet->next = NULL;
    packet->due = now() + delay;
    packet->count = (size_t)count;
    memcpy(packet->bytes, bytes, (size_t)count);
    *way->end = packet;
    way->end = &packet->next;
  }
}

// EIO: that end is not up yet, as when the kernel looks for IPv6 routers before ip(8) has come to it.
static void deliver(struct way *way) {
  while (way->first && way->first->due <= now()) {
    struct packet *packet = way->first;
    ssize_t count = write(way->sink, packet->bytes, packet->count);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EIO) fail("writing to a TUN device");
    way->first = packet->next;
    if (!way->first) way->end = &way->first;
    free(packet);
  }
}

// How long to wait for the first packet that is due; NULL when none is under way.
static struct timespec *until_due(const struct way *ways, int count, struct timespec *time) {
  const struct packet *first = NULL;
  for (int index = 0; index < count; index++) {
    const struct packet *packet = ways[index].first;
    if (packet && (!first || packet->due < first->due)) first = packet;
  }
  if (!first) return NULL;
  uint64_t moment = now();
  uint64_t rest = first->due > moment ? first->due - moment : 0;
  *time = (struct timespec){.tv_sec = (time_t)(rest / 1000000000), .tv_nsec = (long)(rest % 1000000000)};
  return time;
}

static void hold_packets(struct way *ways, int count, uint64_t delay) {
  struct pollfd polled[2 * MOST_NODES];
  for (int index = 0; index < count; index++) {
    polled[index] = (struct pollfd){.fd = ways[index].source, .events = POLLIN};
    ways[index].end = &ways[index].first;
  }
  for (;;) {
    struct timespec time;
    if (ppoll(polled, (nfds_t)count, until_due(ways, count, &time), NULL) < 0 && errno != EINTR) fail("ppoll");
    for (int index = 0; index < count; index++) deliver(&ways[index]);
    for (int index = 0; index < count; index++) {
      if (polled[index].revents) take(&ways[index], delay);
    }
  }
}

// The delays are to be exact on a busy machine too. Where the kernel refuses, they are only less so.
static void hurry(void) {
  prctl(PR_SET_TIMERSLACK, 1);
  sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
}

static long number(const char *text, long least, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*text != 0 && *end == 0 && value >= least && value <= most) return value;
  fputs("usage: links NODES MICROSECONDS\n"
        "2 to 16 nodes; each packet is held for so long on each link.\n",
        stderr);
  exit(2);
}

int main(int count, char **arguments) {
  int nodes = (int)number(count == 3 ? arguments[1] : "", 2, MOST_NODES);
  uint64_t delay = (uint64_t)number(arguments[2], 0, 10000000) * 1000;
  static struct way ways[2 * MOST_NODES];
  int way_count = make_row(nodes, ways);
  hurry();
  if (fflush(stdout) != 0) fail("standard output");
  hold_packets(ways, way_count, delay);
}
