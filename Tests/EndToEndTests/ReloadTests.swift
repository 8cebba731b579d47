import Foundation
import Testing

/// SIGHUP: another table for new sessions, the old one for those that run.
@Suite(.blocking)
struct ReloadTests {
  @Test func `new sessions obey the new table, old ones live on`() throws {
    let target = try Server.echo()
    let sockeye = try Sockeye("default: direct\n")
    let old = try Socket(to: sockeye.address)
    #expect(try old.requestConnect(to: target.address).code == 0)

    try sockeye.reload("default: reject\n")
    try eventually("the new table rejects") {
      try Socket(to: sockeye.address).requestConnect(to: target.address).code == 2
    }
    try old.send("old")
    #expect(try old.receive(exactly: 3) == Array("old".utf8))

    try sockeye.reload("default: direct\n")
    try eventually("and the next does not") {
      try Socket(to: sockeye.address).requestConnect(to: target.address).code == 0
    }
  }

  @Test(arguments: [
    "default: nowhere\n", "default: [\n", "",
    "default: direct\ntests:\n  - {to: \"a.test:1\", expect: reject}\n",
  ])
  func `a table that does not check is refused with its errors, and the old one stays`(bad: String) throws {
    let sockeye = try Sockeye("default: reject\n")
    let lines = sockeye.log.count
    try sockeye.reload(bad)
    try sockeye.process.line(matching: #/table\.yaml:\d+:\d+: error: /#, after: lines)
    #expect(try Socket(to: sockeye.address).requestConnect(to: "127.0.0.1:80").code == 2)
    #expect(!sockeye.process.hasExited)
  }

  @Test func `the service manager hears of a reload`() throws {
    let manager = try NotifySocket()
    let sockeye = try Sockeye("default: direct\n", environment: ["NOTIFY_SOCKET": manager.path])
    try manager.wait(for: "READY=1")
    try sockeye.reload("default: reject\n")
    try eventually("the new table rejects") {
      try Socket(to: sockeye.address).requestConnect(to: "127.0.0.1:80").code == 2
    }
  }

  @Test func `users come and go with the table`() throws {
    let sockeye = try Sockeye(
      "listen:\n  - {address: \"127.0.0.1:0\", users: {alice: one}}\ndefault: reject\n")
    func status(_ password: String) throws -> UInt8? {
      let client = try Socket(to: sockeye.address)
      try client.send(5, 1, 2)
      _ = try client.receive(exactly: 2)
      try client.send(SOCKS.credentials("alice", password))
      return try client.receive(exactly: 2).last
    }
    #expect(try status("one") == 0)
    try sockeye.reload(
      "listen:\n  - {address: \"127.0.0.1:0\", users: {alice: two}}\ndefault: reject\n")
    try eventually("the new password opens") { try status("two") == 0 }
    #expect(try status("one") == 1)
  }

  @Test func `a listener that is new waits for a restart, and the log says so`() throws {
    let sockeye = try Sockeye("default: reject\n")
    let lines = sockeye.log.count
    try sockeye.reload("listen: 127.0.0.2:0\ndefault: direct\n")
    try sockeye.process.line(matching: #/ warning .*listen.*restart/#, after: lines)
    try sockeye.process.line(containing: "reloaded", after: lines)
    #expect(try Socket(to: sockeye.address).requestConnect(to: "127.0.0.1:0").code == 1)
  }

  @Test func `two hundred reloads under load let nobody in and nobody out wrongly (T40)`() throws {
    let target = try Server.echo()
    func table(_ number: Int) -> String {
      """
      listen:
        - {address: "127.0.0.1:0", users: {alice: right, "user\(number)": other}}
      default: direct

      """
    }
    let sockeye = try Sockeye(table(0))
    let stop = Recorder<Void>()
    let wrong = Recorder<String>()
    let tries = Recorder<Void>()
    let finished = Recorder<Void>()
    for (password, expected) in [("right", 0), ("wrong", 1), ("right", 0), ("", 1)] as [(String, UInt8)] {
      Thread.detachNewThread {
        while stop.all.isEmpty {
          do {
            let client = try Socket(to: sockeye.address)
            try client.send(5, 1, 2)
            guard try client.receive(exactly: 2) == [5, 2] else {
              throw NeverHappened(description: "method 02")
            }
            try client.send(SOCKS.credentials("alice", password))
            let answer = try client.receive(exactly: 2)
            if answer != [1, expected] { wrong.record("\(password): \(answer)") }
            if expected == 0 {
              let code = try client.request(SOCKS.connect(to: target.address)).code
              if code != 0 { wrong.record("reply \(code)") }
            }
          } catch {
            wrong.record("\(error)")
          }
          tries.record(())
        }
        finished.record(())
      }
    }
    for number in 1...200 {
      try sockeye.reload(table(number))
      try tries.wait(forCount: tries.all.count + 4)
    }
    stop.record(())
    try finished.wait(forCount: 4)
    #expect(wrong.all == [])
    try eventually("the last table is the one that holds") {
      let client = try Socket(to: sockeye.address)
      try client.send(5, 1, 2)
      _ = try client.receive(exactly: 2)
      try client.send(SOCKS.credentials("user200", "other"))
      return try client.receive(exactly: 2) == [1, 0]
    }
  }
}
