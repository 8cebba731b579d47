import Printing
import Proxy
import Routing
import Settings
import Transport

/// Turns what the server tells into log lines.
struct EventLog: EventSink {
  let writer: LogWriter
  let level: Log.Level
  let format: Log.Format

  init(level: Log.Level, format: Log.Format) throws(Errno) {
    writer = try LogWriter { count in
      Self.line(
        .warning, "\(count) log lines were lost: standard error was not read fast enough", in: format)
    }
    self.level = level
    self.format = format
  }

  func record(_ event: Event) {
    guard event.level <= level else { return }
    write(event.level, event.command.rawValue, event.fields)
  }

  func record(_ notice: Notice) {
    switch notice {
    case .turnedAway(let listener, let error, let count):
      let connections = count == 1 ? "a connection" : "\(count) connections, the last"
      say(
        .warning,
        "turned away \(connections) to \(listener): \(error):"
          + " \(error.advice), or lower limits.connections (more are told once a minute)")
    case .loginsRefused(let client, let user, let reason, let count):
      let logins = count == 1 ? "another login was refused" : "\(count) more logins were refused, the last"
      let name = user.map { " as '\($0)'" } ?? ""
      say(.warning, "\(logins) of \(client?.address.description ?? "unix")\(name): \(reason.rawValue)")
    case .limitsLowered(let wanted, let limits, let needed, let available):
      say(.warning, limits.lowered(from: wanted, needed: needed, available: available))
    case .limitReached(let reached, let client, let listener, let count):
      say(
        .warning,
        "limit reached: \(reached): \(reached.limit.effect(on: count)), the last of \(client) at \(listener)"
          + " (\(reached.limit.advice); more are counted in 'status', and told once a minute)")
    case .handshakeClosed(let reached, let client, let held, let count):
      say(
        .warning,
        "limit reached: \(reached): \(reached.limit.effect(on: count)), the last the oldest of \(held) of \(client)"
          + " (\(reached.limit.advice); more are counted in 'status', and told once a minute)")
    case .nameRefused(let reached, let client, let count):
      say(
        .warning,
        "limit reached: \(reached): \(reached.limit.effect(on: count)), the last of"
          + " \(client?.description ?? "Sockeye itself")"
          + " (\(reached.limit.advice); more are counted in 'status', and told once a minute)")
    case .pathFailed(let outcome, let failure):
      write(
        .warning, "udp", [("via", .text(outcome.description)), ("failed", .failure(failure, outcome.chain))])
    case .clientMoved(let client, let before, let port, let count):
      guard level >= .info else { return }
      write(
        .info, "udp",
        [
          ("client", .text(client.description)), ("port", .number(Int(port))),
          ("port_before", .number(Int(before))),
        ] + (count == 1 ? [] : [("moves", .number(count))]))
    case .shortage(let cause, let endpoint):
      say(.warning, cause.shortageText(towards: endpoint))
    }
  }

  /// A line of words.
  func say(_ level: Log.Level, _ message: String) {
    if level <= self.level { announce(level, message) }
  }

  /// A line of words that is written whatever the log's level.
  func announce(_ level: Log.Level = .info, _ message: String) {
    writer.write(Self.line(level, message, in: format))
  }

  private static var now: Timestamp { Timestamp(nanosecondsSince1970: WallClock.nanoseconds) }

  private static func line(_ level: Log.Level, _ message: String, in format: Log.Format) -> String {
    switch format {
    case .text: "\(now) \(level.rawValue) \(message.printable)"
    case .json: line(level, "message", [("text", .text(message))], in: .json)
    }
  }

  private func write(_ level: Log.Level, _ kind: String, _ fields: [(key: String, value: Event.Field)]) {
    writer.write(Self.line(level, kind, fields, in: format))
  }

  private static func line(
    _ level: Log.Level, _ kind: String, _ fields: [(key: String, value: Event.Field)], in format: Log.Format
  ) -> String {
    switch format {
    case .text:
      var line = "\(now) \(level.rawValue) \(kind)"
      for (key, value) in fields { line += " " + value.text(key) }
      return line
    case .json:
      var members = [
        JSON.Member(key: "timestamp", value: .string(now.description)),
        JSON.Member(key: "level", value: .string(level.rawValue)),
        JSON.Member(key: "event", value: .string(kind)),
      ]
      members += fields.map { JSON.Member(key: $0.key, value: $0.value.json) }
      return JSON.object(members).description
    }
  }
}

// MARK: - Events as fields

extension Event {
  enum Field {
    case text(String)
    case number(Int)
    case duration(Duration)
    /// With the chain that it is about.
    case failure(Failure, Chain?)
    case attempts([Journey.Attempt])

    func text(_ key: String) -> String {
      switch self {
      case .text(let value): "\(key)=\(value.logValue)"
      case .number(let value): "\(key)=\(value)"
      case .duration(let value): "\(key)=\(value.logText)"
      case .failure(let failure, let chain): "\(key) \(failure.text(in: chain))".printable
      case .attempts(let attempts): "\(key)=\(attempts.map(\.text).joined(separator: "; ").logValue)"
      }
    }

    /// Durations are milliseconds here.
    var json: JSON {
      switch self {
      case .text(let value): .string(value)
      case .number(let value): .int(value)
      case .duration(let value): .int(Int(value.milliseconds))
      case .failure(let failure, let chain): failure.json(in: chain)
      case .attempts(let attempts): .array(attempts.map(\.json))
      }
    }
  }

  var level: Log.Level {
    switch ending {
    case .unauthenticated where isRepeated: .debug
    case .finished, .reset, .idle, .rejected, .dropped, .left, .stopped: .info
    case .failed, .unauthenticated, .unsupported, .refused: .warning
    // A limit that is reached has a line of its own, which does not grow with the flood. So have repeated logins.
    case .noRequest, .overLimit: .debug
    }
  }

  var fields: [(key: String, value: Field)] {
    var fields: [(key: String, value: Field)] = []
    if let client {
      fields.append(("client", .text(client.description)))
    } else {
      fields.append(("client", .text(listener)))
    }
    if let user { fields.append(("user", .text(user))) }
    if let destination { fields.append(("to", .text(destination.description))) }
    if let rewritten { fields.append(("rewritten_to", .text(rewritten.description))) }
    if let route { fields.append(("route", .text(route))) }
    if let outcome { fields.append(("via", .text(outcome.description))) }
    if let plan { fields += Self.ways(of: plan, way, attempts) }
    switch ending {
    case .finished, .reset, .idle, .left, .stopped:
      fields += [("up", .number(Int(up))), ("down", .number(Int(down)))]
      if let datagrams { fields += datagrams.fields }
      fields.append(("dial", .duration(dial)))
      if isWarm { fields.append(("warm", .text("yes"))) }
      fields.append(("time", .duration(time)))
      if let words = ending.words { fields.append(("end", .text(words))) }
    case .failed(let failure):
      let chain = (way ?? attempts.last?.way)?.chain ?? outcome?.chain
      fields.append(("failed", .failure(failure, chain)))
      fields.append(("dial", .duration(dial)))
    case .rejected, .dropped, .overLimit, .unsupported, .refused, .unauthenticated, .noRequest:
      if let words = ending.words { fields.append(("end", .text(words))) }
    }
    return fields
  }
}

extension Event {
  /// Of a plan, the way that was taken, and what was tried before.
  private static func ways(
    of plan: String, _ way: Way?, _ attempts: [Journey.Attempt]
  ) -> [(key: String, value: Field)] {
    // The last attempt is what the end tells of.
    let last = way == nil ? attempts.last : nil
    guard let taken = way ?? last?.way else { return [("via", .text(plan))] }
    var fields: [(key: String, value: Field)] = [
      ("plan", .text(plan)), ("via", .text(taken.description)),
    ]
    let before = last == nil ? attempts[...] : attempts.dropLast()
    if !before.isEmpty { fields.append(("tried", .attempts(Array(before)))) }
    return fields
  }
}

extension Event.Datagrams {
  fileprivate var fields: [(key: String, value: Event.Field)] {
    var fields = [("datagrams_up", Event.Field.number(up)), ("datagrams_down", .number(down))]
    if !drops.entries.isEmpty {
      let text = drops.entries.map { "\($0.drop.rawValue):\($0.count)" }.joined(separator: ",")
      fields.append(("dropped", .text(text)))
    }
    return fields
  }
}

extension Event.Ending {
  /// Why it ended; `nil` for a tunnel that ended by itself.
  fileprivate var words: String? {
    switch self {
    case .finished, .failed: nil
    case .reset: "reset"
    case .idle: "idle"
    case .left: "client left"
    case .stopped: "stopped"
    case .rejected: "rejected"
    case .dropped: "dropped"
    case .overLimit(let reached): "over limit \(reached)"
    case .unsupported(let command): "\(command) not supported"
    case .refused(let code): "refused \(code)"
    case .unauthenticated(let reason): "not authenticated: \(reason.rawValue)"
    case .noRequest(let cause): "no request: \(cause)"
    }
  }
}

extension Duration {
  var milliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1000 + attoseconds / 1_000_000_000_000_000
  }

  /// `41ms`, `2.3s`, `12m30s`, `3h05m`.
  var logText: String {
    let milliseconds = milliseconds
    let seconds = milliseconds / 1000
    return switch milliseconds {
    case ..<1000: "\(milliseconds)ms"
    case ..<60_000: "\(seconds).\(milliseconds % 1000 / 100)s"
    case ..<3_600_000: "\(seconds / 60)m\(seconds % 60)s"
    default: "\(seconds / 3600)h\(seconds / 60 % 60)m"
    }
  }
}

extension Journey.Attempt {
  /// `de: hop=1/1 de phase=connect error=(Connection refused)`
  var text: String { "\(way): \(failure.text(in: way.chain))" }

  var json: JSON {
    .object([
      JSON.Member(key: "via", value: .string(way.description)),
      JSON.Member(key: "failed", value: failure.json(in: way.chain)),
    ])
  }
}
