import Addresses
import Transport

/// Clients one after another, through two hops and one of three exits, the first of which dies and returns.
final class FailoverContest {
  private let plan: LatencyPlan
  private let directory: TemporaryDirectory
  private let nodes: Nodes
  private var servers: [ChildProcess] = []
  private var firstExit: ChildProcess?
  private let road: Road

  private static let exitNode = 3
  private static let exitPorts: [UInt16] = [1091, 1092, 1093]
  private static let targetPorts: [UInt16] = [2001, 2002, 2003, 2004, 2005]
  private static let port: UInt16 = 3000
  private static let clientsPerRound = 15

  static var isPossible: Bool { ChildProcess.isInstalled(HopServer.microsocks.program) }

  init(_ plan: LatencyPlan, in directory: TemporaryDirectory) throws {
    self.plan = plan
    self.directory = directory
    nodes = try Nodes(roundTrip: plan.roundTrip, in: directory)
    let target = Nodes.address(of: Self.exitNode + 1)
    road = Road(
      entry: SocketAddress(.loopback4, port: Self.port),
      destination: SocketAddress(target, port: Self.targetPorts[Target.echo.rawValue]))
    for node in 1..<Self.exitNode {
      let arguments = HopServer.microsocks.arguments(at: Nodes.address(of: node), file: "")
      servers.append(try nodes.start(arguments, at: node, log: path("hop-\(node).log")))
    }
    firstExit = try startExit(0)
    for index in 1..<Self.exitPorts.count { servers.append(try startExit(index)) }
    let targets = ["\(Machine.programDirectory)/benchmark", "targets", "0.0.0.0"]
    servers.append(
      try nodes.start(
        targets + Self.targetPorts.map(String.init), at: Self.exitNode + 1, log: path("targets.log")))
    let file = path("failover.yaml")
    try Files.write(Self.table + "\n", to: file)
    servers.append(
      try nodes.start(
        HopServer.sockeye.arguments(at: .loopback4, file: file), at: 0, log: path("failover.log")))
  }

  private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

  private func startExit(_ index: Int) throws -> ChildProcess {
    let port = Self.exitPorts[index]
    return try nodes.start(
      [HopServer.microsocks.program, "-i", "\(Nodes.address(of: Self.exitNode))", "-p", "\(port)"],
      at: Self.exitNode, log: path("exit-\(index).log"))
  }

  private static var table: String {
    let hops = (1..<exitNode).map {
      "  hop\($0): socks5://\(Nodes.address(of: $0)):\(HopServer.microsocks.port)"
    }
    let exits = exitPorts.enumerated().map {
      "  exit\($0 + 1): socks5://\(Nodes.address(of: exitNode)):\($1)"
    }
    return """
      listen: 127.0.0.1:\(port)
      upstreams:
      \((hops + exits).joined(separator: "\n"))
      groups:
        exits: {members: [exit1, exit2, exit3], strategy: failover}
      default: [hop1, hop2, exits]
      """
  }

  // MARK: Measuring

  func measure() throws -> FailoverReport {
    let deadline = Deadline.after(Nodes.patience)
    while case .failure(let failure) = try visit() {
      guard Deadline.now < deadline else { throw failure }
      try Interruption.pause(milliseconds: 100)
    }
    var times: [Visit.Times] = []
    var failures = 0
    let count = plan.rounds * Self.clientsPerRound
    say("failover: \(count) tunnels")
    for number in 0..<count {
      if number == count / 3 { firstExit = nil }
      if number == count * 2 / 3 { firstExit = try startExit(0) }
      switch try visit() {
      case .success(let visit): times.append(visit)
      case .failure(let failure):
        failures += 1
        say("failover: \(failure)")
      }
    }
    return FailoverReport(plan: plan, times: times, failures: failures)
  }

  private func visit() throws -> Result<Visit.Times, Machine.Failure> {
    try nodes.visit(road, log: path("visit.log"))
  }
}

/// How long tunnels took while an exit was gone for a third of the time.
struct FailoverReport: CustomStringConvertible {
  let plan: LatencyPlan
  let times: [Visit.Times]
  let failures: Int

  var description: String {
    let opened = times.map(\.opened)
    let median = opened.median
    let ratio = opened.percentile95.flatMap { slow in median.map { slow / $0 } }
    return Table(
      "One of three exits dies and returns, \(plan.roundTrip) ms a link",
      columns: ["", "tunnels", "failed", "success p50 ms", "p95 ms", "p95 × p50", "slowest ms"],
      rows: [
        [
          "sockeye, failover behind two hops", "\(times.count + failures)", "\(failures)",
          Table.number(median, scale: 1e3, digits: 1),
          Table.number(opened.percentile95, scale: 1e3, digits: 1), Table.number(ratio, digits: 2),
          Table.number(opened.max(), scale: 1e3, digits: 1),
        ]
      ]
    )?.markdown ?? ""
  }
}
