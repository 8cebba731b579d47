// The least a proxy can cost: a relay, and a SOCKS5 server for streams and datagrams without checks, rules, timers or
// log.
//
// One thread and one edge-triggered epoll per core, each with its own SO_REUSEPORT listener; a tunnel stays with
// the loop that accepted it. What `sockeye` costs above this is what its features cost.

#ifndef BARE_H
#define BARE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum job {
  RELAY_SPLICE,  // to one fixed target, through pipes
  RELAY_COPY,    // to one fixed target, through a buffer
  SOCKS_SPLICE,  // RFC 1928 CONNECT, then through pipes, and UDP ASSOCIATE
  SOCKS_CHAIN,   // CONNECT through one upstream that is asked in turn
  UDP_CHAIN,     // UDP ASSOCIATE through two upstreams
};

struct pipe {
  int out, in;
  struct pipe *next;
};

// Datagrams under way, each behind room for the header of one hop.
enum { BATCH = 32, HEADER = 10, LARGEST = 65536 };

struct batch {
  struct mmsghdr headers[BATCH];
  struct iovec contents[BATCH];
  struct sockaddr_in peers[BATCH];
  uint8_t bytes[BATCH][HEADER + LARGEST];
};

struct loop {
  int epoll;
  int listener;
  enum job job;
  struct sockaddr_in target;  // of a relay: the target; of a chain: the upstream
  bool starved;               // out of descriptors: accepting goes on when a tunnel ends
  struct pipe *pipes;         // empty, for the next direction that has something to move
  struct tunnel *ended;       // freed after the batch of events that may still name them
  struct sockaddr_in second;  // of UDP_CHAIN: the upstream behind the first
  struct batch batch;
  uint8_t scratch[65536];
};

// One way of a tunnel. While nothing is under way it holds neither pipe nor buffer.
struct direction {
  struct pipe *pipe;
  uint8_t *kept;
  uint32_t offset, pending;  // of what was read and not written yet
  bool ended;                // the source has said all
  bool told;                 // and the receiver knows
};

enum phase { GREETING, REQUEST, CONNECTING, METHOD, REPLY, RELAYING, ASSOCIATED, OVER };

enum side { CLIENT, TARGET };

struct tunnel {
  int descriptor[2];
  enum phase phase;
  struct handshake *handshake;  // gone once the tunnel relays
  struct direction from[2];
  struct association *association;
  struct tunnel *next;
};

// The events of an association's sockets carry this beside their side.
enum { DATAGRAMS = 2 };

// tunnel.c
void tunnel_start(struct loop *loop, int client);
void tunnel_handle(struct loop *loop, struct tunnel *tunnel, enum side side, uint32_t events);
void tunnel_end(struct loop *loop, struct tunnel *tunnel);

// relay.c
//
// False: the tunnel is beyond use.
bool relay_handle(struct loop *loop, struct tunnel *tunnel, enum side side, uint32_t events);
bool relay_start(struct loop *loop, struct tunnel *tunnel);
void direction_drop(struct direction *direction);

// datagrams.c
//
// Begins an association and fills in the reply to its request, or answers false.
bool association_start(struct loop *loop, struct tunnel *tunnel, uint8_t reply[HEADER]);
void association_handle(struct loop *loop, struct tunnel *tunnel, enum side side);
void association_end(struct tunnel *tunnel);

#endif
