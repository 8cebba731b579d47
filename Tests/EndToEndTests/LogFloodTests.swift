import Foundation
import Testing

/// No client makes the log longer than what its sessions tell.
@Suite(.blocking)
struct LogFloodTests {
  @Test func `a flood of refused logins is one line and their number`() throws {
    let sockeye = try Sockeye(
      "listen:\n  - {address: \"127.0.0.1:0\", users: {alice: secret}}\ndefault: direct\n")
    let flood = try (0..<200).map { _ in
      let client = try Socket(to: sockeye.address)
      try client.send([5, 1, 2] + SOCKS.credentials("alice", "wrong"))
      return client
    }
    for client in flood { #expect(try client.receiveToEnd().bytes == [5, 2, 1, 1]) }
    // What is untold at the end is told then.
    sockeye.signal(SIGTERM)
    let lines = try sockeye.process.wait().errors.filter {
      $0.contains(" warning ") && $0.contains("login") || $0.contains("authenticated")
    }
    #expect(lines.count == 2, "\(lines)")
    #expect(lines.first?.contains(" user=alice end=\"not authenticated: wrong password\"") == true)
    #expect(
      lines.last?.hasSuffix(
        " warning 199 more logins were refused, the last of 127.0.0.1 as 'alice': wrong password") == true)
  }

  @Test func `what is turned away for want of descriptors is one line and its number`() throws {
    let sockeye = try Sockeye(
      "timeouts: {handshake: 1s}\ndefault: direct\n", arguments: ["--workers", "2"])
    // Later than its limits know of.
    try sockeye.process.limitDescriptors(to: 64)
    // Each round takes all descriptors, and gives them back.
    for _ in 0..<4 {
      let flood = try (0..<100).map { _ in try Socket(to: sockeye.address) }
      for client in flood { _ = try client.receiveToEnd() }
    }
    sockeye.signal(SIGTERM)
    let lines = try sockeye.process.wait().errors.filter { $0.contains("turned away") }
    #expect(lines.count == 2, "\(lines)")
    let advice =
      ": too many open files: raise the limit of open files (LimitNOFILE= in systemd, ulimit -n "
      + "in a shell), or lower limits.connections "
    let first = " turned away a connection to \(sockeye.address)\(advice)"
    #expect(lines.first?.contains(first) == true)
    #expect(
      lines.last?.contains(
        try Regex(" turned away \\d+ connections, the last to \(sockeye.address): too many open files: "))
        == true)
  }
}
