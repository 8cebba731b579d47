import Foundation
import Testing

/// What clients notice when one program takes the place of another.
@Suite(.blocking)
struct RestartTests {
  /// Those that find no program are refused. What the kernel has connected is served.
  @Test func `at 20 restarts no connection that was made is lost`() throws {
    let target = try Server.echo()
    let directory = try TemporaryDirectory()
    let addresses = ["127.0.0.1:\(FreePort.take())", "unix:\(directory.path)/socks"]
    let table =
      "listen: [\"\(addresses[0])\", \"\(addresses[1])\"]\ncontrol: unix:\(directory.path)/control\n"
      + "timeouts: {drain: 600s}\ndefault: direct\n"
    var programs = [try Sockeye(table, arguments: ["--workers", "2"])]
    let visits = Visits(to: addresses, for: target.address)
    for _ in 1...20 {
      try visits.wait(forMore: 20)
      let old = programs[programs.count - 1]
      old.signal(SIGTERM)
      // It may still serve its clients, or have ended.
      try eventually("the listeners are closed") { ((try? old.process.listenerCount) ?? 0) == 0 }
      programs.append(try Sockeye(table, arguments: ["--workers", "2"]))
    }
    try visits.wait(forMore: 20)
    let faults = try visits.end()
    let refusals: Set<Visits.Fault> = [.connecting(ECONNREFUSED), .connecting(ENOENT)]
    #expect(Set(faults.keys).isSubset(of: refusals), "\(faults)")
    for old in programs.dropLast() { #expect(try old.process.wait().status == 0) }
  }

  enum Order: CaseIterable {
    /// As systemd does it: the next program starts when the one before has ended.
    case oneByOne
    /// The next program starts first.
    case overlapping
  }

  @Test(arguments: Order.allCases)
  func `with passed sockets, no connection is lost or refused at 20 restarts`(order: Order) throws {
    let target = try Server.echo()
    let directory = try TemporaryDirectory()
    let sockets = [
      try ListeningDescriptor(on: "127.0.0.1:0"),
      try ListeningDescriptor(on: "unix:\(directory.path)/socks"),
    ]
    let addresses = sockets.map(\.address)
    let table =
      "listen: [\"\(addresses[0])\", \"\(addresses[1])\"]\ntimeouts: {drain: 600s}\ndefault: direct\n"
    func start() throws -> Sockeye {
      try Sockeye(table, arguments: ["--workers", "2"], passed: sockets)
    }
    var program = try start()
    let visits = Visits(to: addresses, for: target.address)
    for _ in 1...20 {
      try visits.wait(forMore: 20)
      let next = order == .overlapping ? try start() : nil
      program.signal(SIGTERM)
      #expect(try program.process.wait().status == 0)
      program = try next ?? start()
    }
    try visits.wait(forMore: 20)
    let faults = try visits.end()
    #expect(faults.isEmpty, "\(faults)")
  }
}
