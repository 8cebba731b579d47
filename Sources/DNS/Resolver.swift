import Addresses
import Transport

/// Finds the addresses of names, and the names of addresses, for the connections of one loop.
///
/// Start `run` on the loop (`addTask(executorPreference: loop)`) and cancel it to end: it drives c-ares, and what is
/// open when it ends fails with `cancelled`. Everything but `init` is to be called on the loop's thread.
package final class Resolver: Sendable {
  private let loop: EventLoop
  private let state: ThreadState

  /// What only the loop's own thread touches: `@unchecked` holds because every access passes through `own`, which
  /// asserts the thread.
  private final class ThreadState: @unchecked Sendable {
    var cache: AnswerCache
    var hosts: HostsFile
    let channel: Channel
    /// Questions not answered yet, and those of them that `run` has still to hand to the channel.
    var open: [Question: Query] = [:]
    var unsent: [Question] = []
    /// Where `run` waits.
    var driver: WaitID?
    var hasEnded = false

    init(cache: AnswerCache, hosts: HostsFile, channel: Channel) {
      self.cache = cache
      self.hosts = hosts
      self.channel = channel
    }
  }

  /// How many questions may be open: more fail with `overloaded`.
  static let openLimit = 4096
  /// However long a zone says.
  static let longestLifetime = Duration.seconds(3600)
  /// For "no such name" and "no address".
  static let negativeLifetime = Duration.seconds(10)
  /// For every other failure (RFC 9520 §3.2 asks for at least a second).
  static let failureLifetime = Duration.seconds(1)

  /// Asks `servers`, or those of resolv.conf(5) when there are none. The cache holds about `cacheCapacity` names.
  package convenience init(
    servers: [SocketAddress], cacheCapacity: Int, on loop: EventLoop
  ) throws(SetupFailure) {
    try self.init(servers: servers, cacheCapacity: cacheCapacity, hosts: HostsFile(), on: loop)
  }

  init(
    servers: [SocketAddress], cacheCapacity: Int, hosts: HostsFile, patience: Duration = .seconds(2),
    on loop: EventLoop
  ) throws(SetupFailure) {
    self.loop = loop
    state = ThreadState(
      cache: AnswerCache(capacity: Family.allCases.count * cacheCapacity), hosts: hosts,
      channel: try Channel(servers: servers, patience: patience, on: loop))
  }

  private var own: ThreadState {
    precondition(loop.isCurrent, "a resolver was used outside its loop")
    return state
  }

  // MARK: Asking

  /// Begins to look up `name`, which is taken as absolute, in both families.
  ///
  /// `localhost` and the names below it are loopback (RFC 6761 §6.3), and what /etc/hosts mentions is answered from
  /// there alone. These and what the cache holds are answered at once.
  ///
  /// - Parameter asksServers: false to have no more than that: all else fails as `overloaded`.
  package func lookup(_ name: DomainName, asksServers: Bool = true) -> Lookup {
    let state = own
    let now = Deadline.now
    if let addresses = Self.localAddresses(of: name) ?? state.hosts.addresses(of: name, at: now) {
      return Lookup(
        v4: Query(answer: addresses.answer(in: .v4)), v6: Query(answer: addresses.answer(in: .v6)), on: loop)
    }
    return Lookup(
      v4: query(.addresses(of: name, .v4), at: now, asksServers: asksServers),
      v6: query(.addresses(of: name, .v6), at: now, asksServers: asksServers), on: loop)
  }

  private static func localAddresses(of name: DomainName) -> [IPAddress]? {
    guard name.text == "localhost" || name.text.hasSuffix(".localhost") else { return nil }
    return [.loopback4, .loopback6]
  }

  /// The name of `address` (PTR, RFC 1035 §3.5).
  ///
  /// What /etc/hosts mentions is answered from there, with the first name it has, and loopback is otherwise
  /// `localhost`: neither is asked of a server. Only failures are kept, since c-ares does not tell how long a name is
  /// true.
  package func name(
    of address: IPAddress, until deadline: Deadline
  ) async throws(ResolutionFailure) -> DomainName {
    let address = address.unmapped
    let now = Deadline.now
    if let name = own.hosts.name(of: address, at: now) { return name }
    if address.isLoopback, let name = try? DomainName("localhost") { return name }
    let query = query(.name(of: address), at: now)
    while true {
      switch query.answer {
      case nil: try await loop.waitForAnswer(to: query, until: deadline)
      case .success(.name(let name)): return name
      case .success(.addresses): throw .noData
      case .failure(let failure): throw failure
      }
    }
  }

  private func query(_ question: Question, at now: Deadline, asksServers: Bool = true) -> Query {
    let state = own
    if let answer = state.cache.answer(to: question, at: now) { return Query(answer: answer) }
    guard asksServers else { return Query(answer: .failure(.overloaded)) }
    if let query = state.open[question] { return query }
    guard !state.hasEnded else { return Query(answer: .failure(.cancelled)) }
    guard state.open.count < Self.openLimit else { return Query(answer: .failure(.overloaded)) }
    let query = Query()
    state.open[question] = query
    state.unsent.append(question)
    if let driver = state.driver { loop.wake(driver) }
    return query
  }

  // MARK: Driving

  /// Serves the lookups until the task is cancelled. To be called once, by a task on the loop.
  package func run() async {
    let state = own
    defer { end() }
    while true {
      // Reading comes first: to send may take a socket's error away, and its edge would be waited for in vain.
      let isDone = state.channel.process()
      let unsent = state.unsent
      state.unsent = []
      for question in unsent { state.channel.ask(question) }
      takeAnswers()
      let deadline = isDone ? state.channel.deadline : .now
      let wakeup = await loop.wait(for: state.channel.interests, until: deadline) { state.driver = $0 }
      state.driver = nil
      guard wakeup != .cancelled else { return }
    }
  }

  private func end() {
    let state = own
    state.hasEnded = true
    state.channel.close()
    takeAnswers()
    for (_, query) in state.open { query.finish(with: .failure(.cancelled), on: loop) }
    state.open = [:]
    state.unsent = []
  }

  private func takeAnswers() {
    let state = own
    let now = Deadline.now
    for response in state.channel.takeAnswers() {
      if let lifetime = Self.lifetime(of: response), lifetime > .zero {
        state.cache.insert(response.answer, to: response.question, until: now + lifetime)
      }
      state.open.removeValue(forKey: response.question)?.finish(with: response.answer, on: loop)
    }
  }

  /// How long to keep an answer; `nil` for one that says nothing about the name.
  private static func lifetime(of response: Channel.Response) -> Duration? {
    switch response.answer {
    case .success: min(response.lifetime ?? .zero, longestLifetime)
    case .failure(.notFound), .failure(.noData): negativeLifetime
    case .failure(.cancelled), .failure(.overloaded): nil
    case .failure: failureLifetime
    }
  }
}

extension [IPAddress] {
  fileprivate func answer(in family: Family) -> Question.Answer {
    let addresses = filter { $0.family == family }
    return addresses.isEmpty ? .failure(.noData) : .success(.addresses(addresses))
  }
}
