import Addresses
import Transport

/// All contenders side by side, the targets behind them, and the load client before them.
final class Contest {
  private let plan: Plan
  private let directory: TemporaryDirectory
  private let loops: [EventLoop]
  private let targets: ChildProcess
  private let targetPorts: [UInt16]
  private var ports: FreePorts
  /// Those a chain goes through, in order; started when the first chain is.
  private var upstreams: [Program] = []
  private let contenders: [Contender]
  /// By the contender's place, and for relays by the target as well.
  private var programs: [Int: [Target: Program]] = [:]
  /// Those that did not start.
  private var absent: Set<Int> = []

  struct Program {
    let name: String
    let process: ChildProcess
    let port: UInt16
    /// From before the process was started until it accepted a connection.
    let startSeconds: Double
  }

  init(_ plan: Plan, in directory: TemporaryDirectory) throws {
    self.plan = plan
    Machine.raiseDescriptorLimit()
    self.directory = directory
    loops = try (0..<Machine.cores).map { _ in try EventLoop() }
    contenders = Contender.own(in: Machine.programDirectory) + Contender.installed + plan.peers

    var ports = FreePorts()
    targetPorts = Target.allCases.map { _ in ports.next() }
    self.ports = ports
    let arguments =
      ["\(Machine.programDirectory)/benchmark", "targets", "127.0.0.1"] + targetPorts.map(String.init)
    targets = try ChildProcess(arguments, log: "\(directory.path)/targets.log")
    for port in targetPorts { try waitUntilListening(on: port, what: "targets") }
  }

  // MARK: Programs

  private func start(_ contender: Contender, target: Target) throws -> Program {
    let port = ports.next()
    let name = "\(contender.name)-\(port)".map { $0 == " " || $0 == "/" ? "-" : String($0) }.joined()
    let file = "\(directory.path)/\(name).conf"
    let values = [
      "{port}": "\(port)", "{target}": "\(targetPorts[target.rawValue])", "{file}": file,
      "{upstream}": "\(upstreams.first?.port ?? 9)", "{second}": "\(upstreams.last?.port ?? 9)",
    ]
    if let configuration = contender.configuration {
      try Files.write(configuration.replacing(values), to: file)
    }
    let begin = Deadline.now
    let process = try ChildProcess(
      contender.arguments.map { $0.replacing(values) }, log: "\(directory.path)/\(name).log")
    try waitUntilListening(on: port, what: name)
    return Program(
      name: name, process: process, port: port, startSeconds: Deadline.now.since(begin).seconds)
  }

  private func waitUntilListening(on port: UInt16, what: String) throws {
    let deadline = Deadline.after(.seconds(10))
    while !Machine.accepts(port) {
      guard Deadline.now < deadline else {
        throw Machine.Failure(description: "\(what) does not listen\(lastWords(of: what))")
      }
      Machine.pause(microseconds: 100)
    }
  }

  private func ended(_ program: Program) -> Machine.Failure {
    Machine.Failure(description: "it ended while it was measured\(lastWords(of: program.name))")
  }

  private func lastWords(of name: String) -> String {
    "; it said: \(Files.read("\(directory.path)/\(name).log"))"
  }

  private func program(_ index: Int, for target: Target) throws -> Program {
    let contender = contenders[index]
    let key = contender.role == .relay ? target : .closing
    if let program = programs[index]?[key] { return program }
    if contender.role == .chain || contender.role == .datagramChain, upstreams.isEmpty {
      upstreams = try (0..<2).map { _ in try start(.upstream(in: Machine.programDirectory), target: target) }
    }
    let program = try start(contender, target: target)
    programs[index, default: [:]][key] = program
    return program
  }

  private func road(of contender: Contender, _ program: Program?, to target: Target) -> Road {
    let destination = SocketAddress(.loopback4, port: targetPorts[target.rawValue])
    guard let program else { return Road(entry: destination, destination: nil) }
    let entry = SocketAddress(.loopback4, port: program.port)
    return Road(entry: entry, destination: contender.role == .relay ? nil : destination)
  }

  // MARK: Measuring

  /// Measures every contender that takes part, one after another.
  func measure(_ figure: Figure, into results: inout Results) async {
    for (index, contender) in contenders.enumerated() where contender.takesPart(in: figure) {
      guard !absent.contains(index) else { continue }
      do {
        guard let sample = try await sample(of: figure, index) else { continue }
        results.add(sample, of: contender.name, to: figure)
      } catch {
        absent.insert(index)
        say("\(contender.name) is left out: \(error)")
      }
    }
  }

  private func sample(of figure: Figure, _ index: Int) async throws -> Sample? {
    let contender = contenders[index]
    let target = figure.target
    let program: Program? =
      switch (figure, contender.role) {
      case (_, .direct): nil
      case (.rest, _), (.associations, _): try start(contender, target: target)
      default: try self.program(index, for: target)
      }
    let measurement = Measurement(
      name: contender.name, process: program?.process,
      load: Load(loops: loops, road: road(of: contender, program, to: target)), duration: plan.duration)
    var sample = await measurement.sample(of: figure)
    if figure == .rest { sample?[.start] = program?.startSeconds }
    if let program, program.process.hasEnded { throw ended(program) }
    return sample
  }
}

extension Figure {
  fileprivate var target: Target {
    switch self {
    case .tunnels, .single, .chain, .chainSingle, .verdicts: .closing
    case .down1, .down8: .source
    case .up1, .up8: .sink
    case .roundTrips, .rest: .echo
    case .echo1, .echo1Large, .echo32, .echo32Large, .echoHops, .paced, .associations: .datagrams
    }
  }
}

extension String {
  fileprivate func replacing(_ values: [String: String]) -> String {
    values.reduce(self) {
      $0.split(separator: $1.key, omittingEmptySubsequences: false).joined(separator: $1.value)
    }
  }
}
