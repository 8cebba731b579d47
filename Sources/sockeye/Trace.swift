import Config
import Printing
import Proxy
import Routing
import Settings

/// `sockeye trace`: really reaches a destination, and says how each phase went or which hop failed.
func trace(_ options: TraceOptions) async -> ExitStatus {
  let result = ConfigurationLoader().load(options.table ?? defaultTable)
  for diagnostic in result.diagnostics { Console.error.write(diagnostic) }
  guard let configuration = result.configuration else { return .failed }
  guard let listener = configuration.listener(of: options.origin) else { return .wrongUsage }

  let request = Request(
    options.udp ? .udp : .connect, to: options.destination, from: options.origin, at: listener)
  let verdict = configuration.table.verdict(for: request)
  do {
    var tracing = Tracing(request, verdict)
    let tracer = Tracer(configuration)
    try await tracing.take(verdict.outcome, by: tracer)
    if tracing.lacksUDP, let alternative = verdict.alternative {
      try await tracing.take(alternative, by: tracer)
    }
    Console.output.write(options.json ? tracing.json.description : tracing.text)
    return tracing.hasSucceeded ? .done : .failed
  } catch {
    Console.error.write("sockeye: cannot trace: \(error)")
    return .failed
  }
}

/// What `trace` prints.
private struct Tracing {
  private let request: Request
  private let verdict: Verdict
  /// More than one where a chain turned out not to carry UDP, and its route says what then.
  private var attempts: [Attempt] = []

  init(_ request: Request, _ verdict: Verdict) {
    self.request = request
    self.verdict = verdict
  }

  mutating func take(_ outcome: Outcome, by tracer: Tracer) async throws {
    var report: Tracer.Report?
    if !outcome.refuses {
      let dialled = request.rewritten(to: verdict.rewritten)
      report = try await tracer.run(dialled, via: outcome, timeout: verdict.route?.timeout)
    }
    attempts.append(Attempt(outcome: outcome, report: report))
  }

  private var label: String { verdict.route?.label ?? "default" }

  var hasSucceeded: Bool { attempts.last?.hasSucceeded == true }
  var lacksUDP: Bool { attempts.last?.failure?.isLackOfUDP == true }

  /// For people, one line a hop.
  var text: String {
    var lines: [String] = []
    for (number, attempt) in attempts.enumerated() {
      lines.append(
        number == 0
          ? "\(request.destination)  \(request.command.network)  →  \(attempt.outcome)  (route \(label))"
          : "  the route's 'udp'  →  \(attempt.outcome)")
      if number == 0, let rewritten = verdict.rewritten { lines.append("  rewritten to \(rewritten)") }
      lines += attempt.lines
    }
    return lines.map(\.printable).joined(separator: "\n")
  }

  /// For programs, one object; durations in milliseconds. What a route's `udp` led to stands under that key.
  var json: JSON {
    var members = [
      JSON.Member(key: "destination", value: .string(request.destination.description)),
      JSON.Member(key: "network", value: .string(request.command.network.rawValue)),
      JSON.Member(key: "route", value: .string(label)),
      JSON.Member(key: "reached", value: .bool(hasSucceeded)),
    ]
    if let rewritten = verdict.rewritten {
      members.insert(JSON.Member(key: "rewritten_to", value: .string(rewritten.description)), at: 1)
    }
    var attempted: [JSON.Member] = []
    for attempt in attempts.reversed() {
      let instead = attempted.isEmpty ? [] : [JSON.Member(key: "udp", value: .object(attempted))]
      attempted = attempt.jsonMembers + instead
    }
    return .object(members + attempted)
  }
}

/// One outcome, and what came of it.
private struct Attempt {
  let outcome: Outcome
  /// `nil` when the table refuses, so that nothing was sent.
  let report: Tracer.Report?

  var hasSucceeded: Bool {
    if case .success? = report?.result { true } else { false }
  }

  var failure: Failure? {
    if case .failure(let failure)? = report?.result { failure } else { nil }
  }

  /// The hops that were tried last; `nil` without any.
  private var chain: Chain? {
    switch (report?.way, outcome) {
    case (.chain(let chain)?, _), (nil, .chain(let chain)): chain
    default: nil
    }
  }

  private func isolation(at place: Failure.Place) -> Isolation? {
    guard case .hop(let index, _, _) = place, let chain, index < chain.hops.count else { return nil }
    return chain.hops[index].isolation
  }

  // MARK: Text

  var lines: [String] {
    guard let report else { return ["  nothing is sent"] }
    return choice(report) + places.map { line($0.place, $0.steps) } + [conclusion(report)] + shortcut
      + room(report)
  }

  /// What a plan came to.
  private func choice(_ report: Tracer.Report) -> [String] {
    report.attempts.map {
      "  tried \($0.way)  failed \($0.failure.text(in: $0.way.chain))  after \($0.failure.elapsed.logText)"
    }
      + (report.way.map { ["  way  \($0)"] } ?? [])
  }

  /// The steps of one place, in order.
  private var places: [(place: Failure.Place, steps: [Tracer.Step])] {
    var places: [(place: Failure.Place, steps: [Tracer.Step])] = []
    for step in report?.steps ?? [] {
      if places.last?.place != step.place { places.append((step.place, [])) }
      places[places.count - 1].steps.append(step)
    }
    return places
  }

  private func line(_ place: Failure.Place, _ steps: [Tracer.Step]) -> String {
    let phases = steps.map {
      "\($0.phase.rawValue) \($0.duration.logText)\($0.isPipelined ? " (pipelined)" : "")"
        + ($0.tlsVersion.map { " (\($0))" } ?? "")
    }
    let relay = report?.relays.first { $0.place == place }.map { relay in
      relay.told == relay.used ? "relay \(relay.used)" : "relay told \(relay.told), used \(relay.used)"
    }
    let isolation = isolation(at: place).map { "(\($0))" }
    let parts = phases + [relay, isolation].compactMap(\.self)
    return "  \(place.label)  \(parts.joined(separator: "  "))"
  }

  private func conclusion(_ report: Tracer.Report) -> String {
    let duration = report.duration.logText
    switch report.result {
    case .success(.connected(let bound)): return "  reached in \(duration)  (bound \(bound))"
    case .success(.answered(let source, let size, let time)):
      return "  answered in \(time.logText)  (\(size) octets from \(source))"
    case .failure(let failure) where failure.cause == .unanswered:
      return "  failed \(silence)  after \(duration)"
    case .failure(let failure): return "  failed \(failure.text(in: chain))  after \(duration)"
    }
  }

  /// How long the destination takes by a tunnel that waits at the last hop. A trace has none; but its own was one when
  /// it came to the request, if that was sent by itself.
  private var warmDuration: Duration? {
    guard let chain, chain.warm != .count(0), case .success(.connected)? = report?.result,
      let last = report?.steps.last, last.phase == .request, !last.isPipelined
    else { return nil }
    return last.duration
  }

  private var shortcut: [String] {
    guard let warmDuration else { return [] }
    return ["  by a warm tunnel it takes the request alone: \(warmDuration.logText)"]
  }

  /// Nobody can tell where datagrams are lost: only who may have done it.
  private var silence: String {
    guard let chain else { return "no datagram came back: the destination is silent" }
    let hops = chain.hops.count == 1 ? "hop 1" : "one of the \(chain.hops.count) hops"
    return "associated, but no datagram came back: \(hops) may drop UDP, or the destination is silent"
  }

  private func room(_ report: Tracer.Report) -> [String] {
    guard let room = report.room else { return [] }
    return [
      "  room for payload: \(room.largest) octets, \(room.unfragmented) on a path of 1500 (headers \(room.headers))"
    ]
  }

  // MARK: JSON

  var jsonMembers: [JSON.Member] {
    var members = [JSON.Member(key: "via", value: .string(outcome.description))]
    guard let report else { return members }
    if let way = report.way { members.append(JSON.Member(key: "way", value: .string(way.description))) }
    if !report.attempts.isEmpty {
      members.append(JSON.Member(key: "tried", value: .array(report.attempts.map(\.json))))
    }
    members.append(JSON.Member(key: "steps", value: .array(report.steps.map(\.json))))
    if !report.relays.isEmpty {
      members.append(JSON.Member(key: "relays", value: .array(report.relays.map(\.json))))
    }
    if let room = report.room { members.append(JSON.Member(key: "room", value: room.json)) }
    switch report.result {
    case .success(.connected):
      if let warmDuration {
        members.append(JSON.Member(key: "warm_ms", value: .int(Int(warmDuration.milliseconds))))
      }
    case .success(.answered(let source, let size, let time)):
      let answer = JSON.object([
        JSON.Member(key: "from", value: .string(source.description)),
        JSON.Member(key: "octets", value: .int(size)),
        JSON.Member(key: "ms", value: .int(Int(time.milliseconds))),
      ])
      members.append(JSON.Member(key: "answer", value: answer))
    case .failure(let failure): members.append(JSON.Member(key: "failed", value: failure.json(in: chain)))
    }
    members.append(JSON.Member(key: "ms", value: .int(Int(report.duration.milliseconds))))
    return members
  }
}

extension Tracer.Step {
  fileprivate var json: JSON {
    .object(
      place.jsonMembers + [
        JSON.Member(key: "phase", value: .string(phase.rawValue)),
        JSON.Member(key: "ms", value: .int(Int(duration.milliseconds))),
        JSON.Member(key: "pipelined", value: .bool(isPipelined)),
      ] + (tlsVersion.map { [JSON.Member(key: "tls", value: .string($0))] } ?? []))
  }
}

extension Tracer.Relay {
  fileprivate var json: JSON {
    .object(
      place.jsonMembers + [
        JSON.Member(key: "told", value: .string(told.description)),
        JSON.Member(key: "used", value: .string(used.description)),
      ])
  }
}

extension Tracer.Room {
  fileprivate var json: JSON {
    .object([
      JSON.Member(key: "headers", value: .int(headers)), JSON.Member(key: "largest", value: .int(largest)),
      JSON.Member(key: "unfragmented", value: .int(unfragmented)),
    ])
  }
}

extension Failure.Place {
  fileprivate var label: String {
    switch self {
    case .client: "client"
    case .hop(let index, _, let name): "hop \(index + 1)  \(name)"
    case .destination: "destination"
    }
  }
}
