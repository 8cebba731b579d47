import Foundation
import Testing

/// `sockeye reload`, and the socket at which the running program is asked.
@Suite(.blocking)
struct ControlTests {
  // MARK: Reload

  @Test func `a reload that was asked for holds when it is answered`() throws {
    let target = try Server.echo()
    let controlled = try ControlledSockeye("default: direct\n")
    let old = try Socket(to: controlled.sockeye.address)
    #expect(try old.requestConnect(to: target.address).code == 0)

    try controlled.write("default: reject\n")
    let exit = try controlled.ask("reload")
    #expect(exit == ChildProcess.Exit(status: 0, output: ["reloaded \(controlled.table)"], errors: []))
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: target.address).code == 2)
    try old.send("old")
    #expect(try old.receive(exactly: 3) == Array("old".utf8))
    try controlled.sockeye.process.line(containing: "info reloaded")
  }

  @Test func `a reload that is refused says why, to the one who asked and to the log`() throws {
    let controlled = try ControlledSockeye("default: reject\n")
    try controlled.write("default: nowhere\n")
    let exit = try controlled.ask("reload")
    #expect(exit.status == 1)
    #expect(exit.output == [])
    #expect(exit.errors.first?.contains(#/table\.yaml:3:10: error: there is no .*'nowhere'/#) == true)
    #expect(exit.errors.last?.hasSuffix("was not reloaded: the table that runs stays") == true)
    try controlled.sockeye.process.line(matching: #/error .*table\.yaml:3:10: error: /#)
    #expect(try Socket(to: controlled.sockeye.address).requestConnect(to: "127.0.0.1:80").code == 2)
  }

  @Test func `what takes a restart to change is told to the one who asked`() throws {
    let controlled = try ControlledSockeye("default: reject\n")
    try controlled.sockeye.directory.write(
      "listen: 127.0.0.1:0\ncontrol: unix:\(controlled.socket)2\nlog: {level: error}\ndefault: direct\n",
      to: "table.yaml")
    // The table says now where it will be, and not where it is.
    controlled.sockeye.signal(SIGHUP)
    for part in ["control", "log"] {
      try controlled.sockeye.process.line(
        containing: "'\(part)' differs from what runs: restart to change it")
    }
    #expect(access(controlled.socket, F_OK) == 0)
    try controlled.write("log: {level: error}\ndefault: direct\n")
    let exit = try controlled.ask("reload")
    #expect(exit.status == 0)
    #expect(exit.errors == ["'log' differs from what runs: restart to change it"])
  }

  // MARK: Finding it

  @Test func `the socket is found through the default table, whose variables only the program has`() throws {
    let target = try DeadPort()
    let directory = try TemporaryDirectory()
    let socket = directory.path + "/control.sock"
    let table = try directory.write(
      """
      listen: 127.0.0.1:0
      control: unix:\(socket)
      upstreams: {x: "socks5://u:${SECRET}@\(target.address)"}
      default: x

      """, to: "sockeye.yaml")
    let program = try ChildProcess(
      try Sockeye.program(), ["serve"], environment: ["SECRET": "s3cret"], directory: directory.path)
    try program.line(containing: "listening on")
    let exit = try Sockeye.run("status", directory: directory.path)
    #expect(exit.status == 0)
    #expect(exit.output.first?.contains("table sockeye.yaml") == true)
    #expect(try Sockeye.run("reload", table).status == 0)
  }

  @Test(arguments: [
    "default: [direct\n", "default: direct: reject\n\tx\n", "default: \u{9b}\n", "x: *a\nx: \"\n",
  ])
  func `the socket is found in a table of which the rest is no YAML`(rest: String) throws {
    let controlled = try ControlledSockeye("default: direct\n")
    try controlled.write(rest)
    let exit = try controlled.ask("status")
    #expect(exit.status == 0 && exit.output.first?.hasPrefix("sockeye ") == true, "\(exit)")
    #expect(exit.errors == [])
  }

  @Test func `a table without a control says which line to add`() throws {
    let directory = try TemporaryDirectory()
    let table = try directory.write("default: direct\n", to: "t.yaml")
    for command in ["status", "reload"] {
      let exit = try Sockeye.run(command, table)
      #expect(exit.status == 1)
      #expect(exit.output == [])
      #expect(exit.errors.count == 1)
      #expect(exit.errors.first?.contains("add 'control: unix:/run/sockeye/control.sock'") == true)
    }
  }

  @Test(arguments: ["control: 127.0.0.1:1\n", "control: [\n", "control: unix:${UNSET}\n"])
  func `a control that cannot be read is an error with its place`(text: String) throws {
    let directory = try TemporaryDirectory()
    let table = try directory.write("default: ${OTHER}\n" + text, to: "t.yaml")
    let exit = try Sockeye.run("status", table)
    #expect(exit.status == 1)
    #expect(exit.errors.contains { $0.contains(#/t\.yaml:[23]:\d+: error: /#) })
  }

  @Test func `a program that is stopped is not waited for longer than ten seconds`() throws {
    let controlled = try ControlledSockeye("default: direct\n")
    controlled.sockeye.signal(SIGSTOP)
    for command in ["status", "reload", "rotate"] {
      let exit = try controlled.ask(command)
      #expect(exit.status == 1)
      #expect(
        exit.errors.first?.contains(
          "the program has not taken the request at unix:\(controlled.socket) for 10 seconds (is it stopped")
          == true, "\(exit)")
    }
    controlled.sockeye.signal(SIGCONT)
    #expect(try controlled.ask("status").status == 0)
  }

  @Test func `where nobody answers, that is said`() throws {
    let directory = try TemporaryDirectory()
    let table = try directory.write("control: unix:\(directory.path)/c\ndefault: direct\n", to: "t.yaml")
    let exit = try Sockeye.run("status", table)
    #expect(exit.status == 1)
    #expect(exit.errors.first?.contains("nobody answers at unix:\(directory.path)/c") == true)
  }

  @Test func `an answer that is none, or stops in the middle, is not taken for one`() throws {
    let directory = try TemporaryDirectory()
    for answer in ["", "HTTP/1.0 400 Bad Request\r\n\r\n", "output hello\n", "output hello\nexit 0"] {
      let path = directory.path + "/c\(answer.utf8.count)"
      let table = try directory.write("control: unix:\(path)\ndefault: direct\n", to: "t.yaml")
      let impostor = try Server(on: "unix:\(path)") { client in
        _ = try client.receive()
        try client.send(answer)
      }
      let exit = try Sockeye.run("status", table)
      #expect(exit.status == 1)
      #expect(exit.output == [])
      #expect(exit.errors.first?.contains("is not sockeye, or ended before it had answered") == true)
      withExtendedLifetime(impostor) {}
    }
  }

  // MARK: The socket

  @Test func `the socket is its user's alone, and goes with the program`() throws {
    let controlled = try ControlledSockeye("default: direct\n")
    var information = stat()
    #expect(lstat(controlled.socket, &information) == 0)
    #expect(information.st_mode & 0o7777 == 0o600)
    #expect(information.st_mode & S_IFMT == S_IFSOCK)
    controlled.sockeye.signal(SIGTERM)
    #expect(try controlled.sockeye.process.wait().status == 0)
    #expect(access(controlled.socket, F_OK) != 0)
  }

  @Test(.enabled(if: geteuid() == 0, "it takes root to become somebody else"))
  func `nobody else is answered, whatever the mode`() throws {
    let controlled = try ControlledSockeye("default: direct\n")
    func askAsNobody() throws -> ChildProcess.Exit {
      _ = try Program("nc.openbsd", package: "netcat-openbsd")
      return try ChildProcess.run(
        Program(path: "/usr/bin/setpriv"),
        [
          "--reuid", "65534", "--regid", "65534", "--clear-groups", "nc.openbsd", "-d", "-U",
          controlled.socket,
        ])
    }
    let directory = (controlled.socket as NSString).deletingLastPathComponent
    chmod(directory, 0o755)
    let denied = try askAsNobody()
    #expect(denied.status == 1)
    #expect(denied.output == [])
    chmod(controlled.socket, 0o777)
    let refused = try askAsNobody()
    #expect(
      refused.output == ["error sockeye: only root and the user that runs the program may ask it", "exit 1"])
    #expect(try controlled.status().present == [:])
  }

  @Test func `who stalls, floods or talks nonsense costs only itself`() throws {
    let target = try Server.echo()
    let controlled = try ControlledSockeye("default: direct\n")
    let address = "unix:\(controlled.socket)"
    let tunnel = try Socket(to: controlled.sockeye.address)
    #expect(try tunnel.requestConnect(to: target.address).code == 0)

    // More than there are seats, and more of it than is read.
    let silent = try (0..<20).map { _ in try Socket(to: address) }
    let flood = [UInt8](repeating: 0x61, count: 100_000)
    for client in silent.prefix(4) { try? client.send(flood) }
    for nonsense in [
      [UInt8](0...255) + [10], Array("status --json --more\n".utf8), Array("GET / HTTP/1.1\r\n\r\n".utf8),
      [10],
    ] {
      let client = try Socket(to: address)
      try client.send(nonsense)
      let answer = String(decoding: try client.receiveToEnd().bytes, as: UTF8.self)
      #expect(answer.hasPrefix("error sockeye: the program that runs does not know '"))
      #expect(answer.hasSuffix("\nexit 1\n"))
    }
    let ended = try Socket(to: address)
    ended.finish()
    #expect(String(decoding: try ended.receiveToEnd().bytes, as: UTF8.self).hasSuffix("exit 1\n"))
    // Gone before the answer.
    for _ in 0..<20 { try Socket(to: address).send("status\n") }

    #expect(try controlled.status().present == ["tunnels": 1])
    try tunnel.send("alive")
    #expect(try tunnel.receive(exactly: 5) == Array("alive".utf8))
    withExtendedLifetime(silent) {}
  }

  @Test func `a second program with the same path does not start, and the first lives on`() throws {
    let controlled = try ControlledSockeye("default: direct\n")
    let exit = try Sockeye.run("serve", controlled.table)
    #expect(exit.status == 1)
    #expect(
      exit.errors.last?.contains(
        "cannot open the control socket unix:\(controlled.socket): address already in use")
        == true)
    #expect(!exit.errors.contains { $0.contains("listening") })
    #expect(try controlled.ask("status").status == 0)
  }

  @Test func `while it drains, a successor with the same sockets can start`() throws {
    let target = try Server.echo()
    let directory = try TemporaryDirectory()
    let table =
      "listen: [\"127.0.0.1:\(FreePort.take())\", \"unix:\(directory.path)/socks\"]\n"
      + "control: unix:\(directory.path)/control\ntimeouts: {drain: 600s}\ndefault: direct\n"
    let first = try Sockeye(table)
    let client = try Socket(to: first.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    let early = try Socket(to: "unix:\(directory.path)/control")
    first.signal(SIGTERM)
    try first.process.waitForListeners(0)

    let second = try Sockeye(table)
    let successor = try Socket(to: second.address)
    #expect(try successor.requestConnect(to: target.address).code == 0)
    // Who had asked before is answered by the first.
    try early.send("status\n")
    #expect(String(decoding: try early.receiveToEnd().bytes, as: UTF8.self).contains("draining"))
    try client.send("still here")
    #expect(try client.receive(exactly: 10) == Array("still here".utf8))
    client.hangUp()
    #expect(try first.process.wait().status == 0)
    // And takes nothing away from the second when it ends.
    for path in ["socks", "control"] { #expect(access("\(directory.path)/\(path)", F_OK) == 0) }
    let table2 = second.directory.path + "/table.yaml"
    #expect(try Sockeye.run("status", table2).status == 0)
  }

  @Test func `a reload that is asked for and takes long does not delay the end`() throws {
    let controlled = try ControlledSockeye("default: direct\n")
    let routes = (0..<200_000).map { "- {host: h\($0).example, via: reject}\n" }.joined()
    try controlled.write("routes:\n\(routes)default: direct\n")
    controlled.sockeye.signal(SIGSTOP)
    let client = try Socket(to: "unix:\(controlled.socket)")
    try client.send("reload\n")
    controlled.sockeye.signal(SIGTERM)
    controlled.sockeye.signal(SIGCONT)
    let exit = try controlled.sockeye.process.wait()
    #expect(exit.status == 0)
    // A reload that ends while the program drains is refused.
    #expect(!exit.description.contains("reloaded"), "\(exit)")
  }

  @Test func `what a killed program left behind is in nobody's way`() throws {
    let controlled = try ControlledSockeye("default: direct\n")
    controlled.sockeye.signal(SIGKILL)
    _ = try controlled.sockeye.process.wait()
    #expect(access(controlled.socket, F_OK) == 0)
    #expect(try controlled.ask("status").errors.first?.contains("nobody answers") == true)
    let next = try ChildProcess(try Sockeye.program(), ["serve", controlled.table])
    try next.line(containing: "listening on")
    #expect(try controlled.ask("status").status == 0)
  }

  @Test func `a file that is no socket is left alone`() throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("mine", to: "c")
    let table = try directory.write(
      "listen: 127.0.0.1:0\ncontrol: unix:\(file)\ndefault: direct\n", to: "t.yaml")
    #expect(try Sockeye.run("serve", table).status == 1)
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "mine")
  }
}
