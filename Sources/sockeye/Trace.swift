import Config
import Printing
import Proxy
import Routing
import Settings

/// `sockeye trace`: really dials a destination, and says how each phase went or which hop failed.
func trace(_ options: TraceOptions) async -> ExitStatus {
  let result = ConfigurationLoader().load(options.table)
  for diagnostic in result.diagnostics { Console.error.write(diagnostic) }
  guard let configuration = result.configuration else { return .failed }
  guard let listener = configuration.listeners.first?.id else { return .failed }

  let request = Request(to: options.destination, listener: listener)
  let verdict = configuration.table.verdict(for: request)
  switch verdict.outcome {
  case .reject, .drop:
    let tracing = Tracing(request: request, verdict: verdict, report: nil)
    Console.output.write(options.json ? tracing.json.description : tracing.text)
    return .failed
  case .direct, .chain:
    break
  }
  do {
    let report = try await Tracer(configuration).run(request, verdict)
    let tracing = Tracing(request: request, verdict: verdict, report: report)
    Console.output.write(options.json ? tracing.json.description : tracing.text)
    return tracing.hasSucceeded ? .done : .failed
  } catch {
    Console.error.write("sockeye: cannot trace: \(error)")
    return .failed
  }
}

/// What `trace` prints.
private struct Tracing {
  let request: Request
  let verdict: Verdict
  /// `nil` when the table refuses, so that nothing was dialled.
  let report: Tracer.Report?

  var hasSucceeded: Bool {
    if case .success? = report?.result { true } else { false }
  }

  private var route: String { verdict.route?.label ?? "default" }

  /// The steps of one place, in order.
  private var places: [(place: Failure.Place, steps: [Tracer.Step])] {
    var places: [(place: Failure.Place, steps: [Tracer.Step])] = []
    for step in report?.steps ?? [] {
      if places.last?.place != step.place { places.append((step.place, [])) }
      places[places.count - 1].steps.append(step)
    }
    return places
  }

  /// For people, one line a hop.
  var text: String {
    var lines = ["\(request.destination)  tcp  →  \(verdict.outcome)  (route \(route))"]
    for (place, steps) in places {
      let phases = steps.map { "\($0.phase.rawValue) \($0.duration.logText)" }
      lines.append("  \(place.label)  \(phases.joined(separator: "  "))")
    }
    switch report?.result {
    case .success(let bound): lines.append("  reached in \(report?.duration.logText ?? "")  (bound \(bound))")
    case .failure(let failure): lines.append("  failed \(failure)  after \(report?.duration.logText ?? "")")
    case nil: lines.append("  nothing is dialled")
    }
    return lines.map(\.printable).joined(separator: "\n")
  }

  /// For programs, one object; durations in milliseconds.
  var json: JSON {
    var members = [
      JSON.Member(key: "destination", value: .string(request.destination.description)),
      JSON.Member(key: "via", value: .string(verdict.outcome.description)),
      JSON.Member(key: "route", value: .string(route)),
      JSON.Member(key: "reached", value: .bool(hasSucceeded)),
    ]
    if let report {
      let steps = report.steps.map { step in
        JSON.object(
          step.place.jsonMembers + [
            JSON.Member(key: "phase", value: .string(step.phase.rawValue)),
            JSON.Member(key: "ms", value: .int(Int(step.duration.milliseconds))),
          ])
      }
      members.append(JSON.Member(key: "steps", value: .array(steps)))
      if case .failure(let failure) = report.result {
        members.append(JSON.Member(key: "failed", value: failure.json))
      }
      members.append(JSON.Member(key: "ms", value: .int(Int(report.duration.milliseconds))))
    }
    return .object(members)
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
