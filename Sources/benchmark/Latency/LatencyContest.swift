import Addresses
import Transport

/// Opens tunnels through hops that lie apart, each lane in turn, round after round.
final class LatencyContest {
  private let plan: LatencyPlan
  private let directory: TemporaryDirectory
  private let nodes: Nodes
  /// Hops and targets.
  private var servers: [ChildProcess] = []
  private var runners: [Runner] = []

  private struct Runner {
    let lane: Lane
    let road: Road
    /// In front of the visiting program's own command line.
    let prefix: [String]
    /// What listens at the entry of the road, if it is no hop.
    let process: ChildProcess?
    var times: [Visit.Times] = []
  }

  /// In the order of `Target`'s cases.
  private static let targetPorts: [UInt16] = [2001, 2002, 2003, 2004, 2005]

  init(_ plan: LatencyPlan, in directory: TemporaryDirectory) throws {
    self.plan = plan
    self.directory = directory
    Machine.takePrecedence()
    nodes = try Nodes(roundTrip: plan.roundTrip, in: directory)
    let kinds = HopServer.allCases.filter { $0 == .sockeye || ChildProcess.isInstalled($0.program) }
    for node in 1...Nodes.hops {
      for kind in kinds { try start(kind, at: node) }
      // The target of a path with fewer hops stands where the next hop would.
      try startTargets(at: node + 1)
    }
    let lanes = (1...Nodes.hops).flatMap { Lane.all(of: $0, through: kinds) }
    runners = try lanes.enumerated().map { index, lane in try runner(for: lane, port: 3000 + UInt16(index)) }
  }

  private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

  private func start(_ kind: HopServer, at node: Int) throws {
    let address = Nodes.address(of: node)
    let file = path("\(kind.rawValue)-\(node).conf")
    if let configuration = kind.configuration(at: address) {
      try Files.write(configuration + "\n", to: file)
    }
    let log = path("\(kind.rawValue)-\(node).log")
    servers.append(try nodes.start(kind.arguments(at: address, file: file), at: node, log: log))
  }

  private func startTargets(at node: Int) throws {
    let arguments = ["\(Machine.programDirectory)/benchmark", "targets", "0.0.0.0"]
    servers.append(
      try nodes.start(
        arguments + Self.targetPorts.map(String.init), at: node, log: path("targets-\(node).log")))
  }

  private func runner(for lane: Lane, port: UInt16) throws -> Runner {
    let echoPort = Self.targetPorts[Target.echo.rawValue]
    let target = lane.hops.count + 1  // the node
    let destination = SocketAddress(Nodes.address(of: target), port: echoPort)
    let file = path("lane-\(port).conf")
    switch lane.chainer.means {
    case .forwarding:
      let road = Road(entry: SocketAddress(Nodes.directAddress(of: target), port: echoPort), destination: nil)
      return Runner(lane: lane, road: road, prefix: [], process: nil)
    case .proxychains:
      try Files.write(Chainer.proxychainsConfiguration(through: lane.hops), to: file)
      let road = Road(entry: destination, destination: nil)
      return Runner(lane: lane, road: road, prefix: ["proxychains4", "-q", "-f", file], process: nil)
    case .sockeye(let pipelines, let warm):
      let table = Chainer.table(
        listeningOn: port, through: lane.hops, pipelines: pipelines, warm: warm)
      try Files.write(table + "\n", to: file)
      let process = try nodes.start(
        HopServer.sockeye.arguments(at: .loopback4, file: file), at: 0, log: path("lane-\(port).log"))
      let road = Road(entry: SocketAddress(.loopback4, port: port), destination: destination)
      return Runner(lane: lane, road: road, prefix: [], process: process)
    }
  }

  // MARK: Measuring

  func measure() throws -> LatencyReport {
    for runner in runners { try visitFirst(runner) }
    for round in 1...plan.rounds {
      say("round \(round) of \(plan.rounds): \(runners.count) tunnels")
      for index in runners.indices {
        switch try visit(runners[index]) {
        case .success(let times): runners[index].times.append(times)
        case .failure(let failure): say("\(runners[index].lane): \(failure)")
        }
      }
    }
    return LatencyReport(plan: plan, results: runners.map { ($0.lane, $0.times) })
  }

  /// Not measured: until it succeeds, the servers may be starting.
  private func visitFirst(_ runner: Runner) throws {
    let deadline = Deadline.after(Nodes.patience)
    while case .failure(let failure) = try visit(runner) {
      guard Deadline.now < deadline else {
        throw Machine.Failure(description: "\(runner.lane): \(failure)")
      }
      try Interruption.pause(milliseconds: 100)
    }
  }

  private func visit(_ runner: Runner) throws -> Result<Visit.Times, Machine.Failure> {
    try nodes.visit(runner.road, prefix: runner.prefix, log: path("visit.log"))
  }
}
