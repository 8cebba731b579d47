// A tunnel from accept to the first relayed byte: RFC 1928 §3–6, CONNECT to addresses and UDP ASSOCIATE, no
// authentication.

#define _GNU_SOURCE
#include "bare.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct buffer {
  uint8_t bytes[512];
  size_t count;
};

struct handshake {
  struct buffer client;    // not parsed yet, or early bytes for the target
  struct buffer upstream;  // not passed on yet
  uint8_t request[22];     // as the client sent it, for the upstream
  size_t request_count;
};

enum { MORE = 0, FAILED = -1 };

static void drop_front(struct buffer *buffer, size_t count) {
  buffer->count -= count;
  memmove(buffer->bytes, buffer->bytes + count, buffer->count);
}

// What is written during a handshake always fits an empty send buffer.
static bool send_all(int descriptor, const void *bytes, size_t count) {
  return write(descriptor, bytes, count) == (ssize_t)count;
}

static bool reply(struct tunnel *tunnel, uint8_t code) {
  const uint8_t message[10] = {5, code, 0, 1};
  return send_all(tunnel->descriptor[CLIENT], message, sizeof message);
}

static uint8_t reply_code(int error) {
  switch (error) {
  case ECONNREFUSED: return 5;
  case ENETUNREACH: return 3;
  case EHOSTUNREACH: case ETIMEDOUT: return 4;
  default: return 1;
  }
}

static bool watch(struct loop *loop, struct tunnel *tunnel, enum side side) {
  struct epoll_event event = {
    .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
    .data.u64 = (uintptr_t)tunnel | side,
  };
  return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, tunnel->descriptor[side], &event) == 0;
}

static bool refuse(struct loop *loop, struct tunnel *tunnel, int error) {
  if (loop->job >= SOCKS_SPLICE) reply(tunnel, reply_code(error));
  return false;
}

static bool dial(struct loop *loop, struct tunnel *tunnel, const struct sockaddr *address, socklen_t size) {
  int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return refuse(loop, tunnel, errno);
  tunnel->descriptor[TARGET] = descriptor;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  tunnel->phase = CONNECTING;
  if (connect(descriptor, address, size) != 0 && errno != EINPROGRESS) return refuse(loop, tunnel, errno);
  return watch(loop, tunnel, TARGET);
}

// The early bytes go out before the loop reads on: they are the first of their direction.
static bool begin_relay(struct loop *loop, struct tunnel *tunnel) {
  struct handshake *handshake = tunnel->handshake;
  tunnel->phase = RELAYING;
  if (handshake) {
    struct buffer *early = &handshake->client;
    if (early->count > 0 && !send_all(tunnel->descriptor[TARGET], early->bytes, early->count)) return false;
    free(handshake);
    tunnel->handshake = NULL;
  }
  return relay_start(loop, tunnel);
}

static bool on_connected(struct loop *loop, struct tunnel *tunnel, uint32_t events) {
  if (events & (EPOLLERR | EPOLLHUP)) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(tunnel->descriptor[TARGET], SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return refuse(loop, tunnel, error);
  } else if (!(events & EPOLLOUT)) {
    return true;
  }
  if (loop->job == SOCKS_CHAIN) {
    tunnel->phase = METHOD;
    return send_all(tunnel->descriptor[TARGET], (uint8_t[]){5, 1, 0}, 3);
  }
  if (loop->job == SOCKS_SPLICE && !reply(tunnel, 0)) return false;
  return begin_relay(loop, tunnel);
}

// Each parser returns the length of its message, or MORE, or FAILED.

static ssize_t parse_greeting(const struct buffer *input) {
  if (input->count < 2) return MORE;
  if (input->bytes[0] != 5) return FAILED;
  size_t length = 2 + input->bytes[1];
  return input->count < length ? MORE : (ssize_t)length;
}

// A request, and a reply, which has the same shape.
static ssize_t parse_message(const struct buffer *input) {
  if (input->count < 4) return MORE;
  if (input->bytes[0] != 5) return FAILED;
  size_t length = input->bytes[3] == 1 ? 10 : input->bytes[3] == 4 ? 22 : 0;
  if (length == 0) return FAILED;
  return input->count < length ? MORE : (ssize_t)length;
}

// The client has nothing more to say, so its handshake is dropped here.
static bool associate(struct loop *loop, struct tunnel *tunnel) {
  uint8_t message[HEADER];
  if (!association_start(loop, tunnel, message)) return refuse(loop, tunnel, 0);
  free(tunnel->handshake);
  tunnel->handshake = NULL;
  tunnel->phase = ASSOCIATED;
  return send_all(tunnel->descriptor[CLIENT], message, sizeof message);
}

static bool dial_request(struct loop *loop, struct tunnel *tunnel, const uint8_t *request) {
  if (request[1] == 3 && loop->job != SOCKS_CHAIN) return associate(loop, tunnel);
  if (request[1] != 1 || loop->job == UDP_CHAIN) {
    reply(tunnel, 7);
    return false;
  }
  if (loop->job == SOCKS_CHAIN) {
    return dial(loop, tunnel, (struct sockaddr *)&loop->target, sizeof loop->target);
  }
  if (request[3] == 1) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    memcpy(&address.sin_addr, request + 4, 4);
    memcpy(&address.sin_port, request + 8, 2);
    return dial(loop, tunnel, (struct sockaddr *)&address, sizeof address);
  }
  struct sockaddr_in6 address = {.sin6_family = AF_INET6};
  memcpy(&address.sin6_addr, request + 4, 16);
  memcpy(&address.sin6_port, request + 20, 2);
  return dial(loop, tunnel, (struct sockaddr *)&address, sizeof address);
}

static ssize_t read_more(int descriptor, struct buffer *buffer) {
  ssize_t count = read(descriptor, buffer->bytes + buffer->count, sizeof buffer->bytes - buffer->count);
  if (count > 0) buffer->count += count;
  if (count < 0 && errno == EAGAIN) return MORE;
  return count > 0 ? count : FAILED;
}

static bool on_client_bytes(struct loop *loop, struct tunnel *tunnel) {
  struct buffer *input = &tunnel->handshake->client;
  ssize_t count = read_more(tunnel->descriptor[CLIENT], input);
  if (count <= 0) return count == MORE;
  if (tunnel->phase == GREETING) {
    ssize_t length = parse_greeting(input);
    if (length <= 0) return length == MORE;
    drop_front(input, length);
    tunnel->phase = REQUEST;
    if (!send_all(tunnel->descriptor[CLIENT], (uint8_t[]){5, 0}, 2)) return false;
  }
  ssize_t length = parse_message(input);
  if (length == FAILED && input->count >= 4) reply(tunnel, 8);
  if (length <= 0) return length == MORE;
  struct handshake *handshake = tunnel->handshake;
  memcpy(handshake->request, input->bytes, length);
  handshake->request_count = length;
  drop_front(input, length);
  return dial_request(loop, tunnel, handshake->request);
}

static bool on_upstream_bytes(struct loop *loop, struct tunnel *tunnel) {
  struct handshake *handshake = tunnel->handshake;
  struct buffer *input = &handshake->upstream;
  ssize_t count = read_more(tunnel->descriptor[TARGET], input);
  if (count <= 0) return count == MORE || refuse(loop, tunnel, 0);
  if (tunnel->phase == METHOD) {
    if (input->count < 2) return true;
    if (input->bytes[0] != 5 || input->bytes[1] != 0) return refuse(loop, tunnel, 0);
    drop_front(input, 2);
    tunnel->phase = REPLY;
    if (!send_all(tunnel->descriptor[TARGET], handshake->request, handshake->request_count)) return false;
  }
  ssize_t length = parse_message(input);
  if (length == FAILED) return refuse(loop, tunnel, 0);
  if (length == MORE) return true;
  bool succeeded = input->bytes[1] == 0;
  if (!send_all(tunnel->descriptor[CLIENT], input->bytes, input->count)) return false;
  return succeeded && begin_relay(loop, tunnel);
}

// A peer that has ended can complete no message.
static bool step(struct loop *loop, struct tunnel *tunnel, enum side side, uint32_t events) {
  bool is_ending = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  bool is_readable = is_ending || events & EPOLLIN;
  switch (tunnel->phase) {
  case GREETING: case REQUEST:
    return !is_readable || (on_client_bytes(loop, tunnel) && !(is_ending && tunnel->phase <= REQUEST));
  case CONNECTING:
    return side == CLIENT || on_connected(loop, tunnel, events);
  case METHOD: case REPLY:
    if (side == CLIENT || !is_readable) return true;
    return on_upstream_bytes(loop, tunnel) && !(is_ending && tunnel->phase != RELAYING);
  case RELAYING: return relay_handle(loop, tunnel, side, events);
  case ASSOCIATED: return !is_ending;
  case OVER: return true;
  }
}

void tunnel_start(struct loop *loop, int client) {
  struct tunnel *tunnel = calloc(1, sizeof *tunnel);
  if (!tunnel) {
    close(client);
    return;
  }
  tunnel->descriptor[CLIENT] = client;
  tunnel->descriptor[TARGET] = -1;
  bool is_alive = watch(loop, tunnel, CLIENT);
  if (loop->job >= SOCKS_SPLICE) {
    tunnel->handshake = calloc(1, sizeof *tunnel->handshake);
    is_alive = is_alive && tunnel->handshake;
  } else {
    is_alive = is_alive && dial(loop, tunnel, (struct sockaddr *)&loop->target, sizeof loop->target);
  }
  if (!is_alive) tunnel_end(loop, tunnel);
}

void tunnel_handle(struct loop *loop, struct tunnel *tunnel, enum side side, uint32_t events) {
  if (!step(loop, tunnel, side, events)) tunnel_end(loop, tunnel);
}

void tunnel_end(struct loop *loop, struct tunnel *tunnel) {
  tunnel->phase = OVER;
  close(tunnel->descriptor[CLIENT]);
  if (tunnel->descriptor[TARGET] >= 0) close(tunnel->descriptor[TARGET]);
  direction_drop(&tunnel->from[CLIENT]);
  direction_drop(&tunnel->from[TARGET]);
  association_end(tunnel);
  free(tunnel->handshake);
  tunnel->next = loop->ended;
  loop->ended = tunnel;
}
