import Config
import Glibc
import Printing
import Proxy
import Settings
import Transport

/// `sockeye serve`: runs a route table until the program is told to stop.
struct Serve {
  private let options: ServeOptions
  private let table: ServedTable

  private static let signals: [Signal] = [.hangUp, .interrupt, .terminate]

  init(_ options: ServeOptions) {
    self.options = options
    table = ServedTable(options)
  }

  /// Returns only when the server cannot start; else the process ends with it.
  ///
  /// To be called on the main thread, before any other runs: signals are held back in all threads, and waited for here.
  func run() -> ExitStatus {
    Signal.block(Self.signals)
    OwnProcess.raiseDescriptorLimit()
    let (configuration, diagnostics) = table.load()
    for diagnostic in diagnostics { Console.error.write(diagnostic) }
    guard let configuration else { return .failed }
    do {
      let log = EventLog(
        writer: try LogWriter(), level: configuration.log.level, format: configuration.log.format)
      let server = try Server(
        configuration, workers: options.workers ?? OwnProcess.processorCount, sink: log)
      let control = try configuration.control.map { path in
        try ControlSocket(at: path) { request in await answer(request, server, log) }
      }
      start(server, log, control)
      while true { handle(Signal.wait(for: Self.signals), server, log, control) }
    } catch {
      Console.error.write("sockeye: cannot start: \(error)")
      return .failed
    }
  }

  private func start(_ server: Server, _ log: EventLog, _ control: ControlSocket?) {
    // On the log's thread, which has time: the pool of Swift's own would be two more.
    Task(executorPreference: log.writer.loop) {
      let status = await serve(server, log, control)
      await log.writer.finish()
      exit(status)
    }
  }

  private func serve(_ server: Server, _ log: EventLog, _ control: ControlSocket?) async -> ExitStatus {
    do {
      try await control?.open()
    } catch {
      log.say(.error, "cannot open the control socket unix:\(control?.path ?? ""): \(error)")
      return .failed
    }
    let status = await server.serve(log) { addresses in
      for address in addresses { log.announce(.info, "listening on \(address)") }
      OwnProcess.notifyServiceManager("READY=1")
    }
    await control?.close()
    return status
  }

  private func handle(_ signal: Signal, _ server: Server, _ log: EventLog, _ control: ControlSocket?) {
    if signal == .hangUp {
      table.reload(server, log)
    } else {
      OwnProcess.notifyServiceManager("STOPPING=1")
      // Before the listeners: a successor that finds these free can start.
      control?.release()
      server.drain()
    }
  }

  /// What somebody asked at the control socket.
  private func answer(_ request: ControlRequest, _ server: Server, _ log: EventLog) async -> ControlAnswer {
    switch request {
    case .status(let json):
      let report = StatusReport(status: await server.status(), table: table.path)
      return ControlAnswer(json ? [ControlAnswer.Line(.output, report.json.description)] : report.lines)
    case .reload:
      return table.reload(server, log)
    case .rotate(let names):
      return rotate(names, server, log)
    }
  }

  private func rotate(_ names: [String], _ server: Server, _ log: EventLog) -> ControlAnswer {
    let isolated = server.isolatedUpstreams
    let list = isolated.joined(separator: ", ")
    guard !isolated.isEmpty else {
      return ControlAnswer(error: "no upstream of the table that runs has an 'isolate': nothing was rotated")
    }
    if let name = names.first(where: { !isolated.contains($0) }) {
      return ControlAnswer(
        error:
          "no upstream '\(name)' of the table that runs has an 'isolate' (these have: \(list)): nothing was rotated"
      )
    }
    let rotated = names.isEmpty ? isolated : names
    server.rotate(rotated)
    let message = "rotated \(rotated.joined(separator: ", "))"
    log.announce(.info, message)
    return ControlAnswer([ControlAnswer.Line(.output, message)])
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
    } catch {
      log.say(.error, Self.complaint(error))
    }
    return .failed
  }

  /// Why it does not serve, or not what it was asked to.
  static func complaint(_ error: any Error) -> String {
    guard let failure = error as? StartFailure else { return "cannot serve: \(error)" }
    return "cannot listen on \(failure.address): \(failure.error)"
  }
}
