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

  @Test func `the service manager hears when it is ready, and when it ends`() throws {
    let manager = try NotifySocket()
    let sockeye = try Sockeye("default: direct\n", environment: ["NOTIFY_SOCKET": manager.path])
    try manager.wait(for: "READY=1")
    sockeye.signal(SIGTERM)
    try manager.wait(for: "STOPPING=1")
    #expect(try sockeye.process.wait().status == 0)
  }
}
