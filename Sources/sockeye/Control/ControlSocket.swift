import Printing
import Synchronization
import Transport

/// The socket at which the running program is asked things: one request a connection, which is answered and closed.
///
/// Only root and the program's own user are answered: by the socket's mode, and by who the kernel says they are. Whoever
/// stalls or floods takes one of a few seats, for a few seconds.
///
/// It has a loop of its own: to read a large table takes longer than a tunnel may wait, and it answers however busy the
/// workers are, and when nobody reads the log.
///
/// `@unchecked` holds because everything but `init`, `open` and `release` runs on that loop: its variables are touched by one thread.
final class ControlSocket: @unchecked Sendable {
  let path: String
  private let loop: EventLoop
  private let file = Atomic(File.absent)
  private let answer: @Sendable (ControlRequest) async -> ControlAnswer
  private var seats = 8
  /// The wait for another connection or a free seat.
  private var idle: WaitID?

  /// Whose the file at `path` is.
  private enum File: UInt8, AtomicRepresentable {
    /// Not ours yet.
    case absent
    case present
    /// Ours no more, and that of no later one.
    case released
  }

  private static let requestTime = Duration.seconds(5)
  private static let answerTime = Duration.seconds(10)
  private static let longestRequest = 16 * 1024

  init(at path: String, answer: @escaping @Sendable (ControlRequest) async -> ControlAnswer) throws(Errno) {
    self.path = path
    loop = try EventLoop(carriesDatagrams: false)
    self.answer = answer
  }

  /// Listens at `path`, and answers from then on.
  ///
  /// - Parameter waits: whether it tries again each second while another program listens there. Else that is an error.
  /// - Returns: whether it listens already.
  func open(waits: Bool) async throws -> Bool {
    try await Task(executorPreference: loop) { [self] in
      do throws(Errno) {
        try listen()
        return true
      } catch {
        guard waits, error == .addressInUse else { throw error }
        Task(executorPreference: loop) { [self] in await listenLater() }
        return false
      }
    }.value
  }

  private func listenLater() async {
    while file.load(ordering: .acquiring) == .absent {
      try? await loop.sleep(until: .after(.seconds(1)))
      if (try? listen()) != nil { return }
    }
  }

  private func listen() throws(Errno) {
    let listener = try TCPListener(
      try ListeningSocket(unixPath: path, mode: 0o600), keepsFile: true, on: loop)
    let (isFirst, _) = file.compareExchange(
      expected: .absent, desired: .present, ordering: .acquiringAndReleasing)
    if !isFirst { OwnProcess.remove(path) }
    Task(executorPreference: loop) { [self] in await accept(from: listener) }
  }

  /// Gives the path to whoever wants to listen there next. Who has connected is answered still.
  ///
  /// On any thread, however busy the loop is.
  func release() {
    if file.exchange(.released, ordering: .acquiringAndReleasing) == .present { OwnProcess.remove(path) }
  }

  private func accept(from listener: TCPListener) async {
    while true {
      // Out of descriptors it rests; others tell the log of that.
      while seats > 0, let connection = try? listener.accept() {
        seats -= 1
        Task(executorPreference: loop) { [self] in
          await serve(connection)
          seats += 1
          if let idle { loop.wake(idle) }
        }
      }
      let interests = seats > 0 ? [listener.interest] : []
      _ = await loop.wait(for: interests, until: listener.restsUntil ?? .never) { idle = $0 }
      idle = nil
    }
  }

  private func serve(_ connection: TCPListener.Connection) async {
    // Without a descriptor or memory for the stream, the connection is closed without an answer.
    guard let client = try? TCPStream(connection, on: loop) else { return }
    let answer = await reply(to: client)
    try? await client.write(answer.bytes, until: .after(Self.answerTime))
  }

  private func reply(to client: borrowing TCPStream) async -> ControlAnswer {
    guard let user = client.peerUser, user == 0 || user == OwnProcess.user else {
      return ControlAnswer(error: "only root and the user that runs the program may ask it")
    }
    guard let line = try? await request(of: client) else {
      return ControlAnswer(error: "the request is not one line, or did not come in time")
    }
    guard let request = ControlRequest(line) else {
      return ControlAnswer(
        error: "the program that runs does not know '\(line)' (is it of another version? restart it)")
    }
    // A reload can take seconds. The newline tells the client that its request was received.
    try? await client.write([UInt8(ascii: "\n")], until: .after(Self.answerTime))
    return await answer(request)
  }

  /// Its line; `nil` when it has none.
  private func request(of client: borrowing TCPStream) async throws(Errno) -> String? {
    var input: [UInt8] = []
    let deadline = Deadline.after(Self.requestTime)
    while input.count <= Self.longestRequest, try await client.read(into: &input, until: deadline) {
      guard let end = input.firstIndex(of: UInt8(ascii: "\n")) else { continue }
      return String(decoding: input[..<end], as: UTF8.self)
    }
    return nil
  }
}
