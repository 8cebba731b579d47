import Foundation
import Testing

/// The built program, serving one table.
final class Sockeye: Peer {
  let process: ChildProcess
  /// As it says itself: `127.0.0.1:40123`, `[::1]:40124`, `unix:/path`, in the order of the table.
  let addresses: [String]
  let directory: TemporaryDirectory

  /// Serves `table`; without a `listen:` in it, on a free port of 127.0.0.1, and without `dns:` with a name server that knows
  /// no name: what the machine's own knows is no matter of a test.
  init(
    _ table: String, arguments: [String] = [], environment: [String: String] = [:], descriptors: Int? = nil,
    passed: [ListeningDescriptor] = [], in network: Network? = nil
  ) throws {
    directory = try TemporaryDirectory()
    let text = Sockeye.complete(table, in: network)
    let file = try directory.write(text, to: "table.yaml")
    process = try ChildProcess(
      try Sockeye.program(), ["serve", file] + arguments, environment: environment, directory: directory.path,
      descriptors: descriptors, passed: passed.map(\.number), in: network)
    let listeners = Sockeye.listenerCount(text)
    addresses = try process.lines.wait(for: "“listening on”") { lines in
      let found = lines.compactMap { $0.firstMatch(of: /listening on ([^\s"]+)/).map { String($0.1) } }
      if found.count >= listeners { return found }
      if lines.contains(where: { $0.contains("error:") }) { return [] }
      return nil
    }
    guard !addresses.isEmpty else { throw NeverHappened(description: "not started: \(process.lines.all)") }
  }

  /// Whatever a test was about: a program that crashed, or of which a sanitizer complains, has failed it.
  deinit {
    // Out of descriptors the thread sanitizer cannot start its symbolizer, and knows no suppression by name.
    let complaint =
      !process.descriptorLimits.all.isEmpty
      ? #/Program crashed|Fatal error|ERROR: \w+Sanitizer/#
      : #/Program crashed|Fatal error|(?:WARNING|ERROR): \w+Sanitizer/#
    let said = process.lines.all
    if let first = said.firstIndex(where: { $0.contains(complaint) }) {
      Issue.record("\(said[first...].prefix(60).joined(separator: "\n"))")
    }
  }

  var address: String { addresses[0] }
  /// Of a table with `listen`: the listener whose client is a user of this machine.
  var userAddress: String { addresses[1] }
  var port: UInt16 { portNumber(of: address) }

  /// Listeners for two clients: the programs of this machine over loopback, and a user at a Unix-domain socket.
  static func listen(_ directory: TemporaryDirectory) -> String {
    "listen:\n  - 127.0.0.1:0\n  - \"unix:\(directory.path)/socks\"\n"
  }

  /// Every line so far.
  var log: [String] { process.lines.all }

  /// The closing line of the session for this destination.
  func session(to destination: String) throws -> String {
    try process.line(containing: " to=\(destination) ")
  }

  func signal(_ number: Int32) { process.signal(number) }

  /// Puts another table in the place of the one it serves, and asks it to reload.
  func reload(_ table: String) throws {
    try directory.write(Sockeye.complete(table), to: "table.yaml")
    signal(SIGHUP)
  }

  /// Where the build put it: beside the tests.
  static func program() throws -> Program {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    var directory = URL(fileURLWithPath: tests).deletingLastPathComponent()
    while directory.path != "/" {
      let path = directory.appendingPathComponent("sockeye").path
      var isDirectory: ObjCBool = false
      if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue {
        return Program(path: path)
      }
      directory.deleteLastPathComponent()
    }
    throw NeverHappened(description: "sockeye is not built: swift build --product sockeye")
  }

  /// Runs a command that ends by itself.
  static func run(
    _ arguments: String..., directory: String = "/", environment: [String: String] = [:]
  ) throws -> ChildProcess.Exit {
    try ChildProcess.run(try program(), arguments, environment: environment, directory: directory)
  }

  private static let ignorance = try? NameServer()

  /// Adds what every table of a test has.
  static func complete(_ table: String, in network: Network? = nil) -> String {
    let listening = table.contains("listen:") ? table : "listen: 127.0.0.1:0\n" + table
    guard network == nil, let ignorance, !table.contains(#/(^|\n)dns:/#) else { return listening }
    return listening + (listening.hasSuffix("\n") ? "" : "\n") + ignorance.table
  }

  /// Tables of the tests write one listener a line, each with port 0 or as a Unix-domain path.
  private static func listenerCount(_ table: String) -> Int {
    let lines = table.split(separator: "\n").filter { !$0.hasPrefix("control:") }
    return max(1, lines.filter { $0.contains(/^(listen:)?\s*-?.*(:0\b|unix:)/) }.count)
  }
}
