import Foundation
import Testing

/// What this machine runs short of is no fault of a hop, nor of a destination, and the log says what to do.
@Suite(.blocking)
struct ShortagesTests {
  /// A client that has greeted, so that no more than its request is missing.
  private func greeted(_ sockeye: Sockeye) throws -> Socket { try greeted(at: sockeye.address) }

  private func greeted(at listener: String) throws -> Socket {
    let client = try Socket(to: listener)
    try client.send(SOCKS.noAuthentication)
    #expect(try client.receive(exactly: 2) == [5, 0])
    return client
  }

  private func code(_ client: Socket, _ destination: String) throws -> UInt8 {
    try client.request(SOCKS.request(command: 1, to: destination)).code
  }

  @Test func `out of descriptors no hop is blamed, and the log says what to do`() throws {
    let target = try Server.silent()
    let hop = try Sockeye("default: direct\n")
    // Whoever finds the hop down goes on without it.
    let sockeye = try Sockeye(
      """
      upstreams: {de: {url: "socks5://\(hop.address)", pipeline: no}}
      groups: {home: {members: [de, direct]}}
      default: home

      """, arguments: ["--workers", "1"])
    let (first, second) = (try greeted(sockeye), try greeted(sockeye))
    try sockeye.process.limitDescriptors(to: try sockeye.process.lowestFreeDescriptor)
    #expect(try code(first, target.address) == 1)
    let said = try sockeye.process.line(containing: "no descriptor is left towards")
    #expect(said.contains(" \(hop.address): raise the limit of open files (LimitNOFILE= in systemd"))
    try sockeye.process.limitDescriptors(to: 1000)
    #expect(try code(second, target.address) == 0)
    #expect(!sockeye.log.contains { $0.contains("way=direct") || $0.contains("via=direct") })
    #expect(hop.log.count { $0.contains(" warning connect ") } == 0)
    second.hangUp()
    #expect(try sockeye.process.line(matching: #/info connect .* via=de /#) != "")
  }

  @Test func `out of descriptors no name is taken for a missing one, and the next is found`() throws {
    let target = try Server.silent()
    let names = try NameServer(["good.test": .addresses(["127.0.0.1"])])
    let sockeye = try Sockeye(names.table + "default: direct\n", arguments: ["--workers", "1"])
    let (first, second) = (try greeted(sockeye), try greeted(sockeye))
    try sockeye.process.limitDescriptors(to: try sockeye.process.lowestFreeDescriptor)
    #expect(try code(first, "good.test:\(target.port)") == 1)
    let said = try sockeye.process.line(containing: "no descriptor is left to ask a name server")
    #expect(said.contains(" for good.test: raise the limit of open files (LimitNOFILE= in systemd"))
    try sockeye.process.limitDescriptors(to: 1000)
    #expect(try code(second, "good.test:\(target.port)") == 0)
  }

  @Test func `where no local port is left towards a hop, it is not blamed, and the log says what to do`()
    throws
  {
    let network = try Network()
    let target = try Sockeye("default: reject\n", in: network)
    let hop = try Sockeye("default: direct\n", in: network)
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      Sockeye.listen(directory)
        + """
        upstreams: {de: {url: "socks5://\(hop.address)", pipeline: no}}
        groups: {home: {members: [de, direct]}}
        default: home

        """, in: network)
    try network.useLocalPorts(40_000...40_003)
    // Each takes a port, of which there are four, and that of the hop's own connection is towards elsewhere.
    var tunnels = try (0..<4).map { _ in
      let client = try greeted(at: sockeye.userAddress)
      #expect(try code(client, target.address) == 0)
      return client
    }
    #expect(try code(try greeted(at: sockeye.userAddress), target.address) == 1)
    let said = try sockeye.process.line(containing: " warning no local port is left")
    #expect(said.contains("towards \(hop.address): widen net.ipv4.ip_local_port_range"))
    let own = "failed sockeye phase=connect error=(no local port is left towards \(hop.address)) "
    try sockeye.process.line(containing: own)

    // The client has had more than its quarter: what becomes free is for others.
    // The target is a proxy, which closes first when it is not greeted: so no port stays in TIME_WAIT here.
    try tunnels[0].send(0xFF)
    _ = try tunnels[0].receiveToEnd()
    tunnels.removeFirst()
    try sockeye.process.line(containing: " info connect ")
    for _ in 0..<5 { #expect(try code(try greeted(at: sockeye.userAddress), target.address) == 1) }
    try sockeye.process.line(
      containing: "limit reached: client_dials 1: a connection was refused, the last of unix at ")
    #expect(try codeOfAnother(through: sockeye, to: target.address, in: network) == "0")
    #expect(sockeye.log.count { $0.contains(" warning no local port is left") } == 1)
    #expect(sockeye.log.count { $0.contains(own) } == 1)

    try eventually("the log of two tunnels: \(sockeye.log)") {
      sockeye.log.count { $0.contains(" info connect ") && $0.contains(" via=de ") } == 2
    }
    #expect(!sockeye.log.contains { $0.contains(" via=direct ") || $0.contains("failed hop") })
    withExtendedLifetime(tunnels) {}
  }

  /// The reply to a client at loopback inside of the network.
  private func codeOfAnother(
    through sockeye: Sockeye, to destination: String, in network: Network
  ) throws -> String? {
    let exit = try ChildProcess.run(
      try Program("python3", package: "python3"),
      [
        "-c",
        """
        import socket
        c = socket.create_connection(("127.0.0.1", \(sockeye.port)), 60)
        c.sendall(b"\\5\\1\\0\\5\\1\\0\\1\\x7f\\0\\0\\1" + (\(portNumber(of: destination))).to_bytes(2, "big"))
        answer = b""
        while len(answer) < 4: answer += c.recv(4 - len(answer))
        print(answer[3])
        """,
      ], in: network)
    return exit.output.first
  }

  @Test
  func
    `where this host has no IPv6 address, what is to be reached over IPv6 is unreachable, and nothing is short`()
    throws
  {
    let network = try Network()
    for words in [
      "link add wire0 type veth peer name wire1", "link set wire0 addrgenmode none",
      "link set wire1 addrgenmode none", "link set wire0 up", "link set wire1 up",
      "-6 route add 2001:db8::/32 dev wire0", "-6 address del ::1/128 dev lo",
    ] { try network.ip(words) }
    let directory = try TemporaryDirectory()
    // Nothing listens at the second server's port, so its silence is known at once.
    let sockeye = try Sockeye(
      Sockeye.listen(directory)
        + "dns: {servers: [\"[2001:db8::53]:53\", \"127.0.0.1:9\"]}\ndefault: direct\n", in: network)
    #expect(try code(try greeted(at: sockeye.userAddress), "name.test:80") == 4)
    #expect(try code(try greeted(at: sockeye.userAddress), "[2001:db8::1]:80") == 3)
    let bind = SOCKS.request(command: 2, to: "[2001:db8::1]:80")
    #expect(try greeted(at: sockeye.userAddress).request(bind).code == 3)
    try eventually("the log of the three: \(sockeye.log)") {
      sockeye.log.count { $0.contains(" to=") } == 3
    }
    #expect(!sockeye.log.contains { $0.contains("left") || $0.contains("failed sockeye") }, "\(sockeye.log)")
  }

  @Test func `a trace tells a shortage of this machine as its own`() throws {
    let network = try Network()
    let hop = try Sockeye("default: direct\n", in: network)
    let directory = try TemporaryDirectory()
    let table = try directory.write(
      "listen: 127.0.0.1:0\nupstreams: {de: \"socks5://\(hop.address)\"}\ndefault: de\n", to: "table.yaml")
    try network.useLocalPorts(portNumber(of: hop.address)...portNumber(of: hop.address))
    func trace(_ options: String...) throws -> [String] {
      let exit = try ChildProcess.run(
        try Sockeye.program(), ["trace", table, "192.0.2.1:80"] + options, in: network)
      #expect(exit.status == 1, "\(exit)")
      return exit.output
    }
    let error = "no local port is left"
    #expect(
      try trace().contains {
        $0.contains("failed sockeye phase=connect error=(\(error) towards \(hop.address))")
      })
    let failed = try JSONObject(try #require(try trace("--json").last), of: "trace").object("failed")
    #expect(
      failed as? [String: String]
        == ["at": "sockeye", "phase": "connect", "endpoint": hop.address, "error": error], "\(failed)")
  }

  @Test func `a name with 64 addresses is dialled at no more than six at a time`() throws {
    let full = try FullListener(on: "0.0.0.0")
    let port = portNumber(of: full.address)
    let addresses = (1...64).map { "127.0.2.\($0)" }.joined(separator: ", ")
    let sockeye = try Sockeye(
      "hosts: {many.test: [\(addresses)]}\ntimeouts: {dial: 3s}\ndefault: direct\n",
      arguments: ["--workers", "1"])
    let client = try greeted(sockeye)
    let before = try sockeye.process.openDescriptors
    try client.send(SOCKS.request(command: 1, to: "many.test:\(port)"))
    var most = 0
    try eventually("the end of the dial") {
      most = max(most, try sockeye.process.openDescriptors - before)
      return sockeye.log.contains { $0.contains(" to=many.test:") }
    }
    #expect(most == 6)
    #expect(try client.receive(exactly: 2) == [5, 6])
    withExtendedLifetime(full) {}
  }
}

extension Network {
  /// Has connections leave from these ports only.
  fileprivate func useLocalPorts(_ ports: ClosedRange<UInt16>) throws {
    let words = "echo \(ports.lowerBound) \(ports.upperBound) > /proc/sys/net/ipv4/ip_local_port_range"
    let exit = try ChildProcess.run(Program(path: "/bin/sh"), ["-c", words], in: self)
    guard exit.status == 0 else { throw NeverHappened(description: "\(words): \(exit)") }
  }
}
