import Addresses
import Routing

/// What a chain's name stands for.
enum ResolvedChain {
  /// Its hops are being looked for: to meet it now is to find it inside itself.
  case open
  /// Something was wrong, and reported.
  case broken
  /// - nesting: how deep chains stand in it; 1 for a chain of upstreams.
  case hops([Upstream], nesting: Int)
}

/// `chains:`, and chains written as lists where one is used.
extension TableReader {
  /// No dial through that many proxies ends within its deadline.
  private static let mostHops = 32
  private static let mostNesting = 32

  static let chainForm = Form("a list of upstreams and chains, in travel order", "[office, tor]")
  private static let keys = Keys(["hops", "mode"], later: ["length", "warm"])

  func readChains(_ node: Node) {
    let form = Form("a map from names to lists of upstreams", "{abroad: [office, tor]}")
    let entries = namedEntries(node, form).filter { declare($0.name, $0.key) }
    for (name, _, value) in entries { names.chains[name] = value }
    for (name, _, _) in entries { _ = resolve(chain: name) }
  }

  private func resolve(chain name: String, nesting: Int = 1) -> ResolvedChain {
    if let known = names.resolved[name] { return known }
    guard let node = names.chains[name] else { return .broken }
    names.resolved[name] = .open
    let result = readHops(node, nesting: nesting)
    names.resolved[name] = result
    return result
  }

  private func readHops(_ node: Node, nesting: Int) -> ResolvedChain {
    guard node.kind == .mapping else { return resolve(positions: node, nesting: nesting) }
    guard let fields = fields(node, "a chain", "{hops: [office, tor]}", Self.keys) else { return .broken }
    let mode = fields["mode"].map(readMode) ?? true
    guard let hops = fields["hops"] else {
      error(node, "a chain needs its 'hops' (write {hops: [office, tor]})")
      return .broken
    }
    let result = resolve(positions: hops, nesting: nesting)
    return mode ? result : .broken
  }

  private func readMode(_ node: Node) -> Bool {
    let form = Form("a chain's mode", "strict")
    switch text(node, form) {
    case nil: return false
    case "strict": return true
    case "dynamic", "random", "round-robin":
      error(node, "the mode \(quoted(node)) is not supported yet (use 'strict', or leave it out)")
    default: mismatch(node, form)
    }
    return false
  }

  /// The hops of a list of names, nested chains unfolded; a scalar stands for a list of one.
  func resolve(positions node: Node, nesting: Int = 1) -> ResolvedChain {
    var hops: [Upstream] = []
    var seen: Set<String> = []
    var isBroken = false
    var deepest = 1
    let positions = list(node, Self.chainForm)
    for position in positions {
      switch resolve(position: position, isAlone: node.kind != .sequence, nesting: nesting) {
      case .open, .broken: isBroken = true
      case .hops(let more, let inner):
        deepest = max(deepest, inner)
        for hop in more where !seen.insert(hop.name).inserted {
          error(position, "'\(hop.name)' stands twice in this chain (a hop is passed once: remove one)")
          isBroken = true
        }
        if let last = hops.last, let next = more.first, let fault = last.fault(reaching: next) {
          error(position, fault)
          isBroken = true
        }
        hops += more
      }
      if hops.count > Self.mostHops {
        error(position, "a chain has at most \(Self.mostHops) hops (remove some)")
        return .broken
      }
    }
    return isBroken || hops.isEmpty ? .broken : .hops(hops, nesting: deepest)
  }

  private func resolve(position node: Node, isAlone: Bool, nesting: Int) -> ResolvedChain {
    if node.kind == .mapping {
      error(node, "a map in a chain is not supported yet (write the name of an upstream or a chain)")
      return .broken
    }
    guard let name = text(node, Form("the name of an upstream or a chain", "office")) else { return .broken }
    if let upstream = names.upstreams[name] { return upstream.map { .hops([$0], nesting: 0) } ?? .broken }
    guard names.chains[name] != nil else {
      reportMissing(node, name, isAlone: isAlone)
      return .broken
    }
    let tooDeep = "chains are nested more than \(Self.mostNesting) deep (write the hops out)"
    guard nesting < Self.mostNesting else {
      error(node, tooDeep)
      return .broken
    }
    switch resolve(chain: name, nesting: nesting + 1) {
    case .open:
      error(node, "the chain '\(name)' stands inside itself (remove it here)")
      return .broken
    case .broken: return .broken
    case .hops(let hops, let inner):
      guard inner < Self.mostNesting else {
        error(node, tooDeep)
        return .broken
      }
      return .hops(hops, nesting: inner + 1)
    }
  }

  private func reportMissing(_ node: Node, _ name: String, isAlone: Bool) {
    let outcomes = ["direct", "reject", "drop"]
    if outcomes.contains(name) {
      error(node, "'\(name)' cannot stand in a chain (write it alone, or remove it)")
    } else if let near = suggest(for: name, among: names.all + (isAlone ? outcomes : [])) {
      error(node, "there is no upstream, group or chain named \(quoted(node)) (did you mean '\(near)'?)")
    } else {
      error(node, "there is no upstream, group or chain named \(quoted(node)) (add it under 'upstreams')")
    }
  }
}

extension Upstream {
  /// Why this hop could never connect to `next`; `nil` if it may.
  fileprivate func fault(reaching next: Upstream) -> String? {
    switch next.endpoint.host {
    case .name where kind == .socks4 && next.resolution == .previous:
      "'\(name)' speaks SOCKS4 and cannot resolve the name of '\(next.name)'"
        + " (write 'resolve: local' at '\(next.name)', its address, or socks4a:// at '\(name)')"
    case .address(.v6) where kind.isSOCKS4:
      "'\(name)' speaks SOCKS4 and cannot connect to the IPv6 address of '\(next.name)'"
        + " (write an IPv4 address, or put a socks5 proxy before it)"
    case .name, .address: nil
    }
  }
}

// MARK: - Loops

extension TableReader {
  /// Reports hops that are listeners of this program, each once, where its address is written.
  func refuseOwnListeners(_ hops: [Upstream]) {
    var fromHere = true
    for hop in hops {
      if ownListeners.contain(hop.endpoint, fromHere: fromHere), names.loops.insert(hop.name).inserted {
        let message = "'\(hop.name)' is a listener of this program itself: a connection would run in a circle"
        error(names.positions[hop.name], "\(message) (write the address of another proxy)")
      }
      let isHere = hop.endpoint.host.address?.isLoopback ?? (hop.endpoint.host.name?.text == "localhost")
      fromHere = fromHere && isHere
    }
  }
}
