// UDP ASSOCIATE (RFC 1928 §7) for IPv4: one socket towards the client and one towards all destinations, or towards the
// first of two hops, each of which gets a header of its own.

#define _GNU_SOURCE
#include "bare.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct association {
  int descriptor[2];
  struct sockaddr_in client;  // port 0 until its first datagram
  // Of a chain: the connections that hold the hops' associations, and the header for the second hop.
  int controls[2];
  uint8_t header[HEADER];
};

static void write_header(uint8_t header[HEADER], const struct sockaddr_in *peer) {
  memcpy(header, (uint8_t[]){0, 0, 0, 1}, 4);
  memcpy(header + 4, &peer->sin_addr, 4);
  memcpy(header + 8, &peer->sin_port, 2);
}

static struct sockaddr_in read_header(const uint8_t header[HEADER]) {
  struct sockaddr_in peer = {.sin_family = AF_INET};
  memcpy(&peer.sin_addr, header + 4, 4);
  memcpy(&peer.sin_port, header + 8, 2);
  return peer;
}

// MARK: - Beginning and ending

static bool ask(int control, const void *question, size_t count, uint8_t *answer, size_t expected) {
  return write(control, question, count) == (ssize_t)count &&
         recv(control, answer, expected, MSG_WAITALL) == (ssize_t)expected;
}

// Asks the server at the end of `control` for the command; the answer's address in `address`.
static bool request(int control, uint8_t command, struct sockaddr_in *address) {
  uint8_t message[HEADER], answer[HEADER];
  if (!ask(control, (uint8_t[]){5, 1, 0}, 3, answer, 2) || answer[1] != 0) return false;
  write_header(message, address);
  message[0] = 5;
  message[1] = command;
  if (!ask(control, message, sizeof message, answer, sizeof answer) || answer[1] != 0) return false;
  *address = read_header(answer);
  return true;
}

static int connect_to(const struct sockaddr_in *address) {
  int control = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (control >= 0 && connect(control, (const struct sockaddr *)address, sizeof *address) == 0) return control;
  if (control >= 0) close(control);
  return -1;
}

// The hops are asked while everything else waits: only what passes afterwards is measured.
static bool open_chain(struct loop *loop, struct association *association) {
  struct sockaddr_in any = {.sin_family = AF_INET}, first = any, second = any, next = loop->second;
  for (int hop = 0; hop < 2; hop++) {
    association->controls[hop] = connect_to(&loop->target);
    if (association->controls[hop] < 0) return false;
  }
  if (!request(association->controls[0], 3, &first) || !request(association->controls[1], 1, &next) ||
      !request(association->controls[1], 3, &second)) {
    return false;
  }
  write_header(association->header, &second);
  return connect(association->descriptor[TARGET], (struct sockaddr *)&first, sizeof first) == 0;
}

static bool open_socket(struct loop *loop, struct tunnel *tunnel, enum side side) {
  int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  tunnel->association->descriptor[side] = descriptor;
  setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &(int){4 << 20}, sizeof(int));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0) return false;
  struct epoll_event event = {
    .events = EPOLLIN | EPOLLET,
    .data.u64 = (uintptr_t)tunnel | DATAGRAMS | side,
  };
  return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool association_start(struct loop *loop, struct tunnel *tunnel, uint8_t reply[HEADER]) {
  struct association *association = calloc(1, sizeof *association);
  if (!association) return false;
  *association = (struct association){.descriptor = {-1, -1}, .controls = {-1, -1}};
  tunnel->association = association;
  struct sockaddr_in bound;
  socklen_t size = sizeof bound;
  if (!open_socket(loop, tunnel, CLIENT) || !open_socket(loop, tunnel, TARGET) ||
      getsockname(association->descriptor[CLIENT], (struct sockaddr *)&bound, &size) != 0 ||
      (loop->job == UDP_CHAIN && !open_chain(loop, association))) {
    return false;
  }
  write_header(reply, &bound);
  reply[0] = 5;
  return true;
}

static void close_both(const int descriptors[2]) {
  for (int index = 0; index < 2; index++) {
    if (descriptors[index] >= 0) close(descriptors[index]);
  }
}

void association_end(struct tunnel *tunnel) {
  struct association *association = tunnel->association;
  if (!association) return;
  close_both(association->descriptor);
  close_both(association->controls);
  free(association);
  tunnel->association = NULL;
}

// MARK: - Moving

static void drop_header(struct iovec *content) {
  content->iov_base = (uint8_t *)content->iov_base + HEADER;
  content->iov_len -= HEADER;
}

static uint8_t *add_header(struct iovec *content) {
  content->iov_base = (uint8_t *)content->iov_base - HEADER;
  content->iov_len += HEADER;
  return content->iov_base;
}

// Readies what the client sent for its destination, or for the chain's first hop. False: it is to be dropped.
static bool wrap_out(struct loop *loop, struct association *association, struct msghdr *message) {
  struct iovec *content = message->msg_iov;
  struct sockaddr_in *peer = message->msg_name;
  const uint8_t *bytes = content->iov_base;
  if (content->iov_len < HEADER || bytes[2] != 0 || bytes[3] != 1) return false;
  if (association->client.sin_port == 0) association->client = *peer;
  if (association->client.sin_port != peer->sin_port) return false;
  if (loop->job == UDP_CHAIN) {
    memcpy(add_header(content), association->header, HEADER);
    message->msg_name = NULL;
    message->msg_namelen = 0;
  } else {
    *peer = read_header(bytes);
    drop_header(content);
  }
  return true;
}

// Readies what came back for the client.
static bool wrap_back(struct loop *loop, struct association *association, struct msghdr *message) {
  struct iovec *content = message->msg_iov;
  struct sockaddr_in *peer = message->msg_name;
  if (loop->job == UDP_CHAIN) {
    if (content->iov_len < HEADER) return false;
    drop_header(content);
  } else {
    write_header(add_header(content), peer);
  }
  *peer = association->client;
  return true;
}

static int receive(struct batch *batch, int descriptor) {
  for (int index = 0; index < BATCH; index++) {
    batch->contents[index] = (struct iovec){batch->bytes[index] + HEADER, LARGEST};
    batch->headers[index].msg_hdr = (struct msghdr){
      .msg_name = &batch->peers[index],
      .msg_namelen = sizeof batch->peers[index],
      .msg_iov = &batch->contents[index],
      .msg_iovlen = 1,
    };
  }
  return recvmmsg(descriptor, batch->headers, BATCH, MSG_DONTWAIT, NULL);
}

// What cannot be sent is lost, as datagrams are.
static void send_all(struct batch *batch, int count, int descriptor) {
  for (int sent = 0; sent < count;) {
    int result = sendmmsg(descriptor, batch->headers + sent, count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    sent += result > 0 ? result : 1;
  }
}

void association_handle(struct loop *loop, struct tunnel *tunnel, enum side side) {
  struct association *association = tunnel->association;
  if (!association) return;
  struct batch *batch = &loop->batch;
  int received;
  do {
    received = receive(batch, association->descriptor[side]);
    int kept = 0;
    for (int index = 0; index < received; index++) {
      struct mmsghdr *header = &batch->headers[index];
      header->msg_hdr.msg_iov->iov_len = header->msg_len;
      bool is_good = side == CLIENT ? wrap_out(loop, association, &header->msg_hdr)
                                    : wrap_back(loop, association, &header->msg_hdr);
      if (is_good) batch->headers[kept++] = *header;
    }
    send_all(batch, kept, association->descriptor[!side]);
  } while (received == BATCH);
}
