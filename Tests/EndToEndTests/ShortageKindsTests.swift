import Foundation
import Testing

/// The line of the log that says what this machine is short of, for all that a client can ask for.
@Suite(.blocking)
struct ShortageKindsTests {
  enum Kind: String, CaseIterable, Sendable {
    case bind
    case association
    /// A datagram to an address.
    case datagram
    /// A datagram to a name.
    case datagramToName
    /// A path through a hop: there is a descriptor for the control connection, and none for the datagrams.
    case path
    case resolve
    case resolvePTR
  }

  private let target: DatagramServer
  private let hop: Sockeye
  private let names: NameServer

  init() throws {
    target = try DatagramServer.echo()
    hop = try Sockeye("default: direct\n")
    names = try NameServer(["good.test": .addresses(["127.0.0.1"])])
  }

  @Test(arguments: Kind.allCases)
  func `whatever a client asks for, the log says what this machine is short of`(kind: Kind) throws {
    let sockeye = try Sockeye(
      """
      \(names.table)upstreams: {hop: {url: "socks5://\(hop.address)", pipeline: no}}
      default: \(kind == .path ? "hop" : "direct")

      """, arguments: ["--workers", "1"])
    let client = try Socket(to: sockeye.address)
    try client.send(SOCKS.noAuthentication)
    #expect(try client.receive(exactly: 2) == [5, 0])
    let association =
      kind == .datagram || kind == .datagramToName ? try Association(through: sockeye.address) : nil
    try sockeye.process.leaveDescriptors(kind == .path ? 2 : 0)

    let (deed, lack) = deedAndLack(of: kind)
    switch deed {
    case .request(let command, let destination):
      #expect(try client.request(SOCKS.request(command: command, to: destination)).code == 1)
    case .datagram(let destination):
      try association?.send("lost", to: destination)
    }
    let line = try sockeye.process.line(containing: "no descriptor is left \(lack)")
    #expect(line.contains(": raise the limit of open files (LimitNOFILE= in systemd"), "\(line)")
  }

  private enum Deed {
    case request(command: UInt8, to: String)
    case datagram(to: String)
  }

  /// What a client does, and what a descriptor is missing for then.
  private func deedAndLack(of kind: Kind) -> (Deed, String) {
    switch kind {
    case .bind: (.request(command: 2, to: "127.0.0.1:9"), "towards 127.0.0.1:9")
    case .association: (.request(command: 3, to: "0.0.0.0:0"), "towards 127.0.0.1:")
    case .datagram: (.datagram(to: target.address), "towards \(target.address)")
    case .datagramToName:
      (.datagram(to: "good.test:\(target.port)"), "to ask a name server for good.test")
    case .path: (.request(command: 3, to: "0.0.0.0:0"), "towards \(hop.address)")
    case .resolve: (.request(command: 0xF0, to: "good.test:0"), "to ask a name server for good.test")
    case .resolvePTR: (.request(command: 0xF1, to: "192.0.2.1:0"), "to ask a name server for 192.0.2.1")
    }
  }
}

extension ChildProcess {
  /// From now on it can open so many descriptors more.
  fileprivate func leaveDescriptors(_ count: Int) throws {
    let open = Set(
      try FileManager.default.contentsOfDirectory(atPath: "/proc/\(identifier)/fd").compactMap { Int($0) })
    let free = (0...open.count + count).filter { !open.contains($0) }[count]
    let exit = try ChildProcess.run(
      try Program("prlimit", package: "util-linux"), ["--pid", "\(identifier)", "--nofile=\(free):"])
    guard exit.status == 0 else { throw NeverHappened(description: "prlimit: \(exit)") }
  }
}
