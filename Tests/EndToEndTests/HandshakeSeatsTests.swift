import Foundation
import Testing

/// Clients with several addresses that hold all places for handshakes, at the default limits.
@Suite(.blocking)
struct HandshakeSeatsTests {
  @Test func `four networks of one line that hold all handshakes keep nobody out (T8)`() throws {
    let network = try Network()
    for number in 0..<6 { try network.ip("address add 2001:db8:0:\(number)::1/64 dev lo nodad") }
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      """
      control: unix:\(directory.path)/control.sock
      listen: {address: "[2001:db8:0:5::1]:1080", open: true}
      timeouts: {handshake: 600s}
      default: reject

      """, in: network)
    let exit = try run(
      """
      def connect(number):
        c = socket.create_connection(("2001:db8:0:5::1", 1080), 60, ("2001:db8:0:%d::1" % number, 0))
        c.sendall(b"\\5\\1\\0")
        return c
      silent = [connect(number % 4) for number in range(1024)]
      # All of them are heard, so that all places are taken.
      print(sum(c.recv(2) == b"\\5\\0" for c in silent))
      codes = []
      for _ in range(20):
        c = connect(4)
        assert c.recv(2, socket.MSG_WAITALL) == b"\\5\\0"
        c.sendall(b"\\5\\1\\0\\1\\x7f\\0\\0\\1\\0\\x50")
        answer = b""
        while len(answer) < 2: answer += c.recv(2 - len(answer))
        codes.append(answer[1])
        c.close()
      print(set(codes))
      # Some of the oldest were closed; two threads accept, so that not all are in order.
      poll = select.poll()
      for c in silent: poll.register(c, select.POLLIN)
      ready = {descriptor for descriptor, _ in poll.poll(0)}
      closed = [index for index, c in enumerate(silent) if c.fileno() in ready]
      print(len(closed) > 0 and max(closed) < 256, len(closed) <= 20)
      """, in: network)
    #expect(exit.output == ["1024", "{2}", "True True"], "\(exit)")
    let line = try sockeye.process.line(containing: "limit reached: handshakes 1024: ")
    #expect(
      line.contains(
        #/: a handshake was closed for newer ones, the last the oldest of 256 of 2001:db8:(0:[1-3])?:(:)?\/64 /#
      ),
      "\(line)")
    #expect(!sockeye.log.contains { $0.contains("2001:db8:0:4:") && $0.contains("limit reached") })
  }

  /// Runs a program in Python that may open as many sockets as the machine allows.
  private func run(_ program: String, in network: Network) throws -> ChildProcess.Exit {
    let prelude = """
      import resource, select, socket
      resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

      """
    return try ChildProcess.run(
      try Program("python3", package: "python3"), ["-c", prelude + program], in: network)
  }

  @Test func `silent connections of one network beyond its limit hold no place of a handshake (T8)`() throws {
    let network = try Network()
    for address in ["0::1", "0::2", "0::3", "1::1", "5::1"] {
      try network.ip("address add 2001:db8:0:\(address)/64 dev lo nodad")
    }
    let controlled = try ControlledSockeye(
      """
      listen: {address: "[2001:db8:0:5::1]:1080", open: true}
      timeouts: {handshake: 600s}
      default: reject

      """, in: network)
    let exit = try run(
      """
      def connect(address):
        return socket.create_connection(("2001:db8:0:5::1", 1080), 60, ("2001:db8:0:" + address, 0))
      silent = [connect("0::%d" % (number % 3 + 1)) for number in range(1100)]
      # 256 are served, and 64, a sixteenth of all handshakes, are heard to be refused.
      poll = select.poll()
      for c in silent: poll.register(c, select.POLLIN)
      closed = 0
      while closed < 1100 - 256 - 64:
        for descriptor, _ in poll.poll():
          poll.unregister(descriptor)
          closed += 1
      print(closed, len(poll.poll(0)))
      codes = []
      for _ in range(20):
        c = connect("1::1")
        c.sendall(b"\\5\\1\\0")
        assert c.recv(2, socket.MSG_WAITALL) == b"\\5\\0"
        c.sendall(b"\\5\\1\\0\\1\\x7f\\0\\0\\1\\0\\x50")
        answer = b""
        while len(answer) < 2: answer += c.recv(2 - len(answer))
        codes.append(answer[1])
      print(set(codes))
      """, in: network)
    #expect(exit.output == ["780 0", "{2}"], "\(exit)")
    try controlled.sockeye.process.line(
      matching: #/limit reached: per_client 256: a connection was refused, the last of 2001:db8::[123] at /#)
    #expect(try controlled.refusals("per_client") == 844)
    for limit in ["client_handshakes", "handshakes"] { #expect(try controlled.refusals(limit) == 0) }
  }
}
