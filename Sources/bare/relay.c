// Moving bytes between two sockets, both ways, half-close kept.

#define _GNU_SOURCE
#include "bare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIPE_SIZE = 256 * 1024 };

static struct pipe *take_pipe(struct loop *loop) {
  struct pipe *pipe = loop->pipes;
  if (pipe) {
    loop->pipes = pipe->next;
    return pipe;
  }
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return NULL;
  fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
  pipe = malloc(sizeof *pipe);
  if (!pipe) {
    close(ends[0]);
    close(ends[1]);
    return NULL;
  }
  *pipe = (struct pipe){.out = ends[0], .in = ends[1]};
  return pipe;
}

static void return_pipe(struct loop *loop, struct direction *direction) {
  direction->pipe->next = loop->pipes;
  loop->pipes = direction->pipe;
  direction->pipe = NULL;
}

// `splice` says EAGAIN for an empty source as for a full pipe, so the pipe is emptied before each read.
static bool splice_step(struct loop *loop, struct direction *direction, int source, int receiver) {
  for (;;) {
    while (direction->pending > 0) {
      ssize_t count = splice(direction->pipe->out, NULL, receiver, NULL, direction->pending,
                             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (count < 0) return errno == EAGAIN;
      direction->pending -= count;
    }
    if (direction->ended) break;
    if (!direction->pipe && !(direction->pipe = take_pipe(loop))) return false;
    ssize_t count = splice(source, NULL, direction->pipe->in, NULL, PIPE_SIZE,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (count < 0 && errno != EAGAIN) return false;
    if (count < 0) break;
    direction->ended = count == 0;
    direction->pending = count;
  }
  if (direction->pipe) return_pipe(loop, direction);
  return true;
}

static bool keep(struct direction *direction, const uint8_t *bytes, size_t count) {
  direction->kept = malloc(count);
  if (!direction->kept) return false;
  memcpy(direction->kept, bytes, count);
  direction->offset = 0;
  direction->pending = count;
  return true;
}

// After a short read nothing is left, and what comes later is a new event (epoll(7)); only an end that was
// announced together with the bytes has to be read for.
static bool copy_step(struct loop *loop, struct direction *direction, int source, int receiver, bool ending) {
  for (;;) {
    while (direction->pending > 0) {
      ssize_t count = write(receiver, direction->kept + direction->offset, direction->pending);
      if (count < 0) return errno == EAGAIN;
      direction->offset += count;
      direction->pending -= count;
    }
    free(direction->kept);
    direction->kept = NULL;
    if (direction->ended) return true;

    ssize_t count = read(source, loop->scratch, sizeof loop->scratch);
    if (count < 0) return errno == EAGAIN;
    if (count == 0) {
      direction->ended = true;
      return true;
    }
    ssize_t written = write(receiver, loop->scratch, count);
    if (written < 0 && errno != EAGAIN) return false;
    if (written < 0) written = 0;
    if (written < count && !keep(direction, loop->scratch + written, count - written)) return false;
    if (written == count && (size_t)count < sizeof loop->scratch && !ending) return true;
  }
}

static bool step(struct loop *loop, struct tunnel *tunnel, enum side side, bool ending) {
  struct direction *direction = &tunnel->from[side];
  int source = tunnel->descriptor[side];
  int receiver = tunnel->descriptor[!side];
  return loop->job == RELAY_COPY ? copy_step(loop, direction, source, receiver, ending)
                                 : splice_step(loop, direction, source, receiver);
}

static bool is_finished(const struct direction *direction) {
  return direction->ended && direction->pending == 0;
}

// False when there is nothing left to do in either direction.
static bool tell_ends(struct tunnel *tunnel) {
  if (is_finished(&tunnel->from[CLIENT]) && is_finished(&tunnel->from[TARGET])) return false;
  for (enum side side = CLIENT; side <= TARGET; side++) {
    struct direction *direction = &tunnel->from[side];
    if (direction->told || !is_finished(direction)) continue;
    direction->told = true;
    if (shutdown(tunnel->descriptor[!side], SHUT_WR) != 0) return false;
  }
  return true;
}

bool relay_handle(struct loop *loop, struct tunnel *tunnel, enum side side, uint32_t events) {
  bool ending = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  if ((ending || events & EPOLLIN) && !step(loop, tunnel, side, ending)) return false;
  if (events & EPOLLOUT && tunnel->from[!side].pending > 0 && !step(loop, tunnel, !side, true)) return false;
  return tell_ends(tunnel);
}

// Events that came during the handshake are spent: what they announced is read for here.
bool relay_start(struct loop *loop, struct tunnel *tunnel) {
  return step(loop, tunnel, CLIENT, true) && step(loop, tunnel, TARGET, true) && tell_ends(tunnel);
}

void direction_drop(struct direction *direction) {
  free(direction->kept);
  if (!direction->pipe) return;
  close(direction->pipe->out);
  close(direction->pipe->in);
  free(direction->pipe);
}
