import Foundation
import Testing

/// A process that may open few descriptors lowers its limits, says so, and serves every client with what it has.
@Suite(.blocking)
struct FewDescriptorsTests {
  /// Sends the whole handshake, and waits until it is answered or turned away.
  private func ask(_ listener: String, for destination: String) throws -> Socket {
    let client = try Socket(to: listener)
    try client.send(SOCKS.noAuthentication + SOCKS.request(command: 1, to: destination))
    _ = client.hasSomethingToRead(within: 10_000)
    return client
  }

  @Test
  func `with few descriptors one client locks out no other, and limits are named with what they are now`()
    throws
  {
    let target = try Server.silent()
    let names = try NameServer(["good.test": .addresses(["127.0.0.1"])], otherwise: .never)
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      Sockeye.listen(directory) + names.table + "default: direct\n", arguments: ["--workers", "2"],
      descriptors: 256)
    #expect(
      try sockeye.process.line(containing: " this process may open 256: it serves ").contains(
        #/ warning limits\.connections 20000 .* need 66668 descriptors.* it serves 67 connections, .*raise LimitNOFILE=/#
      ))

    // Silent connections, names that no server answers, and tunnels: as many as it can get of each.
    var greedy = try (0..<20).map { try ask(sockeye.address, for: "n\($0).test:80") }
    try sockeye.process.line(
      containing:
        "limit reached: client_questions 3: a question to a name server was not asked, the last of loopback ("
    )
    greedy += try (0..<60).map { _ in try ask(sockeye.address, for: target.address) }
    try sockeye.process.line(containing: "limit reached: local_client 51: ")
    let silent = try (0..<100).map { _ in try Socket(to: sockeye.address) }

    let others = try (0..<10).map { _ in try ask(sockeye.userAddress, for: target.address) }
    for client in others + [try ask(sockeye.userAddress, for: "good.test:\(target.port)")] {
      #expect(try client.receive(exactly: 4) == [5, 0, 5, 0])
    }
    #expect(!sockeye.log.contains { $0.contains("failed destination") || $0.contains("turned away") })
    withExtendedLifetime((silent, greedy, others)) {}
  }

  @Test func `a reload takes over how many descriptors there are`() throws {
    let table = "limits: {connections: 100, associations: 10}\ndefault: direct\n"
    let sockeye = try Sockeye(table, descriptors: 512)
    try sockeye.process.line(containing: " this process may open 512: it serves 100 connections")
    try sockeye.process.limitDescriptors(to: 128, hard: true)
    try sockeye.reload(table)
    try sockeye.process.line(containing: " this process may open 128: it serves 29 connections")
  }

  /// Each attempt of a dial beyond the first, each path of an association, takes a socket.
  @Test func `attempts to connect and paths of datagrams have a limit for each client`() throws {
    let full = try FullListener(on: "0.0.0.0")
    let port = portNumber(of: full.address)
    let hop = try Sockeye("listen: {address: \"127.0.0.1:0\", auth: optional}\ndefault: direct\n")
    let directory = try TemporaryDirectory()
    // 27 sockets in all, of which one client may have 7.
    let sockeye = try Sockeye(
      Sockeye.listen(directory)
        + """
        hosts: {many.test: [\((1...64).map { "127.0.2.\($0)" }.joined(separator: ", "))]}
        upstreams: {hop: {url: "socks5://\(hop.address)", username: "{session}", isolate: destination}}
        routes:
          - {command: udp, via: hop}
        default: direct

        """, arguments: ["--workers", "2"], descriptors: 256)
    try sockeye.process.line(containing: " this process may open 256: ")
    let before = try sockeye.process.openDescriptors
    let dials = try (0..<6).map { _ in try ask(sockeye.address, for: "many.test:\(port)") }
    // 6 clients, their first attempts, and 7 more.
    try eventually("19 descriptors") { try sockeye.process.openDescriptors - before >= 19 }
    var most = 0
    for _ in 0..<100 {
      most = max(most, try sockeye.process.openDescriptors - before)
      poll(nil, 0, 10)
    }
    #expect(most == 19)
    // The other client has its own.
    let user = try Association(through: sockeye.userAddress)
    for number in 1...9 { try user.send("hello", to: "127.0.1.\(number):9") }
    try sockeye.process.line(containing: "limit reached: client_sockets 7: ")
    withExtendedLifetime((full, dials)) {}
  }

  /// One client may have 7 of 27 sockets: an association takes 3, and each of its paths 2.
  @Test func `when four clients have all sockets, the log says so`() throws {
    let network = try Network()
    for number in 0..<5 { try network.ip("address add 2001:db8:0:\(number)::1/64 dev lo nodad") }
    let hop = try Sockeye(
      "listen: {address: \"127.0.0.1:1080\", auth: optional}\ndefault: direct\n", in: network)
    let sockeye = try Sockeye(
      """
      listen: {address: "[2001:db8:0:4::1]:1080", open: true}
      upstreams: {hop: {url: "socks5://127.0.0.1:1080", username: "{session}", isolate: destination}}
      default: hop

      """, arguments: ["--workers", "2"], descriptors: 256, in: network)
    let clients = try ChildProcess(
      try Program("python3", package: "python3"),
      [
        "-c",
        """
        import socket, time
        kept = []
        for number in range(4):
          address = "2001:db8:0:%d::1" % number
          control = socket.create_connection(("2001:db8:0:4::1", 1080), 60, (address, 0))
          control.sendall(b"\\5\\1\\0\\5\\3\\0\\1" + bytes(6))
          answer = b""
          while len(answer) < 24: answer += control.recv(24 - len(answer))
          datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
          datagrams.bind((address, 0))
          for last in 1, 2:
            datagrams.sendto(bytes((0, 0, 0, 1, 127, 0, 0, last, 0, 9)), ("2001:db8:0:4::1", int.from_bytes(answer[-2:], "big")))
          kept += [control, datagrams]
        print("sent", flush=True)
        time.sleep(600)
        """,
      ], in: network)
    try clients.line(containing: "sent")
    let line = try sockeye.process.line(containing: "limit reached: sockets 27: a connection was refused")
    #expect(line.contains(#/ the last of 2001:db8:(0:[1-3])?:(:)?1 at /#), "\(line)")
    withExtendedLifetime((hop, clients)) {}
  }
}
