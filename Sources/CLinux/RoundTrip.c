#include "CLinux.h"

#include <errno.h>
// Not <netinet/tcp.h>, whose tcp_info ends before the field.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

long linux_round_trip_microseconds(int socket) {
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return -errno;
  // Before anything was measured it is as large as it can be.
  return info.tcpi_min_rtt == ~0U ? -EAGAIN : (long)info.tcpi_min_rtt;
}

int linux_unacknowledged_segments(int socket) {
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return -errno;
  return (int)info.tcpi_unacked;
}
