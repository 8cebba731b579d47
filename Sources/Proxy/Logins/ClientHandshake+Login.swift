import Transport

extension ClientHandshake {
  /// What guessing a password costs, at the least.
  private static let refusalDelay = Duration.milliseconds(500)
  /// How much a client may send behind its login before that is decided.
  private static let longestSequel = 4096

  /// Returns when the client is admitted by a name and a password.
  ///
  /// - Parameter owesRequest: the request comes in a message of its own. A client that has ended its direction without
  ///   it is gone.
  mutating func logIn(
    _ username: [UInt8], _ password: [UInt8], _ stream: borrowing TCPStream, owesRequest: Bool,
    orAnswer denial: [UInt8]
  ) async throws(Refusal) {
    // For the log.
    claimedUser = username.isEmpty ? nil : String(decoding: username, as: UTF8.self)
    guard let failure = try await judge(username, password, stream, owesRequest) else {
      hasLoggedIn = true
      return
    }
    try? await stream.loop.sleep(until: .after(Self.refusalDelay))
    throw Refusal(ending: .unauthenticated(failure), answer: denial)
  }

  /// Judges a login by the newest table. A table that comes while the hash is computed judges it again.
  private mutating func judge(
    _ username: [UInt8], _ password: [UInt8], _ stream: borrowing TCPStream, _ owesRequest: Bool
  ) async throws(Refusal) -> Event.LoginFailure? {
    while let authenticator = newest()?.authenticator {
      switch authenticator.judge(username, password: password) {
      case .decided(let failure): return failure
      case .computed(let claim, let compute):
        let failure = try await wait(for: compute, claim, stream, owesRequest)
        if failure == .notInTime || failure == .tooManyLogins { return failure }
        if newest()?.authenticator === authenticator { return failure }
      }
    }
    return .listenerRemoved
  }

  /// Has the hash of a login computed. It is given up when the client is gone, or the handshake's deadline passes.
  private mutating func wait(
    for compute: @escaping @Sendable () -> Event.LoginFailure?, _ claim: Authenticator.Claim?,
    _ stream: borrowing TCPStream, _ owesRequest: Bool
  ) async throws(Refusal) -> Event.LoginFailure? {
    let loop = stream.loop
    let wait = LoginWait(on: loop)
    let login = HashThreads.Login(claim: claim, compute: compute) { failure in
      Task(executorPreference: loop) { wait.decide(failure) }
    }
    guard let ticket = hashes.submit(login, of: client) else { return .tooManyLogins }
    stream.descriptor.watch(wait)
    defer {
      stream.descriptor.endWatch()
      hashes.withdraw(ticket)
    }
    while true {
      switch await wait.next(until: deadline) {
      case .decided(let failure): return failure
      case .clientEnded: if owesRequest { try await readSequel(stream) }
      case .clientGone: throw Refusal(ending: .noRequest(.system(.connectionReset)), answer: [])
      case .timedOut: return .notInTime
      case .cancelled: throw Refusal(ending: .noRequest(.system(.cancelled)), answer: [])
      }
    }
  }

  /// Reads what the client has sent before it ended its direction. It is gone when that is nothing.
  private mutating func readSequel(_ stream: borrowing TCPStream) async throws(Refusal) {
    do throws(Errno) {
      while input.count < Self.longestSequel,
        try await stream.read(into: &input, until: stream.loop.now)
      {}
    } catch {
      throw Refusal(ending: .noRequest(.system(error)), answer: [])
    }
    guard !input.isEmpty else { throw Refusal(ending: .noRequest(.closed), answer: []) }
  }
}
