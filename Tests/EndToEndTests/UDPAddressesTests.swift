import Foundation
import Testing

/// Clients at other addresses than loopback's, in a network of their own.
@Suite(.blocking)
struct UDPAddressesTests {
  /// Two ends of a cable, both in one network, with an address of each kind.
  private static func network() throws -> Network {
    let network = try Network()
    try network.ip("link add cable0 type veth peer name cable1")
    for device in ["cable0", "cable1"] { try network.ip("link set \(device) up") }
    try network.ip("address add 10.77.0.1/24 dev cable0")
    try network.ip("address add fe80::77/64 dev cable0 nodad")
    return network
  }

  /// Runs Python with some functions: `ask` sends a request and gives the reply's code and port, `say` sends a datagram
  /// from a port to the relay, and gives the payload of the answer if one is expected.
  private static func python(_ script: String, in network: Network) throws -> [String] {
    let prelude = """
      import socket, struct
      scope = socket.if_nametoindex("cable0")
      def packed(host, port):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return (b"\\4" if ":" in host else b"\\1") + socket.inet_pton(family, host) + struct.pack(">H", port)
      def at(host, port): return (host, port, 0, scope) if ":" in host else (host, port)
      def family(host): return socket.AF_INET6 if ":" in host else socket.AF_INET
      def ask(server, command, host, port):
        c = socket.socket(family(server)); c.settimeout(60); c.connect(at(server, 1080))
        c.sendall(b"\\5\\1\\0"); c.recv(2, socket.MSG_WAITALL)
        c.sendall(b"\\5" + bytes([command]) + b"\\0" + packed(host, port))
        code, kind = c.recv(4, socket.MSG_WAITALL)[1::2]
        bound = c.recv({1: 4, 4: 16}[kind] + 2, socket.MSG_WAITALL)
        return c, code, struct.unpack(">H", bound[-2:])[0]
      def client(server):
        u = socket.socket(family(server), socket.SOCK_DGRAM); u.settimeout(60); u.bind(at(server, 0))
        return u
      echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); echo.settimeout(60); echo.bind(("127.0.0.1", 0))
      def say(u, server, relay, text, answered=True):
        u.sendto(b"\\0\\0\\0" + packed(*echo.getsockname()) + text, at(server, relay))
        if not answered: return
        data, who = echo.recvfrom(500); echo.sendto(data, who)
        return u.recv(500)[10:].decode()

      """
    let exit = try ChildProcess.run(
      try Program("python3", package: "python3"), ["-c", prelude + script], in: network)
    guard exit.status == 0 else { throw NeverHappened(description: "\(exit)") }
    return exit.output
  }

  @Test func `a client at a link-local address is served, with its scope`() throws {
    let network = try Self.network()
    let sockeye = try Sockeye(
      "listen: {address: \"[::]:1080\", open: true}\ndefault: direct\n", in: network)
    let output = try Self.python(
      """
      c, code, relay = ask("fe80::77", 3, "::", 0)
      print(code, say(client("fe80::77"), "fe80::77", relay, b"hello") if code == 0 else "")
      for host, peer in (("::", socket.AF_INET6), ("127.0.0.1", socket.AF_INET)):
        d, code, port = ask("fe80::77", 2, host, 0)
        peer = socket.socket(peer)
        peer.connect(at("fe80::77" if host == "::" else host, port))
        print(code, d.recv(2, socket.MSG_WAITALL)[1])
      """, in: network)
    #expect(output == ["0 hello", "0 0", "0 0"])
    withExtendedLifetime(sockeye) {}
  }

  @Test func `a client whose port moves after ten seconds of silence is followed, and the log says so (G8)`()
    throws
  {
    let (near, far) = (try Network(), try Network())
    try near.connect(as: "10.77.0.1/24", to: far, as: "10.77.0.2/24")
    let sockeye = try Sockeye(
      "listen: {address: \"10.77.0.1:1080\", open: true}\ndefault: direct\n", in: near)
    let output = try ChildProcess.run(
      try Program("python3", package: "python3"),
      [
        "-c",
        """
        import socket, struct, select
        def bound():
          u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(60); u.bind(("10.77.0.2", 0))
          return u
        target, one, other = bound(), bound(), bound()
        c = socket.create_connection(("10.77.0.1", 1080)); c.settimeout(60)
        c.sendall(b"\\5\\1\\0"); c.recv(2, socket.MSG_WAITALL)
        c.sendall(b"\\5\\3\\0\\1" + bytes(6))
        relay = ("10.77.0.1", struct.unpack(">H", c.recv(10, socket.MSG_WAITALL)[-2:])[0])
        head = b"\\0\\0\\0\\1" + socket.inet_aton("10.77.0.2") + struct.pack(">H", target.getsockname()[1])
        one.sendto(head + b"before", relay)
        print(target.recv(500).decode())
        # It is silent to the relay until it may move: strangers do not count.
        for _ in range(600):
          other.sendto(head + b"behind", relay)
          if select.select([target], [], [], 0.1)[0]: break
        data, who = target.recvfrom(500)
        target.sendto(data, who)
        print(other.recv(500)[10:].decode(), one.getsockname()[1], other.getsockname()[1])
        """,
      ], in: far)
    #expect(output.status == 0 && output.output.first == "before", "\(output)")
    let words = try #require(output.output.last).split(separator: " ")
    try #require(words.count == 3 && words[0] == "behind", "\(output)")
    let line = try sockeye.process.line(containing: "port_before=")
    #expect(line.contains(" info udp client=10.77.0.2:"), "\(line)")
    #expect(line.hasSuffix(" port=\(words[2]) port_before=\(words[1])"), "\(line)")
  }

  @Test func `a port that was told at no address is none where a NAT may have changed it (G1)`() throws {
    let network = try Self.network()
    let sockeye = try Sockeye(
      "listen: {address: \"10.77.0.1:1080\", open: true}\ndefault: direct\n", in: network)
    let output = try Self.python(
      """
      server = "10.77.0.1"
      one, other = client(server), client(server)
      told = other.getsockname()[1]
      c, code, relay = ask(server, 3, "0.0.0.0", told)
      print(say(one, server, relay, b"from another port"))
      # An address of its own is none that a NAT has changed.
      d, code, relay = ask(server, 3, server, told)
      say(one, server, relay, b"a stranger", answered=False)
      print(say(other, server, relay, b"from the port it told"))
      """, in: network)
    #expect(output == ["from another port", "from the port it told"])
    withExtendedLifetime(sockeye) {}
  }
}
