import Foundation
import Testing

/// An association lives as long as its control connection, and not longer than somebody uses it.
@Suite(.blocking)
struct UDPLifetimeTests {
  enum Ending: CaseIterable {
    case close, halfClose, reset
  }

  @Test(arguments: Ending.allCases)
  func `the relay ends with the control connection, however that ends (G4, T19)`(ending: Ending) throws {
    let target = try DatagramServer.echo()
    let sockeye = try Sockeye("default: direct\n")
    var client: Association? = try Association(through: sockeye.address)
    let relay = try #require(client).relay
    try client?.expectEcho("hello", from: target.address)
    switch ending {
    case .halfClose:
      client?.control.finish()
      #expect(try client?.control.receiveToEnd().bytes == [])
    case .reset:
      client?.control.resetWhenClosed()
      client = nil
    case .close: client = nil
    }
    try waitForRefusal(of: relay)
    try eventually("its sockets are closed") { try sockeye.process.datagramSockets == [] }
  }

  @Test func `the control connection may be talkative, and nobody listens (G6)`() throws {
    let target = try DatagramServer.echo()
    let sockeye = try Sockeye("default: direct\n")
    let client = try Association(through: sockeye.address)
    let before = try sockeye.process.residentBytes
    // More than the kernel keeps for a reader that does not read.
    for _ in 0..<32 { try client.control.send([UInt8](repeating: 5, count: 1 << 20)) }
    try client.expectEcho("hello", from: target.address)
    #expect(try sockeye.process.residentBytes - before < 8 << 20)
    #expect(!client.control.hasSomethingToRead())
  }

  @Test func `an association that nobody uses ends, and the client learns of it (G5)`() throws {
    let sockeye = try Sockeye("timeouts: {udp_idle: 1s}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    #expect(try client.control.receiveToEnd() == ([], .end))
    try client.waitForEnd()
    let line = try sockeye.process.line(containing: " udp client=\(client.control.localAddress) ")
    #expect(line.contains(" end=idle"), "\(line)")
  }

  @Test func `a silent control connection is no idle association`() throws {
    let target = try DatagramServer.echo()
    let sockeye = try Sockeye("timeouts: {idle: 1s, handshake: 1s, udp_idle: 600s}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    // Another session reaches the limits that this one does not have.
    let silent = try Server.silent()
    let tunnel = try Socket(to: sockeye.address)
    #expect(try tunnel.requestConnect(to: silent.address).code == 0)
    _ = try tunnel.receiveToEnd()
    try client.expectEcho("hello", from: target.address)
  }

  @Test func `a program that was asked to stop ends its associations`() throws {
    let sockeye = try Sockeye("timeouts: {drain: 1s}\ndefault: direct\n")
    let client = try Association(through: sockeye.address)
    sockeye.signal(SIGTERM)
    let exit = try sockeye.process.wait()
    #expect(exit.status == 0, "\(exit)")
    #expect(try client.control.receiveToEnd().bytes == [])
    #expect(exit.errors.contains { $0.contains(" udp client=") }, "\(exit)")
  }

  @Test func `a reload concerns the next association`() throws {
    let target = try DatagramServer.echo()
    let sockeye = try Sockeye("default: direct\n")
    let old = try Association(through: sockeye.address)
    try sockeye.reload("listen: \(sockeye.address)\ndefault: reject\n")
    try eventually("the new table holds") {
      try Socket(to: sockeye.address).requestAssociation().code == 2
    }
    try old.expectEcho("hello", from: target.address)
  }

  @Test func `a path that has ended closes its sockets while its association goes on`() throws {
    let near = try DatagramServer.echo()
    let far = try DatagramServer.echo()
    let hop = try ScriptedHop()
    let sockeye = try Sockeye(
      """
      upstreams: {a: "socks5://\(hop.address)"}
      routes: [{port: \(far.port), via: a}]
      default: direct

      """)
    let client = try Association(through: sockeye.address)
    try client.expectEcho("near", from: near.address)
    let before = try sockeye.process.openDescriptors
    try client.expectEcho("far", from: far.address)
    // A control connection and a socket for datagrams.
    #expect(try sockeye.process.openDescriptors >= before + 2)
    hop.endAssociations()
    try eventually("they are closed") { try sockeye.process.openDescriptors <= before }
    try client.expectEcho("near", from: near.address)
  }

  @Test func `a thousand associations leave nothing behind`() throws {
    let target = try DatagramServer.echo(recording: false)
    let sockeye = try Sockeye("default: direct\nlog: {level: warning}\n")
    try Association(through: sockeye.address).expectEcho("first", from: target.address)
    try eventually("the first is over") { try sockeye.process.datagramSockets == [] }
    let before = try sockeye.process.openDescriptors
    for number in 0..<1000 {
      try Association(through: sockeye.address).expectEcho("\(number)", from: target.address)
    }
    try eventually("all are over") { try sockeye.process.datagramSockets == [] }
    // The thread sanitizer opens two for its own purposes.
    try eventually("descriptors are closed") { try sockeye.process.openDescriptors <= before + 2 }
  }
}
