import Config
import Glibc
import Proxy
import Settings
import Synchronization
import Transport

/// `sockeye run`: starts a command whose connections go as a route table says, and ends with it.
struct Run {
  private let options: RunOptions

  private static let signals: [Signal] = [.hangUp, .interrupt, .terminate, .child]

  init(_ options: RunOptions) {
    self.options = options
  }

  /// Returns only when the command cannot be started; else the process ends with it.
  ///
  /// To be called on the main thread, before any other runs: signals are held back in all threads, and waited for here.
  func run() -> ExitStatus {
    Signal.block(Self.signals)
    OwnProcess.raiseDescriptorLimit()
    let result = ConfigurationLoader().load(options.table ?? defaultTable, listen: ["127.0.0.1:0"])
    for diagnostic in result.diagnostics { Console.error.write(diagnostic) }
    guard let configuration = result.configuration else { return .failed }
    do {
      let log = EventLog(
        writer: try LogWriter(), level: options.logLevel, format: configuration.log.format)
      let server = try Server(configuration, workers: OwnProcess.processorCount, sink: log)
      let command = RunningCommand(options)
      Task(executorPreference: log.writer.loop) {
        let status = await server.serve(log) { command.start(behind: $0[0]) }
        await log.writer.finish()
        if let ended = command.exitStatus() { exit(ended) }
        exit(status)
      }
      while true { handle(Signal.wait(for: Self.signals), command, server) }
    } catch {
      Console.error.write("sockeye: cannot start: \(error)")
      return .failed
    }
  }

  private func handle(_ signal: Signal, _ command: RunningCommand, _ server: Server) {
    switch signal {
    case .child:
      guard command.exitStatus() != nil else { return }
      // Nobody is left to use it: what it has to tell is told, and that is the end.
      for _ in 0..<2 { server.drain() }
    case .terminate: command.send(.terminate)
    // A terminal sends these to the command as well: it decides what they mean.
    default: break
    }
  }
}

/// The command, from when there is a listener for it.
private final class RunningCommand: Sendable {
  private let options: RunOptions
  private let state = Mutex(State())

  private struct State {
    var process: ChildProcess?
    /// Once it has ended.
    var status: Int32?
    /// Removed with the process.
    var proxychainsFile: String?
  }

  init(_ options: RunOptions) {
    self.options = options
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
      Console.error.write("sockeye: cannot start \(name): \(error)")
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
