import Settings

/// `timeouts:`, `limits:` and `log:`.
extension TableReader {
  func readTimeouts(_ node: Node) -> Timeouts {
    var result = Timeouts()
    let keys = Keys(["handshake", "dns", "dial", "idle", "half_closed", "udp_idle", "bind", "drain"])
    guard let fields = fields(node, "the 'timeouts' map", "{dial: 30s}", keys) else { return result }
    func set(_ key: String, _ path: WritableKeyPath<Timeouts, Duration>, orZero: Bool = false) {
      if let value = fields[key].flatMap({ duration($0, orZero: orZero) }) { result[keyPath: path] = value }
    }
    set("handshake", \.handshake)
    set("dns", \.dns)
    set("dial", \.dial)
    set("idle", \.idle)
    set("half_closed", \.halfClosed)
    set("udp_idle", \.udpIdle)
    set("bind", \.bind)
    set("drain", \.drain, orZero: true)
    return result
  }

  func readLimits(_ node: Node) -> Limits {
    var result = Limits()
    let keys = Keys(["connections", "per_client", "handshakes", "associations", "paths_per_association"])
    guard let fields = fields(node, "the 'limits' map", "{connections: 20000}", keys) else { return result }
    func set(_ key: String, _ path: WritableKeyPath<Limits, Int>) {
      if let value = fields[key].flatMap({ integer($0, in: 1...10_000_000) }) {
        result[keyPath: path] = value
      }
    }
    set("connections", \.connections)
    set("per_client", \.perClient)
    result.perClientIsForAll = fields["per_client"] != nil
    set("handshakes", \.handshakes)
    set("associations", \.associations)
    set("paths_per_association", \.pathsPerAssociation)
    return result
  }

  func readLog(_ node: Node) -> Log {
    var result = Log()
    guard let fields = fields(node, "the 'log' map", "{level: info}", Keys(["level", "format"])) else {
      return result
    }
    if let level = fields["level"].flatMap({ word($0, Log.Level.self) }) { result.level = level }
    if let format = fields["format"].flatMap({ word($0, Log.Format.self) }) { result.format = format }
    return result
  }
}
