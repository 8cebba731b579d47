import Addresses
import Routing

/// What the name of a group or a chain stands for.
enum ResolvedStop {
  /// It is being worked out: to meet it now is to find it inside itself.
  case open
  /// Something was wrong, and reported.
  case broken
  /// - nesting: how deep groups and chains stand in it; 0 for an upstream.
  /// - size: how many upstreams stand in it, repetitions included.
  case stop(Stop, nesting: Int, size: Int)
}

/// Where upstreams, groups and chains are named: in chains, in groups, and where one is used.
extension TableReader {
  /// No dial through that many proxies ends within its deadline.
  static let mostHops = 32
  private static let mostNesting = 32
  private static let mostUpstreams = 4096
  private static let tooDeep =
    "groups and chains are nested more than \(mostNesting) deep (write the hops out)"

  static let chainForm = Form("a list of upstreams, groups and chains, in travel order", "[office, tor]")
  private static let nameForm = Form("the name of an upstream, a group or a chain", "office")

  /// The stop of that name; reports an unknown one, one that stands inside itself, and nesting without end.
  ///
  /// - Parameters:
  ///   - isAlone: whether `direct` and the like could stand here as well.
  ///   - nesting: how deep this place is.
  func resolve(name node: Node, isAlone: Bool, nesting: Int) -> ResolvedStop {
    guard let name = text(node, Self.nameForm) else { return .broken }
    if let upstream = names.upstreams[name] {
      return upstream.map { .stop(.upstream($0), nesting: 0, size: 1) } ?? .broken
    }
    guard names.groups[name] != nil || names.chains[name] != nil else {
      reportMissing(node, name, isAlone: isAlone)
      return .broken
    }
    guard nesting < Self.mostNesting else {
      error(node, Self.tooDeep)
      return .broken
    }
    switch resolve(declared: name, nesting: nesting + 1) {
    case .open:
      let kind = names.groups[name] != nil ? "group" : "chain"
      error(node, "the \(kind) '\(name)' stands inside itself (remove it here)")
      return .broken
    case .broken: return .broken
    case .stop(let stop, let inner, let size):
      guard inner < Self.mostNesting else {
        error(node, Self.tooDeep)
        return .broken
      }
      return .stop(stop, nesting: inner, size: size)
    }
  }

  /// A declared group or chain, worked out once.
  func resolve(declared name: String, nesting: Int = 1) -> ResolvedStop {
    if let known = names.resolved[name] { return known }
    names.resolved[name] = .open
    let result: ResolvedStop =
      if let node = names.groups[name] {
        readGroup(name, node, nesting: nesting)
      } else if let node = names.chains[name] {
        readChain(name, node, nesting: nesting)
      } else {
        .broken
      }
    names.resolved[name] = result
    return result
  }

  /// Bounds what a group or a chain comes to; `nil`, with an error at `node`, beyond.
  func bounded(_ size: Int, at node: Node) -> Int? {
    guard size > Self.mostUpstreams else { return size }
    error(node, "this stands for more than \(Self.mostUpstreams) proxies, all told (remove some)")
    return nil
  }

  private func reportMissing(_ node: Node, _ name: String, isAlone: Bool) {
    let outcomes = ["direct", "reject", "drop"]
    if outcomes.contains(name) {
      error(node, "'\(name)' cannot stand in a chain (write it alone, or remove it)")
    } else if let near = suggest(for: name, among: (isAlone ? outcomes : []) + names.all) {
      error(node, "there is no upstream, group or chain named \(quoted(node)) (did you mean '\(near)'?)")
    } else {
      error(node, "there is no upstream, group or chain named \(quoted(node)) (add it under 'upstreams')")
    }
  }
}

// MARK: - Loops

extension TableReader {
  /// Reports hops that are listeners of this program, each once, where its address is written.
  func refuseOwnListeners(in stop: Stop) {
    _ = refuseOwnListeners(in: stop, fromHere: true)
  }

  /// - Parameter fromHere: whether it is reached from this machine, or may be.
  /// - Returns: whether what comes next is.
  private func refuseOwnListeners(in stop: Stop, fromHere: Bool) -> Bool {
    switch stop {
    case .direct: return fromHere
    case .upstream(let hop):
      if ownListeners.contain(hop.endpoint, fromHere: fromHere), names.loops.insert(hop.name).inserted {
        let message = "'\(hop.name)' is a listener of this program itself: a connection would run in a circle"
        error(names.positions[hop.name], "\(message) (write the address of another proxy)")
      }
      let isHere = hop.endpoint.host.address?.isLoopback ?? (hop.endpoint.host.name?.text == "localhost")
      return fromHere && isHere
    case .group(let group):
      return group.members.reduce(false) { refuseOwnListeners(in: $1.stop, fromHere: fromHere) || $0 }
    case .itinerary(let itinerary):
      var next = fromHere
      for position in itinerary.positions {
        let isHere = position.choices.reduce(false) {
          refuseOwnListeners(in: $1, fromHere: next) || $0
        }
        // What may be left out, or stand elsewhere, brings nothing nearer or farther.
        let mayBeMissing = position.isOptional || itinerary.mode != .strict
        next = isHere || mayBeMissing && next
      }
      return next
    }
  }
}
