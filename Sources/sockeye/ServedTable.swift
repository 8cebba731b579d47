import Config
import Proxy
import Settings
import Synchronization

/// The table that the program serves: read at the start, and again whenever it is asked to, by a signal or by somebody at
/// the control socket.
final class ServedTable: Sendable {
  let path: String
  private let options: ServeOptions
  /// Held while it is read and taken over: the one that was read last holds.
  private let reading = Mutex(())

  init(_ options: ServeOptions) {
    self.options = options
    path = options.table ?? defaultTable
  }

  func load() -> (Configuration?, [Diagnostic]) {
    let result = ConfigurationLoader().load(path, listening: .on(options.listen))
    guard var configuration = result.configuration else { return (nil, result.diagnostics) }
    if let level = options.logLevel { configuration.log.level = level }
    if let format = options.logFormat { configuration.log.format = format }
    return (configuration, result.diagnostics)
  }

  /// Hands it to the server, and tells the log and whoever asked. One that does not check changes nothing.
  @discardableResult
  func reload(_ server: Server, _ log: EventLog) -> ControlAnswer {
    reading.withLock { _ in
      var said: [(Log.Level, String)] = []
      var news: [String] = []
      do {
        try server.checkServing()
        let (configuration, diagnostics) = load()
        said = diagnostics.map { ($0.severity == .error ? .error : .warning, $0.description) }
        guard let configuration else { throw NotRead() }
        let reload = try server.reload(configuration)
        said += reload.unchanged.map { (.warning, "'\($0)' differs from what runs: restart to change it") }
        news =
          reload.closed.map { "no longer listening on \($0)" } + reload.opened.map { "listening on \($0)" }
        news.append("reloaded \(path)")
      } catch is Server.NotServing {
        let reason = "the program has not begun to serve, or is ending"
        said.append((.warning, "the reload of \(path) was refused: \(reason)"))
      } catch {
        if !(error is NotRead) { said.append((.error, Server.complaint(error))) }
        said.append((.error, "\(path) was not reloaded: the table that runs stays"))
      }
      for (level, message) in said { log.say(level, message) }
      for message in news { log.announce(.info, message) }
      return ControlAnswer(
        said.map { ControlAnswer.Line(.error, $0.1) } + news.map { ControlAnswer.Line(.output, $0) },
        news.isEmpty ? .failed : .done)
    }
  }

  /// The table does not check.
  private struct NotRead: Error {}
}
