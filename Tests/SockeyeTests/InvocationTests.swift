import Addresses
import Routing
import Testing

@testable import sockeye

/// The words of a command line, without the program's name.
private func words(_ line: String) -> [String] { line.split(separator: " ").map(String.init) }

@Suite struct InvocationTests {
  @Test(arguments: [
    "serve t.yaml --listen 127.0.0.1:1 --listen unix:/s --workers 3 --log-level debug --log-format json",
    "--workers=3 --log-level=debug serve --listen=127.0.0.1:1 --log-format=json t.yaml --listen=unix:/s",
    "--listen 127.0.0.1:1 --listen unix:/s --workers 3 --log-level debug --log-format json -- serve t.yaml",
  ])
  func `options stand anywhere`(line: String) throws {
    guard case .serve(let options) = try Invocation(words(line)) else {
      Issue.record("not serve")
      return
    }
    #expect(options.table == "t.yaml")
    #expect(options.listen == ["127.0.0.1:1", "unix:/s"])
    #expect(options.workers == 3)
    #expect(options.logLevel == .debug)
    #expect(options.logFormat == .json)
  }

  @Test func `what stands behind two dashes is the command to run, options and dashes included`() throws {
    guard
      case .run(let options) = try Invocation(words("run t.yaml --proxychains -- curl --json -- --help"))
    else {
      Issue.record("not run")
      return
    }
    #expect(options.table == "t.yaml")
    #expect(options.command == ["curl", "--json", "--", "--help"])
    #expect(options.underProxychains)
    #expect(options.logLevel == .warning)
  }

  @Test func `serve needs nothing`() throws {
    guard case .serve(let options) = try Invocation(["serve"]) else {
      Issue.record("not serve")
      return
    }
    #expect(options.table == nil)
    #expect(options.listen == [])
    #expect(options.workers == nil)
    #expect(options.logLevel == nil)
    #expect(options.logFormat == nil)
  }

  @Test func `behind two dashes, a table may be called like an option`() throws {
    guard case .check(let options) = try Invocation(["check", "a.yaml", "--", "--help", "--", "-"]) else {
      Issue.record("not check")
      return
    }
    #expect(options.tables == ["a.yaml", "--help", "--", "-"])
  }

  @Test func `explain takes a request apart`() throws {
    let line =
      "explain t.yaml a.example:1 [::1]:2 --network udp --user u --client ::ffff:10.0.0.1 --listener l --all --json"
    guard case .explain(let options) = try Invocation(words(line)) else {
      Issue.record("not explain")
      return
    }
    #expect(options.table == "t.yaml")
    #expect(options.destinations.map(\.description) == ["a.example:1", "[::1]:2"])
    #expect(options.command == .udp)
    #expect(options.origin.user == "u")
    #expect(options.origin.client == IPAddress("10.0.0.1"))
    #expect(options.origin.listener == "l")
    #expect(options.all && options.json)
  }

  @Test(
    arguments: [
      ("", .connect), ("--network tcp", .connect), ("--network udp", .udp), ("--command udp", .udp),
      ("--command udp --network udp", .udp), ("--command bind", .bind),
      ("--command bind --network tcp", .bind),
    ] as [(String, Request.Command)])
  func `a network is enough for explain, and so is a command`(options: String, command: Request.Command)
    throws
  {
    guard case .explain(let explain) = try Invocation(words("explain t.yaml a:1 " + options)) else {
      Issue.record("not explain")
      return
    }
    #expect(explain.command == command)
  }

  @Test(arguments: ["a b", "", "a\nreload", "\t"])
  func `an upstream to rotate has a name as tables write them`(name: String) {
    #expect(throws: UsageError.self) { try Invocation(["rotate", "t.yaml", name]) }
  }

  @Test func `trace takes one destination, and whose request it would be`() throws {
    let line = "trace t.yaml a.example:1 --udp --json --user u --client 10.0.0.1 --listener l"
    guard case .trace(let options) = try Invocation(words(line)) else {
      Issue.record("not trace")
      return
    }
    #expect(options.table == "t.yaml")
    #expect(options.destination.description == "a.example:1")
    #expect(options.origin.user == "u")
    #expect(options.origin.client == IPAddress("10.0.0.1"))
    #expect(options.origin.listener == "l")
    #expect(options.udp && options.json)
  }

  @Test func `check, explain and trace need no table`() throws {
    guard case .check(let check) = try Invocation(words("check")),
      case .explain(let explain) = try Invocation(words("explain a.example:1 [::1]:2")),
      case .trace(let trace) = try Invocation(words("trace a.example:1"))
    else {
      Issue.record("another command")
      return
    }
    #expect(check.tables == [])
    #expect(explain.table == nil)
    #expect(explain.destinations.map(\.description) == ["a.example:1", "[::1]:2"])
    #expect(trace.table == nil)
    #expect(trace.destination.description == "a.example:1")
  }

  @Test(
    arguments: [
      ("status", nil, .status(json: false)), ("status t.yaml --json", "t.yaml", .status(json: true)),
      ("reload t.yaml", "t.yaml", .reload), ("rotate", nil, .rotate([])), ("rotate t", "t", .rotate([])),
      ("rotate t.yaml tor exits", "t.yaml", .rotate(["tor", "exits"])),
    ] as [(String, String?, ControlRequest)])
  func `status, reload and rotate need no table, and find one by its name`(
    line: String, table: String?, request: ControlRequest
  ) throws {
    guard case .ask(let options) = try Invocation(words(line)) else {
      Issue.record("nothing is asked")
      return
    }
    #expect(options.table == table)
    #expect(options.request == request)
    #expect(ControlRequest(request.line) == request)
  }

  @Test(
    arguments: [
      ("--help", nil), ("serve --help", .serve), ("--help check", .check), ("-h", nil),
      ("serve -h", .serve), ("help", nil), ("help trace", .trace),
      ("explain --nonsense --help", .explain),
      ("trace --json --help x y z", .trace), ("--version --help", nil),
    ] as [(String, Command?)])
  func `help comes before every slip`(line: String, command: Command?) throws {
    guard case .help(let asked) = try Invocation(words(line)) else {
      Issue.record("no help")
      return
    }
    #expect(asked == command)
  }

  @Test(arguments: ["serve --version", "--version", "-V"])
  func `the version is told whatever else is asked`(line: String) throws {
    guard case .version = try Invocation(words(line)) else {
      Issue.record("no version")
      return
    }
  }

  @Test(arguments: [
    (
      "",
      "there is no command (write one of serve, check, explain, trace, run, status, reload, rotate, import)"
    ),
    ("help sreve", "there is no command 'sreve' (did you mean 'serve'?)"),
    ("hlep", "there is no command 'hlep' (did you mean 'help'?)"),
    ("serv", "there is no command 'serv' (did you mean 'serve'?)"),
    (
      "stop",
      "there is no command 'stop' (commands: serve, check, explain, trace, run, status, reload, rotate, import)"
    ),
    ("status a b", "status takes one table"), ("reload a b", "reload takes one table"),
    ("reload --json", "reload has no option --json"), ("rotate --json", "rotate has no option --json"),
    ("serve --lisen x", "there is no option --lisen (did you mean --listen?)"),
    ("serve -l", "there is no option -l"), ("serve --listen", "--listen needs a value"),
    ("explain t a:1 --json=yes", "--json takes no value"), ("serve a b", "serve takes one table"),
    ("serve --json", "serve has no option --json"),
    ("check t --listen 127.0.0.1:1", "check has no option --listen"),
    ("serve --workers 1 --workers 2", "--workers stands there twice"),
    ("serve --workers 0", "--workers takes a number from 1 to 1024, not '0'"),
    ("serve --workers x", "--workers takes a number from 1 to 1024, not 'x'"),
    ("serve --log-level warn", "--log-level takes one of error, warning, info, debug, not 'warn'"),
    ("serve --log-format xml", "--log-format takes one of text, json, not 'xml'"),
    ("explain", "explain needs a destination"), ("trace", "trace needs one destination"),
    ("trace t a:1 b:1", "trace needs one destination"), ("trace a:1 b:1", "trace needs one destination"),
    ("explain t", "'t' is not a destination (write HOST:PORT, as in example.com:443 or [2001:db8::1]:22)"),
    ("explain t a", "'a' is not a destination (write HOST:PORT, as in example.com:443 or [2001:db8::1]:22)"),
    (
      "explain t a:0",
      "'a:0' is not a destination (write HOST:PORT, as in example.com:443 or [2001:db8::1]:22)"
    ),
    (
      "trace t 0.0.0.0:80",
      "'0.0.0.0:80' is the address of no host: to connect there is refused whatever a table says"
    ),
    ("explain t a:1 --client lan", "--client takes an IP address, not 'lan'"),
    ("explain t a:1 --network tcp --command udp", "--command udp is not made over tcp"),
    ("explain t a:1 --network udp --command bind", "--command bind is not made over udp"),
  ])
  func `a wrong command line says what is wrong`(line: String, message: String) {
    let error = #expect(throws: UsageError.self) { try Invocation(words(line)) }
    #expect(error?.message == message)
  }

  @Test func `an error says where help is, and shows no control character`() {
    #expect(UsageError("no \u{1b}[31m").description == "sockeye: no \\u{1b}[31m\nsockeye --help explains")
    #expect(UsageError("no", .serve).description == "sockeye: no\nsockeye serve --help explains")
  }

  @Test(arguments: Command.allCases) func `help names each option of its command and shows an example`(
    command: Command
  ) {
    let text = Help.text(command)
    #expect(text.contains("usage: sockeye \(command)"))
    #expect(text.contains("example:\n  sockeye \(command)"))
    for option in command.options { #expect(text.contains(option.spelling)) }
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 90 })
    #expect(Help.text(nil).contains("\n  \(command) "))
  }
}
