import Foundation
import Testing

/// Groups that take the fastest member, measured by a check.
@Suite(.blocking)
struct FastestTests {
  @Test func `with a check the whole way to its destination counts, and not how near the proxy is`() throws {
    let probe = try Server.silent()
    let target = try Server.echo(on: "0.0.0.0:0")
    let far = try Sockeye("default: direct\n")
    // It is admitted to at once, but reaches the check's destination only after the other one has.
    let near = try Server { client in
      let destination = try client.acceptRequest()
      if destination == probe.address { _ = try far.session(to: probe.address) }
      try ScriptedHop.tunnel(client, to: destination)
    }
    let sockeye = try Sockeye(
      """
      upstreams:
        near: {url: "socks5://\(near.address)", pipeline: no}
        far: {url: "socks5://\(far.address)", pipeline: no, timeout: 5s}
      groups:
        exits: {members: [near, far], strategy: fastest, check: {to: "\(probe.address)", every: 1h, timeout: 20s}}
      default: exits

      """)
    var number = 0
    func pass() throws -> Bool {
      number += 1
      // An address of the target by which the connection is found in the log.
      let destination = "127.0.\(1 + number / 250).\(1 + number % 250):\(target.port)"
      let client = try Socket(to: sockeye.address)
      #expect(try client.requestConnect(to: destination).code == 0)
      client.hangUp()
      return try sockeye.session(to: destination).contains(" via=far ")
    }
    _ = try pass()
    // Both have passed the check.
    try eventually("the near one did not pass") { probe.accepted.all.count == 2 }
    try eventually("the far one was not taken") { try pass() }
    for _ in 0..<50 { #expect(try pass()) }
  }
}
