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

    func request(_ command: UInt8, _ destination: String) throws -> UInt8 {
      try client.request(SOCKS.request(command: command, to: destination)).code
    }
    let said: String
    switch kind {
    case .bind:
      #expect(try request(2, "127.0.0.1:9") == 1)
      said = "no descriptor is left towards 127.0.0.1:9"
    case .association:
      #expect(try request(3, "0.0.0.0:0") == 1)
      said = "no descriptor is left towards 127.0.0.1:"
    case .datagram:
      try association?.send("lost", to: target.address)
      said = "no descriptor is left towards \(target.address)"
    case .datagramToName:
      try association?.send("lost", to: "good.test:\(target.port)")
      said = "no descriptor is left to ask a name server for good.test"
    case .path:
      #expect(try request(3, "0.0.0.0:0") == 1)
      said = "no descriptor is left towards \(hop.address)"
    case .resolve:
      #expect(try request(0xF0, "good.test:0") == 1)
      said = "no descriptor is left to ask a name server for good.test"
    case .resolvePTR:
      #expect(try request(0xF1, "192.0.2.1:0") == 1)
      said = "no descriptor is left to ask a name server for 192.0.2.1"
    }
    let line = try sockeye.process.line(containing: said)
    #expect(line.contains(": raise the limit of open files (LimitNOFILE= in systemd"), "\(line)")
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
