import Foundation
import Testing

/// `sockeye run`: a command, and a listener for as long as it runs.
@Suite(.blocking)
struct RunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(
    _ arguments: [String], table: String = "default: direct\n", environment: [String: String] = [:]
  ) throws -> ChildProcess.Exit {
    let file = try directory.write(table, to: "table.yaml")
    return try ChildProcess.run(
      try Sockeye.program(), ["run", file] + arguments, environment: environment, directory: "/")
  }

  @Test func `a command finds the listener in its environment, and goes as the table says`() throws {
    let target = try HTTPTarget()
    let hop = try Sockeye("hosts: {site.test: 127.0.0.1}\ndefault: direct\n")
    let exit = try run(
      ["--", Program("curl", package: "curl").path, "-sS", "http://site.test:\(target.port)/"],
      table: """
        listen: unix:/nonexistent/socket   # not opened, nor could it be
        upstreams: {hop: "socks5://\(hop.address)"}
        default: hop

        """)
    #expect(exit.output == [HTTPTarget.greeting], "\(exit)")
    _ = try hop.session(to: "site.test:\(target.port)")
  }

  @Test func `the command gets no socket that the service manager passed to Sockeye`() throws {
    let sockets = [try ListeningDescriptor(on: "127.0.0.1:0"), try ListeningDescriptor(on: "127.0.0.1:0")]
    let file = try directory.write("default: direct\n", to: "table.yaml")
    let script =
      "echo ${LISTEN_FDS-unset}; for n in 3 4; do test -e /proc/self/fd/$n && echo $n is open; done; true"
    let exit = try ChildProcess(
      try Sockeye.program(), ["run", file, "--", "/bin/sh", "-c", script], passed: sockets.map(\.number)
    ).wait()
    #expect(exit.output == ["unset"], "\(exit)")
  }

  @Test func `routes take it for a client of the table's first listener`() throws {
    let target = try HTTPTarget()
    let table = """
      listen: [{address: "127.0.0.1:1", name: office, users: {a: b}}, {address: "127.0.0.1:2", name: lab}]
      routes:
        - {listener: office, ip: 127.0.0.1, via: direct}
        - {listener: lab, via: direct}
      default: reject
      tests: [{to: "127.0.0.1:1", listener: office, expect: direct}]

      """
    let curl = try ["--", Program("curl", package: "curl").path, "-sS", target.url]
    let exit = try run(curl, table: table)
    #expect(exit.output == [HTTPTarget.greeting] && exit.errors == [], "\(exit)")
    let other = try run(curl, table: table.replacing("{listener: office, ip", with: "{listener: lab, ip"))
    #expect(other.status != 0 && other.output == [], "\(other)")
  }

  @Test func `what is set of proxies elsewhere is replaced`() throws {
    let exit = try run(
      ["--", "/usr/bin/env"],
      environment: ["ALL_PROXY": "socks5://192.0.2.1:1", "no_proxy": "*", "NO_PROXY": "*", "OTHER": "stays"])
    let variables = exit.output.filter { $0.uppercased().contains("PROXY") }
    #expect(
      Set(variables.map { $0.prefix { $0 != "=" } }) == [
        "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
      ])
    for variable in variables {
      let scheme = variable.uppercased().hasPrefix("HTTPS_") ? "http" : "socks5h"
      #expect(variable.contains("=\(scheme)://127.0.0.1:"))
    }
    #expect(exit.output.contains("OTHER=stays"))
  }

  @Test(arguments: [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] as [(String, Int32)])
  func `it ends as its command ends`(script: String, status: Int32) throws {
    let exit = try run(["--log-level", "error", "--", "/bin/sh", "-c", script])
    #expect(exit == .init(status: status, output: [], errors: []))
  }

  @Test func `a command that made no connection through the table is warned of`() throws {
    let target = try HTTPTarget()
    let exit = try run(
      ["--", Program("curl", package: "curl").path, "-sS", "--noproxy", "*", target.url],
      table: "default: reject\n")
    #expect(exit.status == 0)
    #expect(exit.errors.count == 1, "\(exit)")
    #expect(
      exit.errors.first?.contains(#/ warning '.*curl' made no connection through the table/#) == true,
      "\(exit)")
    // One that was refused came through.
    let refused = try run(
      ["--", Program("curl", package: "curl").path, "-s", target.url], table: "default: reject\n")
    #expect(refused.status != 0 && refused.errors == [], "\(refused)")
  }

  /// The beginning of an ELF file (elf(5)) with program headers of these types, behind which `rest` is.
  private static func image(bits: Int, headers types: [UInt8] = [], rest: [UInt8] = []) -> Data {
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let (head, entry) = (64, 56)
    var image: [UInt8] = [0x7F] + Array("ELF".utf8) + [bits == 64 ? 2 : 1, 1] + number(0, 26)
    image += number(head, 8) + number(0, 14) + number(entry, 2) + number(types.count, 2) + number(0, 6)
    for type in types {
      image += number(Int(type), 4) + number(0, 4) + number(head + types.count * entry, 8)
      image += number(0, 16) + number(rest.count, 8) + number(0, 16)
    }
    return Data(image + rest)
  }

  @Test func `programs into which no library is loaded are refused with --proxychains`() throws {
    let (interpreter, note) = (UInt8(3), UInt8(4))
    // Lengths, type and name, as the Go linker writes them.
    let goNote: [UInt8] = [4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x47, 0x6F, 0, 0]
    let images = [
      ("static", Self.image(bits: 64), "it is statically linked, "),
      ("32-bit", Self.image(bits: 32), "it is a 32-bit program, "),
      (
        "go", Self.image(bits: 64, headers: [interpreter, note], rest: goNote), "Go programs connect without "
      ),
    ]
    for (name, image, reason) in images {
      let path = "\(directory.path)/\(name)"
      try image.write(to: URL(fileURLWithPath: path))
      #expect(chmod(path, 0o755) == 0)
      let script = try directory.write("#!\(path) -x\n", to: "script")
      for program in [path, script, name] {
        let exit = try run(["--proxychains", "--", program], environment: ["PATH": directory.path])
        let start = "sockeye: proxychains cannot lead '\(program)': \(reason)"
        #expect(exit.status == 1 && exit.errors.first?.hasPrefix(start) == true, "\(exit)")
      }
    }
  }

  // It takes root to give a program to another user. Of other users, root is one.
  @Test func `a program that runs as another user is refused with --proxychains`() throws {
    var path = "/usr/bin/su"
    if geteuid() == 0 {
      path = try directory.write("", to: "other")
      #expect(chown(path, 65_534, 65_534) == 0 && chmod(path, 0o4755) == 0)
    }
    let exit = try run(["--proxychains", "--", path])
    #expect(exit.status == 1)
    #expect(exit.errors.first?.contains("it runs with the rights of another user, ") == true, "\(exit)")
  }

  @Test func `a statically linked program runs without --proxychains, and a dynamic one with it`() throws {
    let source = try directory.write("int main(void) { return 0; }\n", to: "none.c")
    let compiler = try Program("gcc", package: "gcc")
    let loose = directory.path + "/loose"
    let fixed = directory.path + "/static"
    #expect(try ChildProcess.run(compiler, [source, "-o", loose]).status == 0)
    #expect(try ChildProcess.run(compiler, ["-static", source, "-o", fixed]).status == 0)
    #expect(try run(["--proxychains", "--", fixed]).status == 1)
    #expect(try run(["--log-level", "error", "--", fixed]).status == 0)
    let exit = try run(
      ["--proxychains", "--log-level", "error", "--", loose], environment: ["TMPDIR": directory.path])
    #expect(exit.status == 0, "\(exit)")
  }

  @Test(arguments: [("USR1", SIGUSR1), ("USR2", SIGUSR2)])
  func `signals without a meaning here are for the command`(name: String, number: Int32) throws {
    let file = try directory.write("default: direct\n", to: "table.yaml")
    let process = try ChildProcess(
      try Sockeye.program(),
      ["run", file, "--", "/bin/sh", "-c", "trap 'exit 3' \(name); echo ready; while :; do sleep 0.01; done"])
    _ = try process.line(containing: "ready")
    process.signal(number)
    #expect(try process.wait().status == 3)
  }

  @Test func `a command that is not there is 127, as for a shell`() throws {
    let exit = try run(["--", "/nonexistent/command"])
    #expect(exit.status == 127)
    #expect(exit.errors == ["sockeye: cannot start /nonexistent/command: no such file"])
  }

  @Test func `a table with errors starts nothing`() throws {
    let exit = try run(["--", "/bin/echo", "started"], table: "default: nowhere\n")
    #expect(exit.status == 1)
    #expect(exit.output == [])
  }

  @Test func `without two dashes there is no command`() throws {
    let exit = try run(["/bin/echo", "started"])
    #expect(exit.status == 2)
    #expect(exit.output == [])
  }

  @Test func `SIGTERM is for the command, which may still do what it has to`() throws {
    let file = try directory.write("default: direct\n", to: "table.yaml")
    let process = try ChildProcess(
      try Sockeye.program(),
      [
        "run", file, "--", "/bin/sh", "-c",
        "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.01; done",
      ])
    _ = try process.line(containing: "ready")
    process.signal(SIGTERM)
    let exit = try process.wait()
    #expect(exit.status == 3)
    #expect(exit.output == ["ready", "told"])
  }

  @Test func `a command that heeds no variable is led by proxychains`() throws {
    let target = try HTTPTarget()
    _ = try Program("proxychains4", package: "proxychains4")
    let exit = try run(
      [
        "--proxychains", "--log-level", "info", "--", Program("curl", package: "curl").path, "-sS",
        target.url,
      ], environment: ["TMPDIR": directory.path])
    #expect(exit.output == [HTTPTarget.greeting], "\(exit)")
    #expect(exit.errors.contains { $0.contains("to=\(target.address)") })
    let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    #expect(left == ["table.yaml"])
  }
}
