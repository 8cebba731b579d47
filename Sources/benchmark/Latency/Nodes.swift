import Addresses
import Glibc
import Transport

/// Network namespaces in a row, from the client's over the hops' to the farthest target's, joined by links that take
/// their time.
///
/// A node reaches the next one by that one's `address`, and no other, as if firewalls stood between them. Only the
/// client has a way through all links, to each node's `directAddress`. The namespaces are gone when this value and the
/// processes in them are.
final class Nodes {
  static let hops = 3
  private static let last = hops + 1

  private let links: ChildProcess
  /// Of the namespaces.
  private let paths: [String]
  private let directory: TemporaryDirectory

  /// `roundTrip` is that of each link, in milliseconds.
  init(roundTrip: Int, in directory: TemporaryDirectory) throws {
    guard geteuid() == 0 else {
      throw Machine.Failure(
        description: "'latency' needs root: it makes network namespaces and TUN devices (use sudo)")
    }
    for (program, package) in [("ip", "iproute2"), ("nsenter", "util-linux")] {
      guard ChildProcess.isInstalled(program) else {
        throw Machine.Failure(
          description: "'latency' needs the program '\(program)' (apt-get install \(package))")
      }
    }
    self.directory = directory
    let log = "\(directory.path)/links.log"
    links = try ChildProcess(
      ["\(Machine.programDirectory)/links", "\(Self.last + 1)", "\(roundTrip * 500)"], log: log)
    var paths: [String] = []
    while paths.count <= Self.last {
      try Interruption.pause(milliseconds: 1)
      let said = Files.read(log)
      guard !links.hasEnded else { throw Machine.Failure(description: "links ended; it said: \(said)") }
      paths = said.split(separator: "\n").map(String.init)
    }
    self.paths = paths
    for node in 0...Self.last { try setUp(node) }
  }

  /// By which the node before it reaches a node.
  static func address(of node: Int) -> IPAddress { .v4(0x0a4d_0002 | UInt32(node) << 8) }

  /// By which a node reaches the one behind it: its own end of that link.
  private static func nearAddress(of node: Int) -> IPAddress { .v4(0x0a4d_0001 | UInt32(node) << 8) }

  /// By which the client reaches a node without help.
  static func directAddress(of node: Int) -> IPAddress { .v4(0x0a4e_0000 | UInt32(node)) }

  /// Starts a program in the namespace of a node.
  func start(_ arguments: [String], at node: Int, log: String) throws(Machine.Failure) -> ChildProcess {
    try ChildProcess(["nsenter", "--net=\(paths[node])"] + arguments, log: log)
  }

  // MARK: Addresses and routes

  private func setUp(_ node: Int) throws {
    let commands = "\(directory.path)/node-\(node).ip"
    let log = "\(directory.path)/node-\(node).log"
    try Files.write(Self.commands(for: node).map { $0 + "\n" }.joined(), to: commands)
    let process = try start(["ip", "-batch", commands], at: node, log: log)
    while !process.hasEnded { try Interruption.pause(milliseconds: 1) }
    let complaints = Files.read(log)
    guard complaints.isEmpty else { throw Machine.Failure(description: "ip(8) said: \(complaints)") }
  }

  private static func commands(for node: Int) -> [String] {
    var commands = ["link set lo up"]
    if node > 0 {
      commands += [
        "address add \(directAddress(of: node)) dev lo",
        "address add \(address(of: node)) peer \(nearAddress(of: node)) dev back",
        "link set back up",
      ]
    }
    if node > 1 {
      // Answers to the client that came the direct way.
      commands.append("route add \(nearAddress(of: 1)) via \(nearAddress(of: node))")
    }
    if node < last {
      let next = node + 1
      commands += [
        "address add \(nearAddress(of: next)) peer \(address(of: next)) dev on",
        "link set on up",
      ]
      commands += (next...last).map { "route add \(directAddress(of: $0)) via \(address(of: next))" }
    }
    return commands
  }
}
