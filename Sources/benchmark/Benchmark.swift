/// Measures Sockeye beside bare programs and peers, and prints what docs/performance.md holds.
@main
struct Benchmark {
  static func main() async {
    do {
      switch try Options(CommandLine.arguments.dropFirst()) {
      case .help: print(Options.usage)
      case .targets(let targets): try await targets.serve()
      case .visit(let visit): print(try visit.make())
      case .measure(let plan): try await measure(plan)
      case .latency(let plan): try measure(plan)
      }
    } catch let mistake as Options.Mistake {
      say("benchmark: \(mistake.text)\nTry `benchmark --help`.")
      Machine.exit(2)
    } catch {
      say("benchmark: \(error)")
      Machine.exit(1)
    }
  }

  private static func measure(_ plan: Plan) async throws {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    let contest = try Contest(plan, in: directory)
    var results = Results()
    for round in 1...plan.rounds {
      for figure in plan.figures {
        say("round \(round) of \(plan.rounds): \(figure.rawValue)")
        if figure == .verdicts {
          results.add(try Verdicts.measure(in: directory), of: Contender.sockeye, to: figure)
        } else {
          await contest.measure(figure, into: &results)
        }
      }
    }
    print(Report(results))
  }

  /// What it started ends with it, also when a signal interrupts it.
  private static func measure(_ plan: LatencyPlan) throws {
    Interruption.holdBack()
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    if !plan.isFailoverOnly { print(try LatencyContest(plan, in: directory).measure()) }
    if FailoverContest.isPossible { print(try FailoverContest(plan, in: directory).measure()) }
  }
}
