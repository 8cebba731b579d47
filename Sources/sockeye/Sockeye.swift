import Glibc
import Transport

/// The program: reads the command line and hands over to the command.
@main
struct Sockeye {
  static let version = "0.1.0"

  // Not `async`: `serve` needs the main thread, before any other runs.
  static func main() {
    OwnProcess.openStandardDescriptors()
    exit(run(Array(CommandLine.arguments.dropFirst())))
  }

  private static func run(_ arguments: [String]) -> ExitStatus {
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
    case .serve(let options): return Serve(options).run()
    case .run(let options): return Run(options).run()
    case .check(let options): return check(options)
    case .explain(let options): return explain(options)
    case .import(let options): return importTable(options)
    case .trace(let options):
      Task { exit(await trace(options)) }
      while true { pause() }
    case .ask(let options):
      Task { exit(await ask(options)) }
      while true { pause() }
    }
    return .done
  }
}
