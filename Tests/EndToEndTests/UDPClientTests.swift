import Chance
import Foundation
import Testing

/// What a relay takes from its client, and that it takes it from nobody else (RFC 1928 §7).
@Suite(.blocking)
struct UDPClientTests {
  private let target: DatagramServer
  private let sockeye: Sockeye

  init() throws {
    target = try DatagramServer.echo()
    sockeye = try Sockeye("default: direct\n")
  }

  // MARK: From whom

  @Test func `a stranger that comes first is not the client (G7, T19, T21)`() throws {
    let client = try Association(through: sockeye.address)
    let stranger = try DatagramSocket(on: "127.0.0.2:0")
    try stranger.send(SOCKS.datagram(to: target.address, [1]), to: client.relay)
    try client.expectEcho("mine", from: target.address)
    try stranger.send(SOCKS.datagram(to: target.address, [2]), to: client.relay)
    try client.expectEcho("still mine", from: target.address)
    #expect(target.payloads == ["mine", "still mine"].map { Array($0.utf8) })
    #expect(!stranger.hasSomethingToRead())
    #expect(try sockeye.closing(client).contains("stranger:2"))
  }

  @Test func `the port of the first datagram is the client's, others are strangers (G8)`() throws {
    let client = try Association(through: sockeye.address)
    let other = try DatagramSocket()
    try client.expectEcho("mine", from: target.address)
    try other.send(SOCKS.datagram(to: target.address, [1]), to: client.relay)
    try client.expectEcho("still mine", from: target.address)
    #expect(target.payloads == ["mine", "still mine"].map { Array($0.utf8) })
    #expect(!other.hasSomethingToRead())
    #expect(try sockeye.closing(client).contains("stranger:1"))
  }

  @Test func `what does not parse is not the first datagram (G7)`() throws {
    let client = try Association(through: sockeye.address)
    let other = try DatagramSocket()
    for bytes in [[], [0, 0, 0, 1], SOCKS.datagram(to: target.address, [1], fragment: 1)] {
      try other.send(bytes, to: client.relay)
    }
    try client.expectEcho("mine", from: target.address)
    try other.send(SOCKS.datagram(to: target.address, [1]), to: client.relay)
    try client.expectEcho("still mine", from: target.address)
    #expect(target.payloads.count == 2)
  }

  @Test func `before the client's first datagram nothing leaves the relay (T25)`() throws {
    let client = try Association(through: sockeye.address)
    let other = try DatagramSocket()
    for _ in 0..<100 { try other.send([0, 0, 0, 1, 127], to: client.relay) }
    try client.expectEcho("mine", from: target.address)
    #expect(!other.hasSomethingToRead() && !client.socket.hasSomethingToRead())
  }

  // MARK: What

  /// Behind each follows a good one, which must be answered first, and in whose association nothing has changed.
  private func expectDropped(_ bytes: [UInt8], as reason: String) throws {
    let client = try Association(through: sockeye.address)
    try client.expectEcho("before", from: target.address)
    try client.send(raw: bytes)
    try client.expectEcho("behind", from: target.address)
    #expect(target.payloads == ["before", "behind"].map { Array($0.utf8) })
    let line = try sockeye.closing(client)
    #expect(line.contains(" dropped=\(reason):1 "), "\(line)")
  }

  @Test(
    arguments: [
      [], [0], [0, 0], [0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1, 127, 0, 0, 1], [0, 0, 0, 1, 127, 0, 0, 1, 0],
      [0, 0, 0, 0, 127, 0, 0, 1, 0, 9, 1], [0, 0, 0, 2, 127, 0, 0, 1, 0, 9, 1],
      [0, 0, 0, 0xFF, 1, 1, 1, 1, 1, 1],
      [0, 0, 0, 3], [0, 0, 0, 3, 0], [0, 0, 0, 3, 0, 0, 9, 1], [0, 0, 0, 3, 255, 0x61, 0x61, 0, 9],
      [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9],
    ] as [[UInt8]])
  func `a malformed datagram is dropped and the association lives (G12)`(bytes: [UInt8]) throws {
    try expectDropped(bytes, as: "malformed")
  }

  @Test(arguments: [[0, 1], [1, 0], [0xFF, 0xFF]] as [[UInt8]])
  func `the reserved field of a client's datagram means nothing (G9)`(reserved: [UInt8]) throws {
    let client = try Association(through: sockeye.address)
    try client.send(raw: SOCKS.datagram(to: target.address, Array("hello".utf8), reserved: reserved))
    #expect(try client.receive() == Datagram(source: target.address, bytes: Array("hello".utf8)))
  }

  @Test(arguments: [1, 2, 0x7F, 0x80, 0x81, 0xFF] as [UInt8])
  func `a fragment is dropped and the association lives (G10, G11)`(number: UInt8) throws {
    try expectDropped(SOCKS.datagram(to: target.address, [1, 2, 3], fragment: number), as: "fragment")
  }

  @Test(arguments: [
    "127.0.0.1:0", "0.0.0.0:9", "[::]:9", "255.255.255.255:9", "224.0.0.1:9", "[ff02::1]:9",
    "[::ffff:0.0.0.0]:9", "[::ffff:224.0.0.1]:9",
  ])
  func `what is no host's address is not sent to (C13, C14, T15)`(destination: String) throws {
    try expectDropped(SOCKS.datagram(to: destination, [1]), as: "refused")
  }

  @Test(arguments: [freshSeed])
  func `a million datagrams of any bytes, and every good one among them is answered (T22)`(seed: UInt64)
    throws
  {
    let target = try DatagramServer.echo(recording: false)
    // What parses by chance goes nowhere.
    let sockeye = try Sockeye(
      "routes: [{ip: 127.0.0.1, port: \(target.port), via: direct}]\ndefault: reject\n")
    let client = try Association(through: sockeye.address)
    try client.socket.connect(to: client.relay)
    let good = SOCKS.datagram(to: target.address, Array("good".utf8))
    var noise = Noise(seed: seed)
    // As many as the kernel surely queues; more it would drop, and good ones with them.
    for _ in 0..<10_000 {
      for _ in 0..<100 { try noise.withDatagram { try client.socket.send($0) } }
      try client.socket.send(good)
      #expect(try client.socket.receive().bytes == good)
    }
    let line = try sockeye.closing(client)
    #expect(line.contains(" datagrams_up=10000 datagrams_down=10000 "), "\(line)")
    let dropped = line.matches(of: #/(malformed|fragment|refused|rejected):(\d+)/#)
    #expect(dropped.compactMap { Int($0.2) }.reduce(0, +) == 1_000_000, "\(line)")
  }

  /// Random bytes, half of which look like a header at their front.
  private struct Noise {
    private var generator: SeededGenerator
    private var bytes = [UInt8](repeating: 0, count: 64)

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func withDatagram(_ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
      let choice = generator.next()
      for index in 0..<8 {
        let word = generator.next()
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: word, toByteOffset: index * 8, as: UInt64.self) }
      }
      if choice & 1 == 0 {
        bytes[0] = 0
        bytes[1] = 0
        bytes[2] = choice & 2 == 0 ? 0 : bytes[2]
        bytes[3] &= 7
      }
      let count = Int(choice >> 8) & 63
      try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
  }
}
