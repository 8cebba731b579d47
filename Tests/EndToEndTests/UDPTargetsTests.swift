import Foundation
import Testing

/// Datagrams to destinations that are reached directly, and their answers.
@Suite(.blocking)
struct UDPTargetsTests {
  private let target: DatagramServer
  private let sockeye: Sockeye

  init() throws {
    target = try DatagramServer.echo()
    sockeye = try Sockeye("default: direct\n")
  }

  // MARK: Answers

  @Test func `one association reaches IPv4 and IPv6 (G18)`() throws {
    let other = try DatagramServer.echo(on: "[::1]:0")
    let client = try Association(through: sockeye.address)
    for _ in 0..<2 {
      try client.expectEcho("four", from: target.address)
      try client.expectEcho("six", from: other.address)
    }
    // One way out for each family.
    #expect(Set(target.received.all.map(\.source)).count == 1)
    #expect(Set(other.received.all.map(\.source)).count == 1)
  }

  @Test func `an address mapped into IPv6 is the IPv4 address, also in the answer (G15, C11)`() throws {
    let client = try Association(through: sockeye.address)
    try client.send("hello", to: "[::ffff:127.0.0.1]:\(target.port)")
    #expect(try client.receive() == Datagram(source: target.address, bytes: Array("hello".utf8)))
  }

  @Test func `all destinations of a family see one port (G16)`() throws {
    let others = try (2..<6).map { try DatagramServer.echo(on: "127.0.0.\($0):0") }
    let client = try Association(through: sockeye.address)
    for server in [target] + others { try client.expectEcho("hello", from: server.address) }
    let ports = Set(([target] + others).flatMap(\.received.all).map { portNumber(of: $0.source) })
    #expect(ports.count == 1)
  }

  @Test func `an answer may come from another port, and says so (G15, G16)`() throws {
    let other = try DatagramSocket()
    let target = try DatagramServer.echo(from: other)
    let client = try Association(through: sockeye.address)
    try client.send("hello", to: target.address)
    #expect(try client.receive() == Datagram(source: other.address, bytes: Array("hello".utf8)))
  }

  @Test(arguments: ["address", "endpoint-independent"])
  func `who was not asked is heard only where that is wanted (G16, T27)`(filtering: String) throws {
    let sockeye = try Sockeye(
      "listen: {address: \"127.0.0.1:0\", udp: {filtering: \(filtering)}}\ndefault: direct\n")
    let stranger = try DatagramSocket(on: "127.0.0.9:0")
    let target = try DatagramServer { datagram, socket in
      try stranger.send(Array("unasked".utf8), to: datagram.source)
      try socket.send(datagram.bytes, to: datagram.source)
    }
    let client = try Association(through: sockeye.address)
    // Over loopback the stranger's is there first.
    try client.send("hello", to: target.address)
    if filtering != "address" {
      #expect(try client.receive() == Datagram(source: stranger.address, bytes: Array("unasked".utf8)))
    }
    #expect(try client.receive() == Datagram(source: target.address, bytes: Array("hello".utf8)))
    #expect(try sockeye.closing(client).contains("unsolicited:1") == (filtering == "address"))
  }

  @Test func `a refusal by ICMP concerns nobody else (G17)`() throws {
    let dead = try DeadDatagramPort()
    let client = try Association(through: sockeye.address)
    for number in 0..<5 {
      try client.send("nobody", to: dead.address)
      try client.expectEcho("\(number)", from: target.address)
    }
  }

  @Test func `what the kernel does not send concerns nobody else (G17)`() throws {
    let client = try Association(through: sockeye.address)
    // The broadcast address of loopback: permission denied.
    for number in 0..<5 {
      try client.send("everybody", to: "127.255.255.255:9")
      try client.expectEcho("\(number)", from: target.address)
    }
    #expect(try sockeye.closing(client).contains("unsent:5"))
  }

  // MARK: Sizes

  @Test func `a datagram of any size is echoed whole (G19, G20, T28)`() throws {
    let target = try DatagramServer.echo(recording: false)
    let client = try Association(through: sockeye.address)
    // The largest with a header of ten octets in front of it.
    let largest = 65_507 - 10
    let bytes = (0..<largest).map { UInt8(truncatingIfNeeded: $0 &* 0x9E37_79B9 >> 13) }
    for size in [Array(0...1600), Array(stride(from: 1601, to: largest, by: 641)), [largest - 1, largest]]
      .joined()
    {
      try client.expectEcho(Array(bytes.suffix(size)), from: target.address)
    }
  }

  @Test func `an answer too large for its header is dropped, never cut (G20, T28)`() throws {
    let target = try DatagramServer { datagram, socket in
      try socket.send([UInt8](repeating: 1, count: 65_507), to: datagram.source)
      try socket.send([UInt8](repeating: 2, count: 65_497), to: datagram.source)
    }
    let client = try Association(through: sockeye.address)
    try client.send("hello", to: target.address)
    #expect(try client.receive().bytes == [UInt8](repeating: 2, count: 65_497))
    let line = try sockeye.closing(client)
    #expect(line.contains("too-large:1"), "\(line)")
  }

  // MARK: Bounds

  @Test func `a hundred thousand destinations cost no more than a few hundred (T26)`() throws {
    let everyone = try DatagramServer(on: "0.0.0.0:0", recording: false) { _, _ in }
    let target = try DatagramServer.echo(recording: false)
    let client = try Association(through: sockeye.address)
    func send(_ range: Range<Int>) throws {
      for number in range {
        try client.send(
          [1], to: "127.\(1 + number >> 16 & 63).\(number >> 8 & 255).\(number & 255):\(everyone.port)")
        if number % 64 == 0 { try client.expectEcho([2], from: target.address) }
      }
    }
    try send(0..<2000)
    let descriptors = try sockeye.process.openDescriptors
    let memory = try sockeye.process.residentBytes
    try send(2000..<100_000)
    try client.expectEcho([3], from: target.address)
    #expect(try sockeye.process.openDescriptors <= descriptors)
    #expect(try sockeye.process.residentBytes - memory < 4 << 20)
    let line = try sockeye.closing(client)
    #expect(!line.contains("dropped="), "\(line)")
  }

  @Test func `the destination unused for longest is forgotten, and may not answer any more (T26, T27)`()
    throws
  {
    let sockeye = try Sockeye("limits: {paths_per_association: 2}\ndefault: direct\n")
    let first = try DatagramServer.silent(on: "127.0.0.2:0")
    let others = try (3..<5).map { try DatagramServer.echo(on: "127.0.0.\($0):0") }
    let client = try Association(through: sockeye.address)
    try client.send("first", to: first.address)
    try first.received.wait(forCount: 1)
    for other in others { try client.expectEcho("hello", from: other.address) }
    try first.answer(first.received.all[0])
    // Comes the same way behind it.
    try client.expectEcho("hello", from: others[1].address)
    #expect(try sockeye.closing(client).contains("unsolicited:1"))
  }

  // MARK: Loops

  @Test func `a relay of ours is no destination (T18, T24)`() throws {
    let clients = try (0..<2).map { _ in try Association(through: sockeye.address) }
    for client in clients {
      for other in clients {
        try client.send("round and round", to: other.relay)
        try client.send(SOCKS.datagram(to: other.relay, [1]), to: other.relay)
      }
      try client.expectEcho("hello", from: target.address)
    }
    for client in clients { #expect(try sockeye.closing(client).contains("refused:4")) }
  }

  @Test func `a relay that is opened after a flow to its port began is no destination of that flow (T24)`()
    throws
  {
    let port = try FreePort.takeDatagramPorts(2)
    let directory = try TemporaryDirectory()
    let sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", udp: {ports: \(port)-\(port + 1)}}
        - {address: "unix:\(directory.path)/socks", udp: {ports: \(port)-\(port + 1)}}
      default: direct

      """)
    let first = try Association(through: sockeye.address)
    let other = "127.0.0.1:\(portNumber(of: first.relay) == port ? port + 1 : port)"
    // Nobody has that port yet.
    try first.send("early", to: other)
    try first.expectEcho("1", from: target.address)

    let second = try Association(through: sockeye.userAddress)
    #expect(second.relay == other)
    try first.send(SOCKS.datagram(to: target.address, Array("by the other's right".utf8)), to: other)
    try first.expectEcho("2", from: target.address)
    try second.expectEcho("3", from: target.address)
    #expect(target.payloads == ["1", "2", "3"].map { Array($0.utf8) })
    #expect(try sockeye.closing(first).contains("dropped=refused:1 "))
    second.control.finish()
    let line = try sockeye.process.line(containing: " udp client=\(sockeye.userAddress) ")
    #expect(!line.contains("dropped="))
  }

  @Test func `a relay of ours is no destination by a name either (T24)`() throws {
    let sockeye = try Sockeye("hosts: {self.test: 127.0.0.1}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    try client.send("round and round", to: "self.test:\(portNumber(of: client.relay))")
    try client.expectEcho("hello", from: target.address)
    #expect(try sockeye.closing(client).contains("refused:1"))
  }

  @Test func `the port we listen on for TCP is like any other (T24)`() throws {
    let client = try Association(through: sockeye.address)
    try client.send(SOCKS.noAuthentication, to: sockeye.address)
    try client.expectEcho("hello", from: target.address)
  }
}
