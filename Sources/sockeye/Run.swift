import Config
import Glibc
import Proxy
import Settings
import Synchronization
import Transport

/// `sockeye run`: starts a command whose connections go as a route table says, and ends with it.
struct Run {
  private let options: RunOptions

  private static let signals: [Signal] = [.hangUp, .interrupt, .terminate, .user1, .user2, .child]

  init(_ options: RunOptions) {
    self.options = options
  }

  /// Returns only when the command cannot be started; else the process ends with it.
  ///
  /// To be called on the main thread, before any other runs: signals are held back in all threads, and waited for here.
  func run() -> ExitStatus {
    Signal.block(Self.signals)
    // The command must not inherit sockets that a service manager passed to this program.
    do {
      try PassedSocket.closeAll()
    } catch {
      Console.error.writeSoon("sockeye: cannot start: \(error)")
      return .failed
    }
    if options.underProxychains, let obstacle = Executable.obstacleToPreloading(into: options.command[0]) {
      Console.error.writeSoon(
        "sockeye: proxychains cannot lead '\(options.command[0])': \(obstacle)".printable)
      return .failed
    }
    let result = ConfigurationLoader().load(options.table ?? defaultTable, listening: .privately)
    do {
      let log = try EventLog(level: options.logLevel, format: result.configuration?.log.format ?? .text)
      for diagnostic in result.diagnostics { log.writer.write(Console.error.text(of: diagnostic)) }
      guard let configuration = result.configuration else {
        log.writer.finish()
        return .failed
      }
      let arrivals = Arrivals(log)
      let server = try Server(configuration, workers: OwnProcess.processorCount, sink: arrivals)
      let command = RunningCommand(options, log)
      // On a thread that does not wait for a reader of standard error, as the log's does.
      Task(executorPreference: try EventLoop(carriesDatagrams: false)) {
        let status = await server.serve(log) { command.start(behind: $0[0]) }
        let ended = command.exitStatus()
        if ended != nil, arrivals.isEmpty { log.say(.warning, Self.complaint(options)) }
        log.writer.finish()
        if let ended { exit(ended) }
        exit(status)
      }
      while true { handle(Signal.wait(for: Self.signals), command, server) }
    } catch {
      Console.error.writeSoon("sockeye: cannot start: \(error)")
      return .failed
    }
  }

  private func handle(_ signal: Signal, _ command: RunningCommand, _ server: Server) {
    switch signal {
    case .child:
      guard command.exitStatus() != nil else { return }
      // Nobody is left to use it: what it has to tell is told, and that is the end.
      for _ in 0..<2 { server.drain() }
    case .terminate, .user1, .user2: command.send(signal)
    // A terminal sends these to the command as well: it decides what they mean.
    default: break
    }
  }
}

extension Run {
  /// What is said when the command has ended and has asked for nothing.
  private static func complaint(_ options: RunOptions) -> String {
    let advice =
      options.underProxychains
      ? "programs without a C library, and those that it starts with other rights, escape proxychains"
      : "if it heeds none of the variables, use --proxychains"
    return "'\(options.command[0])' made no connection through the table: what it made went around it"
      + " (\(advice))"
  }
}

/// Notices whether anything was asked for, and passes all events on to the log.
private final class Arrivals: EventSink {
  private let log: EventLog
  private let requests = Atomic(0)

  init(_ log: EventLog) { self.log = log }

  /// Whether no session has asked for anything.
  var isEmpty: Bool { requests.load(ordering: .acquiring) == 0 }

  func record(_ event: Event) {
    if event.destination != nil || event.command != .connect { requests.add(1, ordering: .releasing) }
    log.record(event)
  }

  func record(_ notice: Notice) {
    // One command seldom needs what a service does.
    if case .limitsLowered = notice { return }
    log.record(notice)
  }
}

/// The command, from when there is a listener for it.
private final class RunningCommand: Sendable {
  private let options: RunOptions
  private let log: EventLog
  private let state = Mutex(State())

  private struct State {
    var process: ChildProcess?
    /// Once it has ended.
    var status: Int32?
    /// Removed with the process.
    var proxychainsFile: String?
  }

  init(_ options: RunOptions, _ log: EventLog) {
    self.options = options
    self.log = log
  }

  func start(behind listener: Listener.Address) {
    let environment = environment(for: listener)
    do throws(Errno) {
      // Whoever asks for its exit status waits until it is known.
      try state.withLock { state throws(Errno) in
        if options.underProxychains { state.proxychainsFile = try proxychainsFile(for: listener) }
        let prefix = state.proxychainsFile.map { ["proxychains4", "-q", "-f", $0] } ?? []
        state.process = try ChildProcess(prefix + options.command, environment: environment)
      }
    } catch {
      let name = options.underProxychains ? "proxychains4" : options.command[0]
      log.writer.write("sockeye: cannot start \(name): \(error)".printable)
      log.writer.finish()
      // As shells have it.
      exit(error == .noSuchFile ? 127 : 126)
    }
  }

  func send(_ signal: Signal) {
    state.withLock { $0.process?.send(signal) }
  }

  /// `nil` while it runs.
  func exitStatus() -> Int32? {
    state.withLock { state in
      guard state.status == nil, let status = state.process?.exitStatus() else { return state.status }
      if let file = state.proxychainsFile { _ = unsafe unlink(file) }
      state.status = status
      return status
    }
  }

  /// The path of a file that leads everything to the listener.
  private func proxychainsFile(for listener: Listener.Address) throws(Errno) -> String {
    guard case .tcp(let address) = listener else { throw .addressFamilyNotSupported }
    let configuration = "strict_chain\nproxy_dns\n[ProxyList]\nsocks5 \(address.address) \(address.port)\n"
    return try TemporaryFile.create(named: "sockeye-proxychains", holding: Array(configuration.utf8))
  }

  private func environment(for listener: Listener.Address) -> [String] {
    // With the h, names travel to the listener: the table decides who resolves them. Of HTTP it serves CONNECT, which
    // is what https takes, and which more programs speak than SOCKS.
    let schemes = ["ALL_PROXY": "socks5h", "HTTP_PROXY": "socks5h", "HTTPS_PROXY": "http"]
    let replaced = Set(schemes.keys).union(["NO_PROXY"])
    let kept = OwnProcess.environment.filter { variable in
      !replaced.contains(variable.prefix { $0 != "=" }.uppercased())
    }
    // What is led here by force would go in a circle if it was also asked to come.
    guard !options.underProxychains else { return kept }
    return kept
      + schemes.flatMap { name, scheme in
        [name, name.lowercased()].map { "\($0)=\(scheme)://\(listener)" }
      }
  }
}
