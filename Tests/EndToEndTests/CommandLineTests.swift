import Testing

/// `check`, `explain` and what the command line answers.
@Suite(.blocking)
struct CommandLineTests {
  static let split = """
    upstreams:
      office: socks5://alice:secret@proxy.office.example:1080
      tor: socks5://127.0.0.1:9050

    routes:
      - name: corp
        domain: corp.example
        via: office
      - port: 25
        via: reject

    default: [office, tor]

    tests:
      - {to: "wiki.corp.example:443", expect: office}

    """
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func `a good table is checked in silence`() throws {
    let exit = try Sockeye.run("check", try directory.write(Self.split, to: "split.yaml"))
    #expect(exit == .init(status: 0, output: [], errors: []))
  }

  @Test func `every error is told, with its place`() throws {
    try directory.write(
      Self.split.replacing("via: office", with: "via: offce").replacing("port: 25", with: "prt: 25"),
      to: "bad.yaml")
    let exit = try Sockeye.run("check", "bad.yaml", directory: directory.path)
    #expect(exit.status == 1)
    let errors = exit.output.filter { $0.contains(": error: ") }
    #expect(
      errors.contains {
        $0.hasPrefix("bad.yaml:8:10: error: ") && $0.contains("'offce' (did you mean 'office'?)")
      }, "\(exit)")
    #expect(errors.contains { $0.hasPrefix("bad.yaml:9:5: error: ") && $0.contains("'port'") }, "\(exit)")
    #expect(exit.errors == [])
  }

  @Test func `a test of the table that does not hold fails the check`() throws {
    let file = try directory.write(
      Self.split.replacing("expect: office", with: "expect: tor"), to: "split.yaml")
    let exit = try Sockeye.run("check", file)
    #expect(exit.status == 1)
    #expect(exit.output.contains { $0.hasPrefix("\(file):15:") }, "\(exit)")
  }

  @Test func `explain says what would happen, and why`() throws {
    try directory.write(Self.split, to: "split.yaml")
    let exit = try Sockeye.run("explain", "split.yaml", "wiki.corp.example:443", directory: directory.path)
    #expect(exit.status == 0)
    #expect(
      exit.output == [
        "wiki.corp.example:443  tcp  →  office",
        "  route 'corp'  split.yaml:6   domain corp.example",
        "  hop 1  office  socks5://proxy.office.example:1080  (user alice)",
        "  the name is resolved by: office",
      ], "\(exit)")
    #expect(!exit.description.contains("secret"))
  }

  @Test func `explain asks no name server`() throws {
    let names = try NameServer(["www.example.com": .addresses(["127.0.0.1"])])
    let file = try directory.write(names.table + "default: direct\n", to: "direct.yaml")
    #expect(try Sockeye.run("explain", file, "www.example.com:443").status == 0)
    #expect(names.questions.all == [])
  }

  @Test func `explain of several destinations, as JSON, for a listener, a client and a user`() throws {
    let table = """
      routes:
        - {user: bob, via: reject}
        - {client: 10.0.0.0/8, via: reject}
      default: direct

      """
    let file = try directory.write(table, to: "table.yaml")
    let plain = try Sockeye.run("explain", file, "a.test:1", "b.test:2")
    #expect(plain.output.contains { $0.hasPrefix("a.test:1  tcp  →  direct") }, "\(plain)")
    #expect(plain.output.contains { $0.hasPrefix("b.test:2  tcp  →  direct") }, "\(plain)")
    let user = try Sockeye.run("explain", file, "a.test:1", "--user", "bob")
    #expect(user.output.first == "a.test:1  tcp  →  reject", "\(user)")
    let client = try Sockeye.run("explain", "--client", "10.1.2.3", file, "a.test:1")
    #expect(client.output.first == "a.test:1  tcp  →  reject", "\(client)")
    let json = try Sockeye.run("explain", file, "a.test:1", "--json")
    #expect(json.status == 0)
    let object = try JSONObject(json.output.joined(), of: "explain")
    #expect(object.string("destination") == "a.test:1" && object.string("outcome") == "direct", "\(json)")
    let all = try Sockeye.run("explain", file, "10.0.0.1:1", "--json", "--all")
    let judgements = try JSONObject(all.output.joined(), of: "explain").objects("routes")
    #expect(judgements.map { $0["judgement"] as? String } == ["not taken", "not taken"], "\(all)")
  }

  @Test(arguments: [
    [], ["frobnicate"], ["help", "frobnicate"], ["explain"], ["trace"], ["serve", "--nonsense"],
    ["check", "--workers"],
  ])
  func `a wrong command line is 2`(arguments: [String]) throws {
    let exit = try ChildProcess.run(try Sockeye.program(), arguments)
    #expect(exit.status == 2, "\(exit)")
    #expect(exit.output == [] && exit.errors != [])
  }

  @Test(arguments: [
    ["--help"], ["serve", "--help"], ["check", "--help"], ["explain", "--help"], ["trace", "--help"],
    ["--version"], ["-h"], ["-V"], ["help"], ["help", "serve"],
  ])
  func `help and version go to standard output`(arguments: [String]) throws {
    let exit = try ChildProcess.run(try Sockeye.program(), arguments)
    #expect(exit.status == 0 && exit.output != [] && exit.errors == [], "\(exit)")
  }

  @Test func `a table that is not there is an error`() throws {
    for command in ["check", "serve"] {
      let exit = try Sockeye.run(command, "\(directory.path)/nowhere.yaml")
      #expect(exit.status == 1 && exit.description.contains("nowhere.yaml"), "\(exit)")
    }
  }

  @Test func `without a name, serve takes the table of its directory`() throws {
    try directory.write("listen: 127.0.0.1:0\ndefault: direct\n", to: "sockeye.yaml")
    let process = try ChildProcess(try Sockeye.program(), ["serve"], directory: directory.path)
    try process.line(containing: "listening on 127.0.0.1:")
  }

  @Test func `without a name, check, explain and trace take the table of their directory`() throws {
    let target = try Server.silent()
    try directory.write("default: direct\nroutes: [{port: 25, via: nowhere}]\n", to: "sockeye.yaml")
    let check = try Sockeye.run("check", directory: directory.path)
    #expect(
      check.status == 1 && check.output.first?.hasPrefix("sockeye.yaml:2:26: error: ") == true, "\(check)")
    try directory.write("default: direct\n", to: "sockeye.yaml")
    let explain = try Sockeye.run("explain", target.address, directory: directory.path)
    #expect(explain.output.first == "\(target.address)  tcp  →  direct", "\(explain)")
    let trace = try Sockeye.run("trace", target.address, directory: directory.path)
    #expect(trace.status == 0, "\(trace)")
  }

  @Test func `secrets come from the environment, and a missing one is an error`() throws {
    let table = "upstreams: {office: \"socks5://alice:${OFFICE_PASSWORD}@127.0.0.1:9050\"}\ndefault: office\n"
    let file = try directory.write(table, to: "table.yaml")
    #expect(try Sockeye.run("check", file, environment: ["OFFICE_PASSWORD": "x"]).status == 0)
    let exit = try Sockeye.run("check", file)
    #expect(exit.status == 1)
    #expect(exit.output.contains { $0.contains("OFFICE_PASSWORD") }, "\(exit)")
  }

  @Test func `the program needs no Foundation`() throws {
    let exit = try ChildProcess.run(try Program("ldd", package: "libc-bin"), [try Sockeye.program().path])
    #expect(exit.status == 0)
    #expect(!exit.output.contains { $0.contains("Foundation") || $0.contains("libicu") }, "\(exit)")
  }
}
