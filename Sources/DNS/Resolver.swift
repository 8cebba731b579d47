import Addresses
import Transport

/// Finds the addresses of names, and the names of addresses, for the connections of one loop.
///
/// Start `run` on the loop (`addTask(executorPreference: loop)`) and cancel it to end: what is open then fails with
/// `cancelled`. Everything but `init` is to be called on the loop's thread.
package final class Resolver: Sendable {
  let loop: EventLoop
  let shared: SharedNames
  private let patience: Duration
  private let state = ThreadState()

  /// What only the loop's own thread touches: `@unchecked` holds because every access passes through `own`, which
  /// asserts the thread.
  private final class ThreadState: @unchecked Sendable {
    var open: [Question: Query] = [:]
    /// Open questions that no lookup awaits, in the order in which they were given up.
    var unawaited: [Query] = []
    /// Which of the open questions that lookups await belong to one client.
    var holdings = Holdings()
    /// What `holdings` knows the clients by that have one; `nil`: the program itself.
    var holders: [Client?: Int] = [:]
    /// Open questions by their place in `holdings`.
    var awaited: [Query?] = []
    var hasEnded = false
    var openLimit = Resolver.openLimit
    var share = Resolver.openLimit / 4
    var onRefusal: (Refusal) -> Void = { _ in }
  }

  /// How many questions may be open, unless `limit` says otherwise. A quarter may belong to one client.
  static let openLimit = 4096
  /// How many may go on, for the cache, when no lookup awaits them any more. They make room for any that is awaited.
  static let unawaitedLimit = 64

  /// A question that is not asked, or no longer, since a limit is reached.
  package struct Refusal: Sendable {
    /// Whose question it is; `nil`: the program's own.
    package let client: Client?
    /// The limit of one client; otherwise all questions that may be open.
    package let isOfShare: Bool
    package let limit: Int
  }

  /// What a name is to whoever looks it up.
  package enum Role: Sendable {
    /// Meant in a domain of `search` (resolv.conf(5)) only when it has no dot.
    case destination
    /// Meant as any program of this machine would mean it.
    case hop
  }

  package convenience init(_ shared: SharedNames, on loop: EventLoop) {
    self.init(shared, patience: .seconds(2), on: loop)
  }

  /// - Parameter patience: how long a name server may take before another, or it again, is asked.
  init(_ shared: SharedNames, patience: Duration, on loop: EventLoop) {
    self.loop = loop
    self.shared = shared
    self.patience = patience
  }

  private var own: ThreadState {
    precondition(loop.isCurrent, "a resolver was used outside its loop")
    return state
  }

  // MARK: Asking

  /// Begins to look up `name` in both families.
  ///
  /// `localhost` and the names below it are loopback (RFC 6761 §6.3), and what /etc/hosts mentions is answered from
  /// there alone. These and what the cache holds are answered at once; while the files are checked, after that.
  ///
  /// - Parameters:
  ///   - client: for whom; `nil`: the program itself, for its checks and for connections to come. The lookup fails with
  ///     `overloaded` when a quarter of the questions that may be open belongs to the client; or later, when all places
  ///     are taken and the client has most of them.
  ///   - role: whether the name may be meant in a domain of `search` (resolv.conf(5)).
  package func lookup(_ name: DomainName, for client: Client?, as role: Role = .destination) -> Lookup {
    guard role == .hop || !name.text.utf8.contains(UInt8(ascii: ".")) else {
      return lookup(absolute: name, for: client)
    }
    return search(for: name, for: client, searchesAlways: role == .hop)
  }

  /// Looks up a name that is absolute.
  func lookup(absolute name: DomainName, for client: Client?) -> Lookup {
    let v4 = query(.addresses(of: name, .v4), for: client)
    let v6 = query(.addresses(of: name, .v6), for: client)
    return Lookup(v4: v4, v6: v6, claim: claim(on: [v4, v6], for: client), on: loop)
  }

  /// The name of `address` (PTR, RFC 1035 §3.5).
  ///
  /// What /etc/hosts mentions is answered from there, with the first name it has, and loopback is otherwise
  /// `localhost`: neither is asked of a server.
  package func name(
    of address: IPAddress, for client: Client?, until deadline: Deadline
  ) async throws(Unresolved) -> DomainName {
    let query = query(.name(of: address.unmapped), for: client)
    let claim = claim(on: [query], for: client)
    defer { withExtendedLifetime(claim) {} }
    do throws(ResolutionFailure) {
      while query.answer == nil { try await loop.waitForAnswer(to: query, until: deadline) }
      guard case .name(let name)? = try query.answer?.get() else { throw .noData }
      return name
    } catch {
      throw Unresolved(reason: error, server: query.server)
    }
  }

  /// An answered query, or an open one, which the client awaits until `release`.
  private func query(_ question: Question, for client: Client?) -> Query {
    let state = own
    if case .answered(let answer, let server) = shared.knowledge(of: question, at: .now) {
      return Query(question, answer: answer, server: server)
    }
    if let query = state.open[question] {
      state.unawaited.removeAll { $0 === query }
      add(client, to: query)
      return query
    }
    guard !state.hasEnded else { return Query(question, answer: .failure(.cancelled)) }
    if let limit = makeRoom(for: client) {
      state.onRefusal(Refusal(client: client, isOfShare: limit == state.share, limit: limit))
      return Query(question, answer: .failure(.overloaded(limit: limit)))
    }
    let query = Query(question)
    state.open[question] = query
    add(client, to: query)
    query.task = Task(executorPreference: loop) { await self.ask(query) }
    return query
  }

  private func ask(_ query: Query) async {
    // It may have been given up before it began.
    guard own.open[query.question] === query else { return }
    var knowledge = shared.knowledge(of: query.question, at: .now)
    while case .outdated(let check) = knowledge {
      guard await loop.wait(for: check), own.open[query.question] === query else { return }
      knowledge = shared.knowledge(of: query.question, at: .now)
    }
    if case .answered(let answer, let server) = knowledge {
      query.server = server
      return close(query, with: answer)
    }
    let servers = shared.servers()
    let exchange = Exchange(
      query: query, patience: patience, extends: servers.extends, loop: loop)
    let response = await exchange.run(asking: servers.addresses)
    shared.keep(response, to: query.question, from: query.server, generation: servers.generation)
    close(query, with: response.answer)
  }

  // MARK: Places

  /// Lets no more than that many questions be open; those that are stay until there is a new one.
  ///
  /// - Parameters:
  ///   - count: of all questions.
  ///   - share: of those that belong to one client; 2 at least, since a lookup is two questions.
  ///   - onRefusal: told each question that is not asked, or ended, for one of the two.
  package func limit(
    to count: Int, ofOne share: Int, onRefusal: @escaping (Refusal) -> Void = { _ in }
  ) {
    (own.openLimit, own.share, own.onRefusal) = (count, max(2, share), onRefusal)
  }

  /// How many questions are open.
  var openCount: Int { own.open.count }

  /// No question belongs to a client, and nothing is kept of those that had one.
  var holdsNothing: Bool { own.holdings.isEmpty && own.holders.isEmpty }

  /// Releases `queries` when the claim ends; `nil` when all were answered at once.
  private func claim(on queries: [Query], for client: Client?) -> Lookup.Claim? {
    guard queries.contains(where: \.isAwaited) else { return nil }
    return Lookup.Claim { [self] in release(queries, of: client) }
  }

  private func release(_ queries: [Query], of client: Client?) {
    let state = own
    for query in queries {
      guard let count = query.lookups[client] else { continue }
      query.lookups[client] = count > 1 ? count - 1 : nil
      guard count == 1, let place = query.place, place.owner == client, !passOn(query) else { continue }
      state.unawaited.append(query)
      if state.unawaited.count > Self.unawaitedLimit { _ = giveUpUnawaited() }
    }
  }

  /// Makes room for one more question of a client.
  ///
  /// A client that has its quarter gives up none of its own for it: the question may be one of very many datagrams', and
  /// its oldest the one that a connection waits for.
  ///
  /// - Returns: the limit for which there is no room.
  private func makeRoom(for client: Client?) -> Int? {
    let state = own
    let count = state.holders[client].map(state.holdings.count(of:)) ?? 0
    guard count < state.share else { return state.share }
    while state.open.count >= state.openLimit {
      if giveUpUnawaited() { continue }
      // Every client can have one lookup. Beyond that, no client takes a place from one that has hardly more: clients that
      // flood would otherwise send a question for each that they take from one another.
      guard count < 2 || count + 1 < state.holdings.most, giveUpOldestOfBiggest() else {
        return state.openLimit
      }
    }
    return nil
  }

  /// Ends the question that no lookup has awaited for longest; false when there is none.
  private func giveUpUnawaited() -> Bool {
    let state = own
    guard !state.unawaited.isEmpty else { return false }
    close(state.unawaited.removeFirst(), with: .failure(.cancelled))
    return true
  }

  /// Ends the oldest question that belongs to the client with most of them; false when none belongs to a client. One that
  /// other clients await as well goes on for them, and the next is looked at: each client that came to an open question
  /// makes for one step more.
  private func giveUpOldestOfBiggest() -> Bool {
    let state = own
    while let number = state.holdings.oldestOfBiggest {
      guard let query = state.awaited[number], let place = query.place else { return false }
      query.lookups[place.owner] = nil
      if !passOn(query) {
        state.onRefusal(Refusal(client: place.owner, isOfShare: false, limit: state.openLimit))
        close(query, with: .failure(.overloaded(limit: state.openLimit)))
        return true
      }
    }
    return false
  }

  /// Counts one more lookup that awaits an open question. The question belongs to the client that came first.
  private func add(_ client: Client?, to query: Query) {
    query.lookups[client, default: 0] += 1
    if query.place == nil { give(query, to: client) }
  }

  private func give(_ query: Query, to client: Client?) {
    let state = own
    let holder = state.holders[client] ?? state.holdings.addHolder()
    state.holders[client] = holder
    let number = state.holdings.take(for: holder)
    if number == state.awaited.count { state.awaited.append(nil) }
    state.awaited[number] = query
    query.place = (number, client)
  }

  private func takeAway(_ query: Query) {
    let state = own
    guard let place = query.place else { return }
    query.place = nil
    state.awaited[place.number] = nil
    let holder = state.holdings.holder(of: place.number)
    state.holdings.release(place.number)
    state.holdings.free(place.number)
    guard state.holdings.count(of: holder) == 0 else { return }
    state.holdings.forget(holder)
    state.holders[place.owner] = nil
  }

  /// Takes a question away from its client, for another that awaits it; false when there is none.
  private func passOn(_ query: Query) -> Bool {
    takeAway(query)
    guard let next = query.lookups.first else { return false }
    give(query, to: next.key)
    return true
  }

  private func close(_ query: Query, with answer: Question.Answer) {
    let state = own
    guard state.open[query.question] === query else { return }
    state.open[query.question] = nil
    takeAway(query)
    state.unawaited.removeAll { $0 === query }
    query.task?.cancel()
    query.finish(with: answer, on: loop)
  }

  // MARK: Life

  /// Serves the lookups until the task is cancelled. To be called once, by a task on the loop.
  package func run() async {
    _ = await loop.wait(for: [], until: .never)
    let state = own
    state.hasEnded = true
    let queries = state.open.values.map { $0 }
    for query in queries { close(query, with: .failure(.cancelled)) }
    for query in queries { await query.task?.value }
  }
}

/// Why a name or an address was not resolved, and the name server that was asked last; `nil` when none was.
package struct Unresolved: Error, Hashable, Sendable {
  package let reason: ResolutionFailure
  package let server: SocketAddress?

  package init(reason: ResolutionFailure, server: SocketAddress?) {
    self.reason = reason
    self.server = server
  }
}
