import Config
import Printing

/// The command line is wrong: what is wrong, and where help is.
struct UsageError: Error, CustomStringConvertible {
  var message: String
  var command: Command?

  init(_ message: String, _ command: Command? = nil) {
    self.message = message
    self.command = command
  }

  var description: String {
    let help = command.map { "sockeye \($0) --help" } ?? "sockeye --help"
    return "sockeye: \(message.printable)\n\(help) explains"
  }
}

enum Command: String, CaseIterable {
  case serve
  case check
  case explain
  case trace
  case run
  case status
  case reload
  case rotate
  case `import`

  /// Besides `--help` and `--version`, which stand everywhere.
  var options: Set<Option> {
    switch self {
    case .serve: [.listen, .workers, .logLevel, .logFormat]
    case .check: []
    case .explain: [.network, .command, .user, .client, .listener, .json, .all]
    case .trace: [.user, .client, .listener, .udp, .json]
    case .run: [.proxychains, .logLevel]
    case .status: [.json]
    case .reload, .rotate: []
    case .import: []
    }
  }
}

/// Every option there is. One name means one thing in all commands, so options may stand before the command too.
enum Option: String, CaseIterable {
  case help
  case version
  case listen
  case workers
  case logLevel = "log-level"
  case logFormat = "log-format"
  case network
  case command
  case user
  case client
  case listener
  case udp
  case json
  case all
  case proxychains

  var takesValue: Bool {
    switch self {
    case .help, .version, .udp, .json, .all, .proxychains: false
    default: true
    }
  }

  var spelling: String { "--\(rawValue)" }

  /// The two that every program has.
  var letter: String? {
    switch self {
    case .help: "-h"
    case .version: "-V"
    default: nil
    }
  }
}

/// A command line, taken apart: `--name value`, `--name=value`, and operands; `--` ends the options.
struct Arguments {
  private(set) var options: [(option: Option, value: String)] = []
  /// All of them, and those that stand behind `--`.
  private(set) var operands: [String] = []
  private(set) var operandsBehindDashes: ArraySlice<String> = []

  init(_ arguments: [String]) throws(UsageError) {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        operands += rest
        operandsBehindDashes = rest
        return
      }
      guard argument.hasPrefix("-"), argument != "-" else {
        operands.append(argument)
        continue
      }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard
        let option = Option.allCases.first(where: { $0.spelling == parts[0] || $0.letter == argument })
      else {
        let near = suggestion(for: String(parts[0]), among: Option.allCases.map(\.spelling))
        throw UsageError("there is no option \(parts[0])" + (near.map { " (did you mean \($0)?)" } ?? ""))
      }
      if !option.takesValue {
        guard parts.count == 1 else { throw UsageError("\(option.spelling) takes no value") }
        options.append((option, ""))
      } else if parts.count == 2 {
        options.append((option, String(parts[1])))
      } else {
        guard let value = rest.popFirst() else { throw UsageError("\(option.spelling) needs a value") }
        options.append((option, value))
      }
    }
  }

  func contains(_ option: Option) -> Bool {
    options.contains { $0.option == option }
  }

  /// The values of an option that may stand several times.
  func values(of option: Option) -> [String] {
    options.filter { $0.option == option }.map(\.value)
  }
}
