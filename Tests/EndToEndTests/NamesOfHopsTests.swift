import Foundation
import Testing

/// Hops that are known by name, while the name server fails.
@Suite(.blocking)
struct NamesOfHopsTests {
  @Test func `a check that fails for want of a name server takes no member down`()
    throws
  {
    let target = try Server.echo()
    let names = try NameServer(otherwise: .never)
    let directory = try TemporaryDirectory()
    let controlled = try ControlledSockeye(
      """
      \(Sockeye.listen(directory))\(names.table)upstreams: {a: "socks5://a.test:1080"}
      groups: {exits: {members: [a, direct], check: {to: "\(target.address)", every: 100ms, timeout: 100ms}}}
      timeouts: {dns: 300ms}
      default: exits

      """)
    for _ in 0..<3 {
      let checks = names.questions.all.count
      let client = try Socket(to: controlled.sockeye.address)
      #expect(try client.requestConnect(to: target.address).code != 0)
      try eventually("the member is not checked") { names.questions.all.count > checks + 6 }
      #expect(try controlled.status().groups[0].members.map(\.up) == [true, true])
    }
    #expect(target.accepted.all.isEmpty)
  }

  @Test func `a name server that fails one client's association keeps no other client from the chain`()
    throws
  {
    let target = try DatagramServer.echo()
    let hop = try Sockeye("default: direct\n")
    let port = try #require(hop.address.split(separator: ":").last)
    let gate = Gate()
    let names = try NameServer(["hop.test": .held(gate, then: ["127.0.0.1"])])
    let sockeye = try Sockeye(
      """
      \(names.table)upstreams: {a: "socks5://hop.test:\(port)"}
      timeouts: {dns: 2s}
      default: a

      """)
    let first = try Socket(to: sockeye.address)
    #expect(try first.requestAssociation().code != 0)
    gate.open()
    let second = try Association(through: sockeye.address)
    try second.expectEcho([1, 2, 3], from: target.address)
  }
}
