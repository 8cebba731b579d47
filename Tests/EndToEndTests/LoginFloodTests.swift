import Foundation
import Testing

/// Logins against crypt(3) hashes, when one client sends many at once. Each hash takes some tenths of a second.
@Suite(.blocking)
struct LoginFloodTests {
  private let directory: TemporaryDirectory
  private let sockeye: Sockeye
  /// The listeners of two clients: the programs of this machine over loopback, and a user at a Unix-domain socket.
  private let one: String
  private let two: String

  init() throws {
    let hash =
      "$$6$$rounds=300000$$saltsalt"
      + "$$sx0V/46TAqlUaEgorbeyM9Yrem7l9fGVtZnhMrLQ8Ksvsfz2aP3jVNlPXj46bHWVTrN76h1LpXr7TWgvSZ.Yy1"
    directory = try TemporaryDirectory()
    sockeye = try Sockeye(
      """
      listen:
        - {address: "127.0.0.1:0", users: {bob: "\(hash)"}}
        - {address: "unix:\(directory.path)/socks", users: {bob: "\(hash)"}}
      default: reject

      """, arguments: ["--workers", "2"])
    (one, two) = (sockeye.address, sockeye.userAddress)
  }

  /// Sends a login, whose method is accepted.
  private func logIn(_ password: String, at listener: String) throws -> Socket {
    let client = try Socket(to: listener)
    try client.send([5, 1, 2] + SOCKS.credentials("bob", password))
    #expect(try client.receive(exactly: 2) == [5, 2])
    return client
  }

  private func unanswered(_ clients: [Socket]) -> Int { clients.filter { !$0.hasSomethingToRead() }.count }

  @Test func `300 wrong logins of one client do not come before another client's login`() throws {
    // Its place in a quarter of the handshakes is refused to the last of them.
    let flood = try (0..<300).map { number in
      let client = try Socket(to: one)
      try? client.send([5, 1, 2] + SOCKS.credentials("bob", "wrong \(number)"))
      return client
    }
    for client in flood { _ = try? client.receive(exactly: 2) }
    #expect(try logIn("right horse", at: two).receive(exactly: 2) == [1, 0])
    // 64 wait. Those that do not are refused.
    #expect(unanswered(flood) >= 32)
    try sockeye.process.line(containing: "not authenticated: too many logins wait")
  }

  @Test(arguments: ["reset", "closed"])
  func `logins of clients that are gone are not computed`(how: String) throws {
    var gone: [Socket] = []
    for number in 0..<40 { gone.append(try logIn("wrong \(number)", at: one)) }
    let other = try (0..<20).map { try logIn("wrong \($0)", at: two) }
    if how == "reset" { for client in gone { client.resetWhenClosed() } }
    gone = []
    // Behind those of its own that are not gone, which are none, and in turn with the other client's.
    #expect(try logIn("right horse", at: one).receive(exactly: 2) == [1, 0])
    #expect(unanswered(other) >= 10)
  }

  @Test func `a client that sends its request behind its login, and ends its direction, is served`() throws {
    let client = try Socket(to: sockeye.address)
    try client.send([5, 1, 2] + SOCKS.credentials("bob", "right horse") + SOCKS.connect(to: "some.test:80"))
    client.finish()
    #expect(try client.receiveToEnd().bytes == [5, 2, 1, 0] + SOCKS.failure(2))
  }

  @Test func `a hundred connections of one client at once are all admitted`() throws {
    let clients = try (0..<100).map { _ in try logIn("right horse", at: one) }
    for client in clients { #expect(try client.receive(exactly: 2) == [1, 0]) }
  }

  // Its hash takes most of a minute on a fast machine.
  @Test func `a login that waits longer than timeouts.handshake is refused`() throws {
    let sockeye = try Sockeye(
      """
      listen:
        - address: 127.0.0.1:0
          users:
            bob: "$$6$$rounds=300000000$$saltsalt$$sx0V/46TAqlUaEgorbeyM9Yrem7l9fGVtZnhMrLQ8Ksvsfz2aP3jVNlPXj46bHWVTrN76h1LpXr7TWgvSZ.Yy1"
      timeouts: {handshake: 1s}
      default: reject

      """)
    try conversation(
      with: sockeye.address,
      .client(5, 1, 2), .server(5, 2), .client(SOCKS.credentials("bob", "right horse")), .server(1, 1),
      .closed)
    try sockeye.process.line(
      containing: "user=bob end=\"not authenticated: the login waited longer than timeouts.handshake\"")
  }
}
