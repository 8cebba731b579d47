// The command line, the loops and their listeners.

#define _GNU_SOURCE
#include "bare.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
  const char *name;
  enum job job;
  int ports;
} jobs[] = {
  {"relay-splice", RELAY_SPLICE, 2},
  {"relay-copy", RELAY_COPY, 2},
  {"socks-splice", SOCKS_SPLICE, 1},
  {"socks-chain", SOCKS_CHAIN, 2},
  {"udp-chain", UDP_CHAIN, 3},
};

static void usage(void) {
  fputs("usage: bare relay-splice PORT TARGET_PORT\n"
        "       bare relay-copy PORT TARGET_PORT\n"
        "       bare socks-splice PORT\n"
        "       bare socks-chain PORT UPSTREAM_PORT\n"
        "       bare udp-chain PORT FIRST_UPSTREAM_PORT SECOND_UPSTREAM_PORT\n"
        "All ports are of 127.0.0.1.\n",
        stderr);
  exit(2);
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static struct sockaddr_in loopback(const char *port) {
  char *end;
  long number = strtol(port, &end, 10);
  if (*port == 0 || *end != 0 || number < 1 || number > 65535) usage();
  return (struct sockaddr_in){
    .sin_family = AF_INET,
    .sin_port = htons((uint16_t)number),
    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
}

// TCP_NODELAY is inherited by what the listener accepts.
static int listen_on(const struct sockaddr_in *address) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (bind(listener, (const struct sockaddr *)address, sizeof *address) != 0) fail("bind");
  if (listen(listener, 4096) != 0) fail("listen");
  return listener;
}

static struct loop *make_loop(enum job job, const struct sockaddr_in addresses[3]) {
  struct loop *loop = calloc(1, sizeof *loop);
  if (!loop) fail("calloc");
  loop->job = job;
  loop->target = addresses[1];
  loop->second = addresses[2];
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll < 0) fail("epoll_create1");
  loop->listener = listen_on(&addresses[0]);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->listener, &event) != 0) fail("epoll_ctl");
  return loop;
}

static void accept_clients(struct loop *loop) {
  loop->starved = false;
  for (;;) {
    int client = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) {
      tunnel_start(loop, client);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      loop->starved = errno != EAGAIN;
      return;
    }
  }
}

static void free_ended(struct loop *loop) {
  while (loop->ended) {
    struct tunnel *tunnel = loop->ended;
    loop->ended = tunnel->next;
    free(tunnel);
  }
}

static void *run(void *argument) {
  struct loop *loop = argument;
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(loop->epoll, events, 256, -1);
    for (int index = 0; index < count; index++) {
      uintptr_t data = events[index].data.u64;
      if (data == 0) {
        accept_clients(loop);
        continue;
      }
      struct tunnel *tunnel = (struct tunnel *)(data & ~(uintptr_t)3);
      if (data & DATAGRAMS) {
        association_handle(loop, tunnel, data & 1);
      } else {
        tunnel_handle(loop, tunnel, data & 1, events[index].events);
      }
    }
    if (!loop->ended) continue;
    free_ended(loop);
    if (loop->starved) accept_clients(loop);
  }
  return NULL;
}

int main(int count, char **arguments) {
  if (count < 3) usage();
  for (size_t index = 0; index < sizeof jobs / sizeof *jobs; index++) {
    if (strcmp(arguments[1], jobs[index].name) != 0) continue;
    if (count != 2 + jobs[index].ports) usage();
    struct sockaddr_in addresses[3] = {0};
    for (int port = 0; port < jobs[index].ports; port++) addresses[port] = loopback(arguments[2 + port]);

    signal(SIGPIPE, SIG_IGN);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (long other = 1; other < cores; other++) {
      pthread_t thread;
      struct loop *loop = make_loop(jobs[index].job, addresses);
      if (pthread_create(&thread, NULL, run, loop) != 0) fail("pthread_create");
    }
    run(make_loop(jobs[index].job, addresses));
  }
  usage();
}
