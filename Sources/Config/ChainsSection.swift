import Addresses
import Routing

/// `chains:`, and chains written as lists where one is used.
extension TableReader {
  private static let keys = Keys(["hops", "mode", "length", "warm"])
  private static let positionKeys = Keys(["any", "optional"])
  private static let positionExample = "{any: [de, nl], optional: true}"

  func readChains(_ node: Node) -> [String] {
    let form = Form("a map from names to lists of upstreams", "{abroad: [office, tor]}")
    let entries = namedEntries(node, form).filter { declare($0.name, $0.key) }
    for (name, _, value) in entries { names.chains[name] = value }
    return entries.map(\.name)
  }

  func readChain(_ name: String, _ node: Node, nesting: Int) -> ResolvedStop {
    guard node.kind == .mapping else { return resolve(positions: node, named: name, nesting: nesting) }
    guard let fields = fields(node, "a chain", "{hops: [office, tor]}", Self.keys) else { return .broken }
    let mode = fields["mode"].map { word($0, Itinerary.Mode.self) } ?? .strict
    guard let hops = fields["hops"] else {
      error(node, "a chain needs its 'hops' (write {hops: [office, tor]})")
      return .broken
    }
    let warm = fields["warm"].map { readWarmth($0) }
    guard let mode, warm != .some(nil) else { return .broken }
    return resolve(
      positions: hops, named: name, mode: mode, length: fields.field("length"), warm: warm ?? nil, in: node,
      nesting: nesting)
  }

  /// A strict chain, as a list or a single name. A named chain is nested one level deeper than its positions.
  func resolve(positions node: Node, named name: String? = nil, nesting: Int = 1) -> ResolvedStop {
    resolve(positions: node, named: name, mode: .strict, length: nil, warm: nil, in: node, nesting: nesting)
  }

  private func resolve(
    positions node: Node, named name: String?, mode: Itinerary.Mode, length: Fields.Field?, warm: Warmth?,
    in chain: Node, nesting: Int
  ) -> ResolvedStop {
    let elements = list(node, Self.chainForm)
    var isBroken = elements.isEmpty
    var positions: [(node: Node, value: Itinerary.Position)] = []
    var warm = warm
    var deepest = 0
    var size = 0
    for element in elements {
      guard
        let position = readPosition(
          element, isAlone: node.kind != .sequence && name == nil, nesting: nesting, &deepest, &size)
      else {
        isBroken = true
        continue
      }
      guard bounded(size, at: element) != nil else { return .broken }
      let unfolded = Self.unfolded(position, in: mode)
      positions += unfolded.positions.map { (element, $0) }
      if warm == nil { warm = unfolded.warm }
      let stop = Stop.itinerary(Itinerary(positions.map(\.value)))
      if mode == .strict || mode == .dynamic, stop.mostHops > Self.mostHops {
        error(element, "a chain has at most \(Self.mostHops) hops (remove some)")
        return .broken
      }
    }
    let lengths = readLength(length, of: mode, in: chain, positions: positions.count)
    if !refuseFaults(positions, in: mode) { isBroken = true }
    guard !isBroken, let lengths else { return .broken }
    let itinerary = Itinerary(name: name, positions.map(\.value), mode: mode, length: lengths, warm: warm)
    let result = result(of: itinerary)
    guard !isImpossible(result, at: chain) else { return .broken }
    return .stop(result, nesting: deepest + (name == nil ? 0 : 1), size: size)
  }

  /// A strict chain of one position that is no choice is that position, unless it says more.
  private func result(of itinerary: Itinerary) -> Stop {
    guard itinerary.mode == .strict, itinerary.positions.count == 1, itinerary.warm == nil,
      itinerary.positions[0].choices.count == 1
    else { return .itinerary(itinerary) }
    return itinerary.positions[0].choices[0]
  }

  private func isImpossible(_ stop: Stop, at node: Node) -> Bool {
    if stop.mostHops > Self.mostHops {
      error(node, "a chain has at most \(Self.mostHops) hops (remove some)")
      return true
    }
    guard case .itinerary = stop, !stop.hasWay else { return false }
    error(
      node,
      "there is no way through this chain that passes no hop twice and that its hops can go (add choices)")
    return true
  }

  // MARK: Positions

  private func readPosition(
    _ node: Node, isAlone: Bool, nesting: Int, _ deepest: inout Int, _ size: inout Int
  ) -> Itinerary.Position? {
    var isOptional = false
    var choices: [Node] = [node]
    if node.kind == .mapping {
      guard let fields = fields(node, "a position", Self.positionExample, Self.positionKeys) else {
        return nil
      }
      guard let any = fields["any"] else {
        error(node, "a position needs 'any', the list of its choices (write it like \(Self.positionExample))")
        return nil
      }
      if let optional = fields["optional"] {
        guard let value = bool(optional) else { return nil }
        isOptional = value
      }
      choices = list(any, Self.chainForm)
    }
    var stops: [Stop] = []
    var met: Set<Stop> = []
    for choice in choices {
      guard
        case .stop(let stop, let inner, let count) = resolve(
          name: choice, isAlone: isAlone && node.kind != .mapping, nesting: nesting)
      else { continue }
      deepest = max(deepest, inner)
      size += count
      if stop.mayGoDirect, !isAlone || node.kind == .mapping {
        error(
          choice,
          "'\(stop)' may go direct, and a chain passes hops (take 'direct' out of it, or write it alone)")
      } else if !met.insert(stop).inserted {
        error(choice, "'\(stop)' is listed twice in this position (remove one)")
      } else {
        stops.append(stop)
      }
    }
    return stops.isEmpty || stops.count != choices.count
      ? nil : Itinerary.Position(stops, isOptional: isOptional)
  }

  /// Replaces a chain within a chain by its hops, and takes over its `warm`.
  private static func unfolded(
    _ position: Itinerary.Position, in mode: Itinerary.Mode
  ) -> (positions: [Itinerary.Position], warm: Warmth?) {
    guard mode == .strict, !position.isOptional, position.choices.count == 1,
      case .itinerary(let inner) = position.choices[0], inner.mode == .strict
    else { return ([position], nil) }
    return (inner.positions, inner.warm)
  }

  /// Reports fixed hops that are listed twice, or that the hop before cannot reach; false if there are any.
  private func refuseFaults(
    _ positions: [(node: Node, value: Itinerary.Position)], in mode: Itinerary.Mode
  ) -> Bool {
    var isValid = true
    var seen: Set<String> = []
    var last: Upstream?
    for (node, position) in positions {
      guard position.choices.count == 1, case .upstream(let hop) = position.choices[0] else {
        last = nil
        continue
      }
      if !seen.insert(hop.name).inserted {
        error(node, "'\(hop.name)' is listed twice in this chain (a hop is passed once: remove one)")
        isValid = false
      }
      if mode == .strict, !position.isOptional, let fault = last?.fault(reaching: hop) {
        error(node, fault)
        isValid = false
      }
      last = position.isOptional ? nil : hop
    }
    return isValid
  }

  // MARK: What is kept ready

  private static let mostWarm = 64

  private func readWarmth(_ node: Node) -> Warmth? {
    let form = Form("a number of tunnels or 'auto'", "2")
    guard let text = text(node, form) else { return nil }
    if text == "auto" { return .auto }
    guard let count = decimal(text[...]) else {
      mismatch(node, form)
      return nil
    }
    guard count <= Self.mostWarm else {
      error(node, "\(quoted(node)) is out of range (write 0 to \(Self.mostWarm), or auto)")
      return nil
    }
    return .count(count)
  }

  // MARK: Length

  private func readLength(
    _ field: Fields.Field?, of mode: Itinerary.Mode, in chain: Node, positions count: Int
  ) -> ClosedRange<Int>? {
    guard mode == .random || mode == .roundRobin else {
      guard let field else { return 1...max(1, count) }
      error(
        field.key,
        "'length' is for 'random' and 'round-robin': a \(mode.rawValue) chain has no choice of it"
          + " (remove it)")
      return nil
    }
    guard let field else {
      error(
        chain,
        "a \(mode.rawValue) chain needs its 'length', how many of its hops a connection passes"
          + " (write a number, or a range like 2-3)")
      return nil
    }
    let form = Form("a number of hops or a range", "2 or 2-3")
    guard let text = text(field.value, form) else { return nil }
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard let low = decimal(parts[0]), let high = decimal(parts[parts.count - 1]), parts.count <= 2,
      low <= high
    else {
      mismatch(field.value, form)
      return nil
    }
    guard low >= 1, high <= max(1, count) else {
      error(
        field.value,
        "\(quoted(field.value)) is out of range: the chain has \(count) positions"
          + " (write 1 to \(max(1, count)))")
      return nil
    }
    return low...high
  }
}

extension Upstream {
  /// Why this hop could never connect to `next`; `nil` if it may.
  fileprivate func fault(reaching next: Upstream) -> String? {
    guard !mayReach(next) else { return nil }
    switch next.endpoint.host {
    case .name:
      return "'\(name)' speaks SOCKS4 and cannot resolve the name of '\(next.name)'"
        + " (write 'resolve: local' at '\(next.name)', its address, or socks4a:// at '\(name)')"
    case .address:
      return "'\(name)' speaks SOCKS4 and cannot connect to the IPv6 address of '\(next.name)'"
        + " (write an IPv4 address, or put a socks5 proxy before it)"
    }
  }
}
