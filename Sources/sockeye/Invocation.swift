import Addresses
import Config
import Routing
import Settings

/// What a command line asks for.
enum Invocation {
  case help(Command?)
  case version
  case serve(ServeOptions)
  case check(CheckOptions)
  case explain(ExplainOptions)
  case trace(TraceOptions)
  case run(RunOptions)
  case ask(ControlOptions)
  case `import`(ImportOptions)
}

struct ServeOptions {
  /// `nil`: the first that exists of the default places.
  var table: String?
  /// In place of the table's listeners; empty: the table's.
  var listen: [String] = []
  /// `nil`: one per core.
  var workers: Int?
  /// `nil`: the table's.
  var logLevel: Log.Level?
  var logFormat: Log.Format?
}

struct CheckOptions {
  /// Empty: the first that exists of the default places.
  var tables: [String]
}

struct ExplainOptions {
  /// `nil`: the first that exists of the default places.
  var table: String?
  var destinations: [Endpoint]
  var command = Request.Command.connect
  var origin = Origin()
  var json = false
  var all = false
}

/// Whose request it would be.
struct Origin {
  var user: String?
  var client: IPAddress?
  /// The name or the address of a listener; `nil`: the first of the table.
  var listener: String?
}

struct TraceOptions {
  /// `nil`: the first that exists of the default places.
  var table: String?
  var destination: Endpoint
  var origin = Origin()
  var udp = false
  var json = false
}

struct RunOptions {
  /// `nil`: the first that exists of the default places.
  var table: String?
  /// A program and its arguments; never empty.
  var command: [String]
  var underProxychains = false
  var logLevel = Log.Level.warning
}

struct ControlOptions {
  /// The one that says where the program is asked; `nil`: the first that exists of the default places.
  var table: String?
  var request: ControlRequest
}

struct ImportOptions {
  var file: String
}

extension Invocation {
  /// - Parameter arguments: without the program's name.
  init(_ arguments: [String]) throws(UsageError) {
    // Whoever asks for help is not told about other slips first.
    let options = arguments.prefix { $0 != "--" }
    if options.contains(Option.help.spelling) || options.contains("-h") {
      self = .help(options.lazy.compactMap(Command.init).first)
      return
    }
    let line = try Arguments(arguments)
    if line.contains(.version) {
      self = .version
      return
    }
    guard let word = line.operands.first else {
      throw UsageError("there is no command (write one of \(Self.commandList))")
    }
    if word == "help" {
      self = .help(
        try line.operands.dropFirst().first.map { word throws(UsageError) in try Self.command(word) })
      return
    }
    let command = try Self.command(word)
    let values = try CommandValues(line, command)
    switch command {
    case .serve: self = .serve(try Self.serve(values))
    case .check: self = .check(try Self.check(values))
    case .explain: self = .explain(try Self.explain(values))
    case .trace: self = .trace(try Self.trace(values))
    case .run: self = .run(try Self.run(values))
    case .status: self = .ask(try Self.ask(values, .status(json: values.has(.json))))
    case .reload: self = .ask(try Self.ask(values, .reload))
    case .rotate: self = .ask(try Self.rotate(values))
    case .import: self = .import(try Self.import(values))
    }
  }

  private static func command(_ word: String) throws(UsageError) -> Command {
    if let command = Command(rawValue: word) { return command }
    let near = suggestion(for: word, among: Command.allCases.map(\.rawValue) + ["help"])
    let advice = near.map { "did you mean '\($0)'?" } ?? "commands: \(commandList)"
    throw UsageError("there is no command '\(word)' (\(advice))")
  }

  private static var commandList: String {
    Command.allCases.map(\.rawValue).joined(separator: ", ")
  }

  private static func serve(_ values: CommandValues) throws(UsageError) -> ServeOptions {
    guard values.operands.count <= 1 else { throw values.error("serve takes one table") }
    var options = ServeOptions(table: values.operands.first, listen: values.all(.listen))
    if let text = values.one(.workers) {
      guard let workers = Int(text), (1...1024).contains(workers) else {
        throw values.error("--workers takes a number from 1 to 1024, not '\(text)'")
      }
      options.workers = workers
    }
    options.logLevel = try values.word(.logLevel)
    options.logFormat = try values.word(.logFormat)
    return options
  }

  private static func check(_ values: CommandValues) throws(UsageError) -> CheckOptions {
    CheckOptions(tables: values.operands)
  }

  private static func explain(_ values: CommandValues) throws(UsageError) -> ExplainOptions {
    let (table, texts) = values.tableAndDestinations
    guard !texts.isEmpty else { throw values.error("explain needs a destination") }
    var destinations: [Endpoint] = []
    for text in texts { destinations.append(try values.destination(text)) }
    var options = ExplainOptions(table: table, destinations: destinations)
    let network: Request.Network? = try values.word(.network)
    let command: Request.Command? = try values.word(.command)
    options.command = command ?? (network == .udp ? .udp : .connect)
    if let network, options.command.network != network {
      throw values.error("--command \(options.command) is not made over \(network)")
    }
    options.origin = try values.origin
    options.json = values.has(.json)
    options.all = values.has(.all)
    return options
  }

  private static func trace(_ values: CommandValues) throws(UsageError) -> TraceOptions {
    let (table, texts) = values.tableAndDestinations
    guard texts.count == 1 else { throw values.error("trace needs one destination") }
    return TraceOptions(
      table: table, destination: try values.destination(texts[0]), origin: try values.origin,
      udp: values.has(.udp), json: values.has(.json))
  }
}

extension Invocation {
  private static func run(_ values: CommandValues) throws(UsageError) -> RunOptions {
    let tables = values.operands.dropLast(values.operandsBehindDashes.count)
    guard !values.operandsBehindDashes.isEmpty else {
      throw values.error("run needs a command, behind two dashes (sockeye run -- curl https://example.com)")
    }
    guard tables.count <= 1 else { throw values.error("run takes one table before the two dashes") }
    var options = RunOptions(table: tables.first, command: values.operandsBehindDashes)
    options.underProxychains = values.has(.proxychains)
    if let level: Log.Level = try values.word(.logLevel) { options.logLevel = level }
    return options
  }

  private static func `import`(_ values: CommandValues) throws(UsageError) -> ImportOptions {
    guard values.operands.count == 1 else { throw values.error("import needs one proxychains.conf") }
    return ImportOptions(file: values.operands[0])
  }
}

extension Invocation {
  private static func ask(
    _ values: CommandValues, _ request: ControlRequest
  ) throws(UsageError) -> ControlOptions {
    guard values.operands.count <= 1 else { throw values.error("\(values.command) takes one table") }
    return ControlOptions(table: values.operands.first, request: request)
  }

  private static func rotate(_ values: CommandValues) throws(UsageError) -> ControlOptions {
    let names = Array(values.operands.dropFirst())
    if let name = names.first(where: { $0.isEmpty || $0.contains(where: \.isWhitespace) }) {
      throw values.error("no upstream is called '\(name)'")
    }
    return ControlOptions(table: values.operands.first, request: .rotate(names))
  }
}

/// The options and operands of one command, checked to belong to it.
private struct CommandValues {
  let operands: [String]
  private let line: Arguments
  let command: Command

  init(_ line: Arguments, _ command: Command) throws(UsageError) {
    self.line = line
    self.command = command
    operands = Array(line.operands.dropFirst())
    var seen: Set<Option> = []
    for (option, _) in line.options {
      guard command.options.contains(option) else {
        throw UsageError("\(command) has no option \(option.spelling)", command)
      }
      guard seen.insert(option).inserted || option == .listen else {
        throw UsageError("\(option.spelling) stands there twice", command)
      }
    }
  }

  func error(_ message: String) -> UsageError { UsageError(message, command) }
  func has(_ option: Option) -> Bool { line.contains(option) }
  func all(_ option: Option) -> [String] { line.values(of: option) }
  var operandsBehindDashes: [String] { Array(line.operandsBehindDashes) }
  func one(_ option: Option) -> String? { all(option).first }

  /// The value of an option that takes one of a few words.
  func word<Word: CaseIterable & RawRepresentable<String>>(_ option: Option) throws(UsageError) -> Word? {
    guard let text = one(option) else { return nil }
    guard let word = Word(rawValue: text) else {
      let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
      throw error("\(option.spelling) takes one of \(words), not '\(text)'")
    }
    return word
  }

  /// The first operand is a table, unless it is a destination; a table of such a name is written with its directory.
  var tableAndDestinations: (table: String?, destinations: [String]) {
    guard let first = operands.first, operands.count > 1, Endpoint(first) == nil else {
      return (nil, operands)
    }
    return (first, Array(operands.dropFirst()))
  }

  var origin: Origin {
    get throws(UsageError) {
      var origin = Origin(user: one(.user), listener: one(.listener))
      if let text = one(.client) {
        guard let address = IPAddress(text) else {
          throw error("--client takes an IP address, not '\(text)'")
        }
        origin.client = address.unmapped
      }
      return origin
    }
  }

  func destination(_ text: String) throws(UsageError) -> Endpoint {
    guard let endpoint = Endpoint(text), endpoint.port > 0 else {
      throw error(
        "'\(text)' is not a destination (write HOST:PORT, as in example.com:443 or [2001:db8::1]:22)")
    }
    if let address = endpoint.host.address, !address.isDialable {
      throw error("'\(text)' is the address of no host: to connect there is refused whatever a table says")
    }
    return endpoint
  }
}
