import Foundation
import Testing

/// How it starts, drains and ends.
@Suite(.blocking)
struct SignalsTests {
  @Test(arguments: [SIGTERM, SIGINT])
  func `without tunnels it ends at once, with 0`(signal: Int32) throws {
    let sockeye = try Sockeye("default: direct\n")
    sockeye.signal(signal)
    #expect(try sockeye.process.wait().status == 0)
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func `asked to end, it accepts no more and lets tunnels finish`(signal: Int32) throws {
    let target = try Server.echo()
    let sockeye = try Sockeye("timeouts: {drain: 600s}\ndefault: direct\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    sockeye.signal(signal)
    try eventually("new connections are refused") {
      do {
        _ = try Socket(to: sockeye.address)
        return false
      } catch let error as SocketError {
        return error.code == ECONNREFUSED
      }
    }
    try client.send("still here")
    #expect(try client.receive(exactly: 10) == Array("still here".utf8))
    client.finish()
    #expect(try client.receiveToEnd().closing == .end)
    let exit = try sockeye.process.wait()
    #expect(exit.status == 0)
    #expect(exit.description.contains(" to=\(target.address) "))
  }

  @Test func `tunnels that do not finish are closed when the time is over`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("timeouts: {drain: 1s}\ndefault: direct\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    sockeye.signal(SIGTERM)
    _ = try client.receiveToEnd()
    let exit = try sockeye.process.wait()
    #expect(exit.status == 0)
    #expect(exit.description.contains(" to=\(target.address) "))
  }

  @Test func `a second signal closes at once`() throws {
    let target = try Server.silent()
    let sockeye = try Sockeye("timeouts: {drain: 600s}\ndefault: direct\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    sockeye.signal(SIGTERM)
    // Signals of one kind do not queue: the second goes out when the first has been heard.
    try eventually("new connections are refused") { (try? Socket(to: sockeye.address)) == nil }
    sockeye.signal(SIGTERM)
    _ = try client.receiveToEnd()
    _ = try sockeye.process.wait()
  }

  @Test(arguments: [SIGUSR1, SIGUSR2])
  func `signals that mean nothing do nothing`(signal: Int32) throws {
    let target = try Server.echo()
    let sockeye = try Sockeye("default: direct\n")
    sockeye.signal(signal)
    #expect(try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0)
    sockeye.signal(SIGTERM)
    #expect(try sockeye.process.wait().status == 0)
  }

  @Test func `a reload while it drains reads nothing, and says so`() throws {
    let target = try Server.echo()
    let sockeye = try Sockeye("timeouts: {drain: 600s}\ndefault: direct\n")
    let client = try Socket(to: sockeye.address)
    #expect(try client.requestConnect(to: target.address).code == 0)
    sockeye.signal(SIGTERM)
    try eventually("new connections are refused") { (try? Socket(to: sockeye.address)) == nil }
    try sockeye.reload("listen: [127.0.0.1:0, 127.0.0.2:0]\ndefault: nowhere\n")
    try sockeye.process.line(
      containing: "table.yaml was refused: the program has not begun to serve, or is ending")
    client.finish()
    let exit = try sockeye.process.wait()
    #expect(exit.status == 0)
    #expect(!exit.errors.contains { $0.contains("error") || $0.contains("reloaded") }, "\(exit)")
    #expect(exit.errors.count { $0.contains("listening on") } == 1, "\(exit)")
  }

  @Test func `it ends while a large table is read anew`() throws {
    let sockeye = try Sockeye("default: direct\n")
    let routes = (0..<200_000).map { "- {host: h\($0).example, via: reject}\n" }.joined()
    // Both signals are pending when the first is heard: the reload begins before the end is asked for.
    try sockeye.reload("routes:\n\(routes)default: direct\n")
    sockeye.signal(SIGTERM)
    let exit = try sockeye.process.wait()
    #expect(exit.status == 0)
    #expect(!exit.description.contains("reloaded"), "\(exit)")
  }

  @Test func `it ends when nobody reads its standard error, and that is full`() throws {
    let directory = try TemporaryDirectory()
    let table = try directory.write(
      "listen: 127.0.0.1:0\ntimeouts: {drain: 600s}\ndefault: direct\n", to: "t.yaml")
    let target = try Server.silent()
    // The shell gives it a pipe whose reader reads as far as the line that it waits for.
    let script = """
      exec 3>&1
      { "$0" serve "$1" 2>&1 >/dev/null & echo $! >&3; } | {
        while read -r line; do echo "$line" >&3; case "$line" in *"listening on"*) break;; esac; done; sleep 600
      }
      """
    let shell = try ChildProcess(
      Program(path: "/bin/sh"), ["-c", script, try Sockeye.program().path, table])
    let identifier = try #require(
      pid_t(try shell.lines.wait(for: "a number") { $0.first { pid_t($0) != nil } }))
    defer { kill(identifier, SIGKILL) }
    let address = try #require(
      try shell.line(containing: "listening on ").split(separator: " ").last.map(String.init))
    // A pipe has 64 KiB, and a line some 120.
    for _ in 0..<1000 {
      #expect(try Socket(to: address).requestConnect(to: "127.0.0.1:0").code != 0)
    }
    let tunnel = try Socket(to: address)
    #expect(try tunnel.requestConnect(to: target.address).code == 0)
    kill(identifier, SIGTERM)
    try eventually("new connections are refused") { (try? Socket(to: address)) == nil }
    kill(identifier, SIGTERM)
    _ = try tunnel.receiveToEnd()
    try eventually("it has ended") { kill(identifier, 0) != 0 }
  }

  @Test func `a service manager that does not read delays nothing, and hears of it later`() throws {
    let manager = try NotifySocket(isFull: true)
    let target = try Server.echo()
    let sockeye = try Sockeye(
      "timeouts: {drain: 600s}\ndefault: direct\n", environment: ["NOTIFY_SOCKET": manager.path])
    let tunnel = try Socket(to: sockeye.address)
    #expect(try tunnel.requestConnect(to: target.address).code == 0)
    sockeye.signal(SIGTERM)
    try eventually("new connections are refused") { (try? Socket(to: sockeye.address)) == nil }
    manager.read()
    try manager.wait(for: "READY=1")
    try manager.wait(for: "STOPPING=1")
    tunnel.finish()
    #expect(try sockeye.process.wait().status == 0)
  }

  @Test func `the service manager hears when it is ready, and when it ends`() throws {
    let manager = try NotifySocket()
    let sockeye = try Sockeye("default: direct\n", environment: ["NOTIFY_SOCKET": manager.path])
    try manager.wait(for: "READY=1")
    sockeye.signal(SIGTERM)
    try manager.wait(for: "STOPPING=1")
    #expect(try sockeye.process.wait().status == 0)
  }
}
