import Foundation
import Testing

/// A program that serves a table with a control socket, and can be asked.
final class ControlledSockeye: Sendable {
  let sockeye: Sockeye
  let socket: String
  private let directory: TemporaryDirectory

  /// Serves `table`, to which the `control` is added.
  init(
    _ table: String, environment: [String: String] = [:], workers: Int = 2, in network: Network? = nil
  ) throws {
    directory = try TemporaryDirectory()
    socket = directory.path + "/control.sock"
    sockeye = try Sockeye(
      "control: unix:\(socket)\n\(table)", arguments: ["--workers", "\(workers)"], environment: environment,
      in: network)
  }

  var table: String { sockeye.directory.path + "/table.yaml" }

  /// Puts another table in the place of the one it serves; nobody reads it yet.
  func write(_ table: String) throws {
    try sockeye.directory.write(
      Sockeye.complete("control: unix:\(socket)\n\(table)"), to: "table.yaml")
  }

  func ask(_ command: String, _ options: String...) throws -> ChildProcess.Exit {
    try ChildProcess.run(try Sockeye.program(), [command, table] + options)
  }

  func status() throws -> StatusObject {
    let exit = try ask("status", "--json")
    guard exit.status == 0, exit.output.count == 1 else {
      throw NeverHappened(description: "a status: \(exit)")
    }
    _ = try JSONObject(exit.output[0], of: "status")
    return try JSONDecoder().decode(StatusObject.self, from: Data(exit.output[0].utf8))
  }

  /// How often a limit has refused a client.
  func refusals(_ limit: String) throws -> Int {
    try #require(try status().limits.first { $0.name == limit }).refused
  }

  /// What one upstream's entry says.
  func upstream(_ name: String) throws -> StatusObject.Upstream {
    try #require(try status().upstreams.first { $0.name == name })
  }
}

/// What `status --json` prints.
struct StatusObject: Decodable {
  struct Listener: Decodable, Equatable {
    var address: String
    var name: String?
    var now: Int
    var ever: Int
  }

  struct Limit: Decodable {
    var name: String
    var value: Int
    var refused: Int
  }

  struct Upstream: Decodable {
    struct Failure: Decodable {
      var phase: String
      var error: String
      var ago: Int
    }

    var name: String
    var state: String
    var rests: Int?
    var latency: Int?
    var now: Int
    var warm: Int
    var passed: Int
    var pipelined: String
    var failed: [String: Int]
    var last_failure: Failure?
  }

  struct Group: Decodable {
    struct Member: Decodable {
      var name: String
      var up: Bool
    }

    var name: String
    var strategy: String
    var takes_now: String?
    var members: [Member]
  }

  struct WarmChain: Decodable, Equatable {
    var hops: [String]
    var ready: Int
    var wanted: Int
  }

  var version: String
  var uptime: Int
  var table: String
  var draining: Bool
  var sessions: [String: Int]
  var listeners: [Listener]
  var limits: [Limit]
  var upstreams: [Upstream]
  var groups: [Group]
  var warm_chains: [WarmChain]

  /// Those that are not none.
  var present: [String: Int] { sessions.filter { $0.value != 0 } }
}
