import Config
import Glibc
import Printing
import Proxy
import Settings
import Synchronization
import Transport

/// `sockeye serve`: runs a route table until the program is told to stop.
struct Serve {
  private let options: ServeOptions
  private let table: ServedTable

  /// Two of them do nothing: left alone they would end the program.
  private static let signals: [Signal] = [.hangUp, .interrupt, .terminate, .user1, .user2]

  init(_ options: ServeOptions) {
    self.options = options
    table = ServedTable(options)
  }

  /// Returns only when the server cannot start; else the process ends with it.
  ///
  /// To be called on the main thread, before any other runs: signals are held back in all threads, and waited for here.
  func run() -> ExitStatus {
    Signal.block(Self.signals)
    OwnProcess.saveAddressSpace()
    do {
      let passed = try PassedSocket.takeAll()
      let (configuration, diagnostics) = table.load()
      let log = try EventLog(
        level: configuration?.log.level ?? .info, format: configuration?.log.format ?? .text)
      for diagnostic in diagnostics { log.writer.write(Console.error.text(of: diagnostic)) }
      guard let configuration else {
        log.writer.finish()
        return .failed
      }
      let server = try Server(
        configuration, workers: options.workers ?? OwnProcess.processorCount, passed: passed, sink: log)
      let control = try configuration.control.map { path in
        try ControlSocket(at: path) { request in await answer(request, server, log) }
      }
      // A table takes seconds to read when it is large: SIGTERM is heard meanwhile.
      let reloads = Reloads(try EventLoop(carriesDatagrams: false)) { table.reload(server, log) }
      try start(server, log, control, isPassed: !passed.isEmpty)
      while true { handle(Signal.wait(for: Self.signals), server, reloads, control) }
    } catch {
      let isShort = [Errno.outOfMemory, .wouldBlock].contains(error as? Errno)
      let advice =
        isShort ? " (raise the limits of memory and threads: LimitAS= and TasksMax= in systemd)" : ""
      Console.error.writeSoon("sockeye: cannot start: \(error)\(advice)")
      return .failed
    }
  }

  private func start(
    _ server: Server, _ log: EventLog, _ control: ControlSocket?, isPassed: Bool
  ) throws(Errno) {
    // On a thread of its own, which waits for nothing but the workers. The log's thread may wait for a reader of
    // standard error without end.
    Task(executorPreference: try EventLoop(carriesDatagrams: false)) {
      let status = await serve(server, log, control, isPassed: isPassed)
      log.writer.finish()
      exit(status)
    }
  }

  /// - Parameter isPassed: its sockets were passed to it, so that it may start while the program before it still serves.
  private func serve(
    _ server: Server, _ log: EventLog, _ control: ControlSocket?, isPassed: Bool
  ) async -> ExitStatus {
    do {
      if let control, try await !control.open(waits: isPassed) {
        log.say(
          .warning,
          "another program listens on the control socket unix:\(control.path): Sockeye serves, and tries again each second"
        )
      }
    } catch {
      log.say(.error, "cannot open the control socket unix:\(control?.path ?? ""): \(error)")
      return .failed
    }
    let status = await server.serve(log) { addresses in
      for address in addresses { log.announce(.info, "listening on \(address)") }
      OwnProcess.notifyServiceManager("READY=1")
    }
    // A request that is still being answered does not delay the end: a reload can take seconds.
    control?.release()
    return status
  }

  private func handle(_ signal: Signal, _ server: Server, _ reloads: Reloads, _ control: ControlSocket?) {
    switch signal {
    case .hangUp: reloads.request()
    case .interrupt, .terminate:
      OwnProcess.notifyServiceManager("STOPPING=1")
      // Before the listeners: a successor that finds these free can start.
      control?.release()
      server.drain()
    default: break
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

/// Reloads that are asked for by a signal, on a thread of their own.
private final class Reloads: Sendable {
  private let loop: EventLoop
  private let reload: @Sendable () -> Void
  /// One was asked for, and has not begun.
  private let isWaiting = Mutex(false)

  init(_ loop: EventLoop, _ reload: @escaping @Sendable () -> Void) {
    self.loop = loop
    self.reload = reload
  }

  /// However often it is called while the table is being read, the table is read once more.
  func request() {
    let isFirst = isWaiting.withLock { isWaiting in
      defer { isWaiting = true }
      return !isWaiting
    }
    guard isFirst else { return }
    Task(executorPreference: loop) { [self] in
      isWaiting.withLock { $0 = false }
      reload()
    }
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
