import Addresses
import Transport

extension Resolver {
  /// Looks a name up in the domains of `search` (resolv.conf(5)) and as it is, one after the other, until it is found.
  ///
  /// Only a name that does not exist, or has no address, is looked for elsewhere: after any other failure it is not known
  /// which name is meant.
  ///
  /// - Parameter searchesAlways: whether a name with a dot in it may be meant in a domain of `search`.
  func search(for name: DomainName, for client: Client?, searchesAlways: Bool) -> Lookup {
    let names = shared.names(for: name, searchesAlways: searchesAlways, at: .now)
    if let names, let lookup = lookup(oneOf: names, for: client) { return lookup }
    let search = Search(for: name)
    let task = Task(executorPreference: loop) {
      await self.run(search, for: client, searchesAlways: searchesAlways)
    }
    return Lookup(v4: search.v4, v6: search.v6, claim: Lookup.Claim { task.cancel() }, on: loop)
  }

  /// The lookup of the name that is meant; `nil` when a name server must be asked to know which that is.
  private func lookup(oneOf names: [DomainName], for client: Client?) -> Lookup? {
    for name in names {
      let lookup = lookup(absolute: name, for: client)
      if name == names.last { return names.count == 1 || lookup.isComplete ? lookup : nil }
      guard lookup.isComplete else { return nil }
      if !lookup.isMissing { return lookup }
    }
    return nil
  }

  /// The answers of a search.
  ///
  /// `@unchecked` holds because it belongs to a resolver, and is touched by tasks on its loop only.
  private final class Search: @unchecked Sendable {
    let name: DomainName
    let v4: Query
    let v6: Query

    init(for name: DomainName) {
      self.name = name
      v4 = Query(.addresses(of: name, .v4))
      v6 = Query(.addresses(of: name, .v6))
    }
  }

  private func run(_ search: Search, for client: Client?, searchesAlways: Bool) async {
    var found: [DomainName]?
    while found == nil, await shared.waitForFiles(on: loop) {
      found = shared.names(for: search.name, searchesAlways: searchesAlways, at: .now)
    }
    let names = found ?? []
    for name in names {
      let lookup = lookup(absolute: name, for: client)
      while true {
        if lookup.isComplete, lookup.isMissing, name != names.last { break }
        if lookup.isComplete || lookup.isFound { tell(lookup, to: search) }
        if lookup.isComplete { return }
        search.v4.current = lookup
        let isWoken = (try? await lookup.waitForAnswer(until: .never)) != nil
        search.v4.current = nil
        guard isWoken else { break }
      }
      guard !Task.isCancelled else { break }
    }
    for query in [search.v4, search.v6] where query.answer == nil {
      query.finish(with: .failure(.cancelled), on: loop)
    }
  }

  /// An address of one family settles which name is meant, and is told before the other family is known.
  private func tell(_ lookup: Lookup, to search: Search) {
    for (query, answer) in [(search.v4, lookup.v4), (search.v6, lookup.v6)] where query.answer == nil {
      guard let answer else { continue }
      query.server = lookup.server
      query.finish(with: answer.map(Finding.addresses), on: loop)
    }
  }
}

extension Lookup {
  /// At least one family has an address.
  fileprivate var isFound: Bool {
    if case .success? = v4 { return true }
    if case .success? = v6 { return true }
    return false
  }

  /// Neither family has an address, and no name server failed.
  fileprivate var isMissing: Bool { failure == .notFound || failure == .noData }
}
