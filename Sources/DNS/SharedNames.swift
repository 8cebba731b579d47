import Addresses
import Synchronization
import Transport

/// What the resolvers of all loops share: /etc/hosts, resolv.conf(5), and the answers that are still true. So a name has
/// the same addresses for every connection, whichever loop serves it.
///
/// Once a second at most, a question has a thread that does nothing else look whether the files have changed, and read
/// them then: once for all loops. Questions wait for that, for two seconds at most: a file system that hangs stops no loop,
/// and no name for longer.
package final class SharedNames: Sendable {
  private struct State {
    var cache: AnswerCache
    var hosts = HostsFile()
    var configuration: ResolverConfiguration
    /// How often the configuration has changed.
    var generation = 0
    var versions: Versions?
    /// `never` while a check is under way.
    var nextCheck = Deadline.never
    var check: Check?
  }

  /// Looks whether the files have changed, and reads them then.
  struct Check {
    let task: Task<Void, Never>
    /// Questions wait until then at most.
    let end: Deadline
  }

  private struct Versions: Equatable {
    var hosts: SystemFile.Version?
    var configuration: SystemFile.Version?
  }

  /// How long a question waits for the files: as long as for a name server.
  private static let patience = Duration.seconds(2)
  /// However long a zone says.
  static let longestLifetime = Duration.seconds(3600)
  /// For a failure that says nothing of the name (RFC 9520 §3.2 asks for at least a second).
  static let failureLifetime = Duration.seconds(1)

  private let hostsFile: SystemFile
  /// `nil` when the servers were given: then nothing of it holds.
  private let configurationFile: SystemFile?
  private let state: Mutex<State>
  /// How long a change may go unseen.
  private let checkInterval: Duration
  /// Looks at the files, and reads them: a file system may take its time.
  let reader: EventLoop

  /// Reads /etc/hosts and, when no `servers` are given, /etc/resolv.conf.
  ///
  /// - Parameters:
  ///   - servers: the name servers to ask; empty for those of /etc/resolv.conf.
  ///   - cacheCapacity: how many names are kept.
  package convenience init(servers: [SocketAddress], cacheCapacity: Int) throws(Errno) {
    try self.init(
      servers.isEmpty ? nil : ResolverConfiguration(servers: servers), cacheCapacity: cacheCapacity,
      hostsPath: "/etc/hosts", configurationPath: "/etc/resolv.conf")
  }

  /// - Parameter configuration: `nil` for that of the file.
  init(
    _ configuration: ResolverConfiguration?, cacheCapacity: Int, hostsPath: String, configurationPath: String,
    checkInterval: Duration = .seconds(1)
  ) throws(Errno) {
    self.checkInterval = checkInterval
    reader = try EventLoop(carriesDatagrams: false)
    hostsFile = SystemFile(path: hostsPath)
    configurationFile = configuration == nil ? SystemFile(path: configurationPath) : nil
    state = Mutex(
      State(
        cache: AnswerCache(capacity: Family.allCases.count * cacheCapacity),
        configuration: configuration ?? ResolverConfiguration(parsing: [], hostName: "")))
    read(versions(after: nil), replacing: nil)
    state.withLock { $0.nextCheck = .after(checkInterval) }
  }

  deinit { reader.stop() }

  // MARK: Asking

  /// Has the next question look whether the files have changed, however short ago one did.
  package func checkFiles() {
    state.withLock { $0.nextCheck = Deadline(nanoseconds: 0) }
  }

  /// What is known without asking a name server.
  enum Knowledge {
    /// The answer, and the name server it came from; `nil` when /etc/hosts has it.
    case answered(Question.Answer, by: SocketAddress?)
    case unknown
    /// The files may have changed. Ask again when the check has ended, or its time is over.
    case outdated(Check)
  }

  func knowledge(of question: Question, at now: Deadline) -> Knowledge {
    state.withLock { state in
      if let check = check(&state, at: now) { return .outdated(check) }
      if let answer = state.hosts.answer(to: question) { return .answered(answer, by: nil) }
      guard let known = state.cache.answer(to: question, at: now) else { return .unknown }
      return .answered(known.answer, by: known.server)
    }
  }

  /// Whom a question asks, whether with EDNS(0), and what `keep` is told of the answer.
  func servers() -> (addresses: [SocketAddress], extends: Bool, generation: Int) {
    state.withLock { ($0.configuration.serversInTurn, $0.configuration.extends, $0.generation) }
  }

  /// The absolute names that `name` may mean, in the order in which they are to be tried: `search` and `ndots` of
  /// resolv.conf(5). `nil` while the files are checked.
  ///
  /// `localhost` and a name in /etc/hosts mean themselves only. As in glibc, the domains are for name servers' names.
  ///
  /// - Parameter searchesAlways: whether a name with a dot in it may be meant in a domain of `search`.
  func names(for name: DomainName, searchesAlways: Bool, at now: Deadline) -> [DomainName]? {
    state.withLock { state in
      guard check(&state, at: now) == nil else { return nil }
      if state.hosts.answer(to: .addresses(of: name, .v4)) != nil { return [name] }
      return state.configuration.names(for: name, searchesAlways: searchesAlways)
    }
  }

  /// Waits until the files have been checked, if they are being checked and the time for that is not over.
  ///
  /// - Returns: false when the loop ends.
  func waitForFiles(on loop: EventLoop) async -> Bool {
    guard let check = state.withLock(\.check) else { return true }
    return await loop.wait(for: check)
  }

  /// Keeps an answer for as long as its zone and RFC 2308 say, for all loops.
  ///
  /// - Parameter generation: as `servers` told it. What servers said that are not asked any more is forgotten.
  func keep(
    _ response: Exchange.Response, to question: Question, from server: SocketAddress?, generation: Int
  ) {
    guard let lifetime = Self.lifetime(of: response), lifetime > .zero else { return }
    state.withLock { state in
      guard state.generation == generation else { return }
      state.cache.insert(
        .init(answer: response.answer, server: server), to: question, until: .after(lifetime))
    }
  }

  /// `nil` for an answer that is not to be kept.
  private static func lifetime(of response: Exchange.Response) -> Duration? {
    switch response.answer {
    case .success, .failure(.notFound), .failure(.noData): response.lifetime.map { min($0, longestLifetime) }
    case .failure(.cancelled), .failure(.overloaded), .failure(.shortage): nil
    case .failure: failureLifetime
    }
  }

  // MARK: Files

  private func versions(after last: Versions?) -> Versions {
    Versions(
      hosts: hostsFile.version(after: last?.hosts),
      configuration: configurationFile?.version(after: last?.configuration))
  }

  /// Begins a check if it is time for one, and none is under way.
  ///
  /// - Returns: what a question is to wait for.
  private func check(_ state: inout State, at now: Deadline) -> Check? {
    if state.check == nil, now >= state.nextCheck {
      state.nextCheck = .never
      let task = Task(executorPreference: reader) { [self] in checkNow() }
      state.check = Check(task: task, end: now + Self.patience)
    }
    guard let check = state.check, now < check.end else { return nil }
    return check
  }

  private func checkNow() {
    let old = state.withLock(\.versions)
    // A change while the files are read is found by the next check.
    let versions = versions(after: old)
    if versions != old { read(versions, replacing: old) }
    state.withLock { state in
      state.check = nil
      // Unless `checkFiles` asks for another one.
      if state.nextCheck == .never { state.nextCheck = .after(checkInterval) }
    }
  }

  /// What cannot be read stays as it was, and is tried again at the next check.
  private func read(_ versions: Versions, replacing old: Versions?) {
    let isHosts = old == nil || versions.hosts != old?.hosts
    let hosts = isHosts ? hostsFile.read().map { HostsFile(parsing: $0) } : nil
    let configuration = configurationFile?.read().map {
      ResolverConfiguration(parsing: $0, hostName: hostName)
    }
    state.withLock { state in
      state.versions = versions
      if let hosts { state.hosts = hosts } else if isHosts { state.versions?.hosts = old?.hosts }
      guard let configuration else {
        if configurationFile != nil { state.versions?.configuration = old?.configuration }
        return
      }
      guard configuration != state.configuration else { return }
      // Other servers, as those of a VPN, may know other names.
      state.configuration = configuration
      state.generation += 1
      state.cache.removeAll()
    }
  }
}

extension EventLoop {
  /// Waits until the check has ended, or its time is over.
  ///
  /// - Returns: false when the loop ends.
  func wait(for check: SharedNames.Check) async -> Bool {
    let wakeup = await wait(for: [], until: check.end) { wait in
      Task(executorPreference: self) {
        await check.task.value
        self.wake(wait)
      }
    }
    return wakeup != .cancelled
  }
}
