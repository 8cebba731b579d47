/// The program: reads the command line and hands over to the command.
@main
struct Sockeye {
  static let version = "0.1.0"

  static func main() async {
    exit(await run(Array(CommandLine.arguments.dropFirst())))
  }

  private static func run(_ arguments: [String]) async -> ExitStatus {
    let invocation: Invocation
    do throws(UsageError) {
      invocation = try Invocation(arguments)
    } catch {
      Console.error.write(error.description)
      return .wrongUsage
    }
    switch invocation {
    case .help(let command): Console.output.write(Help.text(command))
    case .version: Console.output.write("sockeye \(version)")
    case .serve(let options): return await serve(options)
    case .check(let options): return check(options)
    case .explain(let options): return explain(options)
    case .trace(let options): return await trace(options)
    }
    return .done
  }
}
