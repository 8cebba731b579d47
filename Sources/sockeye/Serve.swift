import Config
import Glibc
import Printing
import Proxy
import Settings
import Transport

/// `sockeye serve`: runs a route table until the program is told to stop.
struct Serve {
  private let options: ServeOptions
  private let table: String

  private static let signals: [Signal] = [.hangUp, .interrupt, .terminate]

  init(_ options: ServeOptions) {
    self.options = options
    table = options.table ?? defaultTable
  }

  /// Returns only when the server cannot start; else the process ends with it.
  ///
  /// To be called on the main thread, before any other runs: signals are held back in all threads, and waited for here.
  func run() -> ExitStatus {
    Signal.block(Self.signals)
    OwnProcess.raiseDescriptorLimit()
    let (configuration, diagnostics) = load()
    for diagnostic in diagnostics { Console.error.write(diagnostic) }
    guard let configuration else { return .failed }
    do {
      let log = EventLog(
        writer: try LogWriter(), level: configuration.log.level, format: configuration.log.format)
      let server = try Server(
        configuration, workers: options.workers ?? OwnProcess.processorCount, sink: log)
      start(server, log)
      while true { handle(Signal.wait(for: Self.signals), server, log) }
    } catch {
      Console.error.write("sockeye: cannot start: \(error)")
      return .failed
    }
  }

  private func load() -> (Configuration?, [Diagnostic]) {
    let result = ConfigurationLoader().load(table, listen: options.listen)
    guard var configuration = result.configuration else { return (nil, result.diagnostics) }
    if let level = options.logLevel { configuration.log.level = level }
    if let format = options.logFormat { configuration.log.format = format }
    return (configuration, result.diagnostics)
  }

  private func start(_ server: Server, _ log: EventLog) {
    // On the log's thread, which has time: the pool of Swift's own would be two more.
    Task(executorPreference: log.writer.loop) {
      let status = await server.serve(log) { addresses in
        for address in addresses { log.announce(.info, "listening on \(address)") }
        OwnProcess.notifyServiceManager("READY=1")
      }
      await log.writer.finish()
      exit(status)
    }
  }

  private func handle(_ signal: Signal, _ server: Server, _ log: EventLog) {
    if signal == .hangUp {
      reload(server, log)
    } else {
      OwnProcess.notifyServiceManager("STOPPING=1")
      server.drain()
    }
  }

  /// A table that does not check changes nothing.
  private func reload(_ server: Server, _ log: EventLog) {
    let (configuration, diagnostics) = load()
    for diagnostic in diagnostics {
      log.say(diagnostic.severity == .error ? .error : .warning, "\(diagnostic)")
    }
    guard let configuration else {
      log.say(.error, "\(table) was not reloaded: the table that runs stays")
      return
    }
    server.reload(configuration)
    log.announce(.info, "reloaded \(table)")
  }
}

/// The first that exists of the places where a table is looked for that nobody named.
var defaultTable: String {
  let places = ["sockeye.yaml", "/etc/sockeye/sockeye.yaml"]
  return places.first { unsafe access($0, F_OK) == 0 } ?? places[0]
}

extension Server {
  /// Serves until the end, and tells the log why it could not.
  func serve(_ log: EventLog, onListening: ([Listener.Address]) -> Void) async -> ExitStatus {
    do {
      try await run(onListening: onListening)
      return .done
    } catch let failure as StartFailure {
      log.say(.error, "cannot listen on \(failure.address): \(failure.error)")
    } catch {
      log.say(.error, "cannot serve: \(error)")
    }
    return .failed
  }
}
