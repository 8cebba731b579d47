import Printing
import Proxy
import Routing

/// What `status` prints.
struct StatusReport {
  let status: Status
  /// The path of the table that is served.
  let table: String

  // MARK: For people

  var lines: [ControlAnswer.Line] {
    let state = status.isDraining ? "  draining" : ""
    let head = ControlAnswer.Line(
      .heading,
      "sockeye \(Sockeye.version)  up \(status.uptime.logText)  "
        + "table \(table), read \(status.tableAge.logText) ago\(state)")
    return [head, sessions] + listeners + limits + upstreams + groups + warmChains
  }

  private var sessions: ControlAnswer.Line {
    let counts = status.sessions.counts.filter { $0.count > 0 }.map { "\($0.name) \($0.count)" }
    return ControlAnswer.Line(
      .output, "sessions  " + (counts.isEmpty ? "none" : counts.joined(separator: ", ")))
  }

  private var listeners: [ControlAnswer.Line] {
    columns(
      ["LISTENER", "NOW", "EVER"],
      status.listeners.map { listener in
        let name = listener.name.map { "  (\($0))" } ?? ""
        return (.output, [listener.address + name, "\(listener.sessions)", "\(listener.total)"])
      })
  }

  /// Those that have refused anybody.
  private var limits: [ControlAnswer.Line] {
    columns(
      ["LIMIT", "VALUE", "REFUSED"],
      status.limits.filter { $0.refused > 0 }.map { limit in
        (.output, [limit.name, "\(limit.value)", "\(limit.refused)"])
      })
  }

  private var upstreams: [ControlAnswer.Line] {
    columns(
      ["UPSTREAM", "STATE", "LATENCY", "NOW", "WARM", "PASSED", "FAILED", "PIPELINED", "LAST FAILURE"],
      status.upstreams.map { upstream in
        let rest = upstream.rest.map { ", rests \($0.logText)" } ?? ""
        let total = upstream.failures.reduce(0) { $0 + $1.count }
        let phases = upstream.failures.map { "\($0.phase.rawValue) \($0.count)" }.joined(separator: ", ")
        let last = upstream.lastFailure.map {
          "\($0.failure.phase.rawValue): \($0.failure.cause), \($0.age.logText) ago"
        }
        return (
          upstream.state == .down ? .alarm : .output,
          [
            upstream.name, upstream.state.rawValue + rest, upstream.latency?.logText ?? "-",
            "\(upstream.connections)", "\(upstream.warm)", "\(upstream.successes)",
            total == 0 ? "0" : "\(total) (\(phases))",
            upstream.pipelining.rawValue, last ?? "-",
          ]
        )
      })
  }

  private var groups: [ControlAnswer.Line] {
    columns(
      ["GROUP", "STRATEGY", "TAKES NOW", "MEMBERS"],
      status.groups.map { group in
        let members = group.members.map { $0.isUp ? $0.name : "\($0.name) (down)" }
        return (
          group.members.contains(where: \.isUp) ? .output : .alarm,
          [
            group.name, group.strategy.description, group.next?.description ?? "it depends",
            members.joined(separator: ", "),
          ]
        )
      })
  }

  private var warmChains: [ControlAnswer.Line] {
    columns(
      ["WARM CHAIN", "READY", "WANTED"],
      status.warmChains.map { chain in
        (.output, [chain.hops.joined(separator: ","), "\(chain.ready)", "\(chain.wanted)"])
      })
  }

  /// Rows under a heading, behind an empty line; nothing when there are none.
  private func columns(
    _ heading: [String], _ rows: [(kind: ControlAnswer.Kind, cells: [String])]
  ) -> [ControlAnswer.Line] {
    guard !rows.isEmpty else { return [] }
    let rows = [(kind: .heading, cells: heading)] + rows
    let widths = heading.indices.map { column in rows.map { $0.cells[column].count }.max() ?? 0 }
    let lines = rows.map { row in
      var text = ""
      for (cell, width) in zip(row.cells.dropLast(), widths) {
        text += cell + String(repeating: " ", count: width - cell.count + 2)
      }
      return ControlAnswer.Line(row.kind, text + (row.cells.last ?? ""))
    }
    return [ControlAnswer.Line(.output, "")] + lines
  }

  // MARK: For programs

  /// One object; durations in milliseconds.
  var json: JSON {
    [
      "version": .string(Sockeye.version), "uptime": .milliseconds(status.uptime),
      "table": .string(table), "read": .milliseconds(status.tableAge), "draining": .bool(status.isDraining),
      "sessions": .object(
        status.sessions.counts.map { JSON.Member(key: $0.name, value: .int($0.count)) }),
      "listeners": .array(status.listeners.map(\.json)), "limits": .array(status.limits.map(\.json)),
      "upstreams": .array(status.upstreams.map(\.json)), "groups": .array(status.groups.map(\.json)),
      "warm_chains": .array(status.warmChains.map(\.json)),
    ]
  }
}

extension Status.Sessions {
  /// In the order in which a session passes them.
  fileprivate var counts: [(name: String, count: Int)] {
    [
      ("handshakes", handshakes), ("dials", dials), ("binds", binds), ("tunnels", tunnels),
      ("associations", associations),
    ]
  }
}

extension Status.Listener {
  fileprivate var json: JSON {
    [
      "address": .string(address), "name": name.map(JSON.string) ?? nil, "now": .int(sessions),
      "ever": .int(total),
    ]
  }
}

extension Status.Limit {
  fileprivate var json: JSON {
    ["name": .string(name), "value": .int(value), "refused": .int(refused)]
  }
}

extension Status.Upstream {
  fileprivate var json: JSON {
    [
      "name": .string(name), "protocol": .string(scheme), "endpoint": .string(endpoint),
      "state": .string(state.rawValue), "rests": rest.map(JSON.milliseconds) ?? nil,
      "latency": latency.map(JSON.milliseconds) ?? nil, "now": .int(connections), "warm": .int(warm),
      "passed": .int(successes),
      "failed": .object(failures.map { JSON.Member(key: $0.phase.rawValue, value: .int($0.count)) }),
      "pipelined": .string(pipelining.rawValue),
      "last_failure": lastFailure.map { last in
        [
          "phase": .string(last.failure.phase.rawValue), "error": .string(last.failure.cause.description),
          "ago": .milliseconds(last.age),
        ]
      } ?? nil,
    ]
  }
}

extension Status.Group {
  fileprivate var json: JSON {
    [
      "name": .string(name), "strategy": .string(strategy.description),
      "takes_now": next.map { .string($0.description) } ?? nil,
      "members": .array(members.map { ["name": .string($0.name), "up": .bool($0.isUp)] }),
    ]
  }
}

extension Status.WarmChain {
  fileprivate var json: JSON {
    ["hops": .array(hops.map(JSON.string)), "ready": .int(ready), "wanted": .int(wanted)]
  }
}

extension JSON {
  fileprivate static func milliseconds(_ duration: Duration) -> JSON { .int(Int(duration.milliseconds)) }
}
