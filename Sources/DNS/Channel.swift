import Addresses
import CAres
import Glibc
import Transport

/// A c-ares channel: its questions, its timers, and its sockets, which the loop watches.
///
/// c-ares calls back, and opens and closes sockets, only while one of its functions runs. All of them are called
/// from `ask`, `process` and `close`, so nobody waits for a socket at that moment, and `answers` is what came meanwhile.
///
/// `@safe`: the handle is taken out before it is destroyed.
@safe final class Channel {
  private let loop: EventLoop
  private var handle: ares_channel?
  private var sockets: [Int32: Socket] = [:]
  private var answers: [Response] = []

  struct Response {
    var question: Question
    var answer: Question.Answer
    /// How long it stays true, as its zone said; `nil` if that is not known.
    var lifetime: Duration?
  }

  /// Times one server is asked.
  private static let tries: Int32 = 3

  // c-ares counts its initializations without a lock; a global is initialized once.
  private static let libraryStatus = ares_library_init(ARES_LIB_INIT_ALL)

  /// Without `servers`, asks those of resolv.conf(5).
  ///
  /// What is not answered within `patience`, in whole milliseconds, is sent again, then after twice as much.
  init(servers: [SocketAddress], patience: Duration, on loop: EventLoop) throws(SetupFailure) {
    self.loop = loop
    try SetupFailure.check(Self.libraryStatus)
    var options = unsafe ares_options()
    unsafe options.timeout = Int32(patience / .milliseconds(1))
    unsafe options.tries = Self.tries
    unsafe options.sock_state_cb = socketChanged
    unsafe options.sock_state_cb_data = Unmanaged.passUnretained(self).toOpaque()
    var handle: ares_channel?
    try SetupFailure.check(
      unsafe ares_init_options(
        &handle, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB))
    unsafe self.handle = handle
    if !servers.isEmpty {
      let list = servers.map(\.description).joined(separator: ",")
      try SetupFailure.check(unsafe ares_set_servers_ports_csv(handle, list))
    }
  }

  // Once it has asked, a channel is closed by its driver: no callback comes from here.
  deinit {
    close()
  }

  /// Ends what is still open, with `cancelled`.
  func close() {
    guard let handle = unsafe handle else { return }
    unsafe self.handle = nil
    unsafe ares_destroy(handle)
  }

  // MARK: Asking

  func ask(_ question: Question) {
    guard let handle = unsafe handle else { return }
    let argument = unsafe Unmanaged.passRetained(OpenQuestion(question, of: self))
    // IN is class 1 (RFC 1035 §3.2.4). The name is absolute: no search domain is applied.
    unsafe ares_query(
      handle, question.recordName, 1, question.recordType, questionAnswered, argument.toOpaque())
  }

  /// What came since the last call.
  func takeAnswers() -> [Response] {
    defer { answers = [] }
    return answers
  }

  fileprivate func receive(_ response: Response) {
    answers.append(response)
  }

  // MARK: Driving

  /// What to wait for, and until when, before the next `process`.
  var interests: [Interest] {
    sockets.values.map { $0.watched.interest(in: $0.readiness) }
  }

  var deadline: Deadline {
    var time = timeval()
    guard let handle = unsafe handle, unsafe ares_timeout(handle, nil, &time) != nil else { return .never }
    return .after(.seconds(time.tv_sec) + .microseconds(time.tv_usec))
  }

  /// Reads and writes until every socket would block, since edges are reported once, and sends again what is overdue.
  ///
  /// False when there is more to do: then others on the loop shall have their turn first.
  func process() -> Bool {
    guard let handle = unsafe handle else { return true }
    for _ in 0..<Self.roundLimit {
      let ready = readySockets()
      guard !ready.isEmpty else {
        unsafe ares_process_fd(handle, noSocket, noSocket)
        return true
      }
      for (socket, readiness) in ready where sockets[socket] != nil {
        unsafe ares_process_fd(
          handle, readiness.contains(.readable) ? socket : noSocket,
          readiness.contains(.writable) ? socket : noSocket)
      }
    }
    return false
  }

  private static let roundLimit = 16

  private func readySockets() -> [(Int32, Readiness)] {
    var polled = sockets.map { rawValue, socket in
      pollfd(
        fd: rawValue, events: Int16(socket.readiness.contains(.writable) ? POLLIN | POLLOUT : POLLIN),
        revents: 0)
    }
    guard unsafe poll(&polled, nfds_t(polled.count), 0) > 0 else { return [] }
    return polled.compactMap { entry in
      let events = Int32(entry.revents)
      var readiness: Readiness = []
      if events & (POLLIN | POLLERR | POLLHUP) != 0 { readiness.insert(.readable) }
      if events & POLLOUT != 0 { readiness.insert(.writable) }
      return readiness.isEmpty ? nil : (entry.fd, readiness)
    }
  }

  /// One socket that c-ares owns. Its watch ends before c-ares closes it.
  private final class Socket {
    let watched: WatchedDescriptor
    var readiness: Readiness

    init(_ rawValue: Int32, on loop: EventLoop, readiness: Readiness) throws(Errno) {
      watched = try WatchedDescriptor(rawValue, on: loop)
      self.readiness = readiness
    }
  }

  fileprivate func watch(_ socket: Int32, for readiness: Readiness) {
    if readiness.isEmpty {
      sockets[socket] = nil
    } else if let watched = sockets[socket] {
      watched.readiness = readiness
    } else {
      // A socket that the kernel will not watch is one more lost datagram: c-ares tries again, then times out.
      sockets[socket] = try? Socket(socket, on: loop, readiness: readiness)
    }
  }
}

/// Why c-ares could not be set up, in its own words.
package struct SetupFailure: Error, CustomStringConvertible {
  package let description: String

  fileprivate static func check(_ status: Int32) throws(SetupFailure) {
    guard status != ARES_SUCCESS else { return }
    throw SetupFailure(description: unsafe String(cString: ares_strerror(status)))
  }
}

// MARK: - What c-ares calls

private let noSocket: Int32 = -1

/// What c-ares keeps for a question, and hands back exactly once.
private final class OpenQuestion {
  let question: Question
  unowned let channel: Channel

  init(_ question: Question, of channel: Channel) {
    self.question = question
    self.channel = channel
  }
}

private func socketChanged(
  _ channel: UnsafeMutableRawPointer?, _ socket: Int32, _ reads: Int32, _ writes: Int32
) {
  guard let channel = unsafe channel else { return }
  var readiness: Readiness = []
  if reads != 0 { readiness.insert(.readable) }
  if writes != 0 { readiness.insert(.writable) }
  unsafe Unmanaged<Channel>.fromOpaque(channel).takeUnretainedValue().watch(socket, for: readiness)
}

private func questionAnswered(
  _ argument: UnsafeMutableRawPointer?, _ status: Int32, _ timeouts: Int32,
  _ message: UnsafeMutablePointer<UInt8>?, _ length: Int32
) {
  guard let argument = unsafe argument else { return }
  let open = unsafe Unmanaged<OpenQuestion>.fromOpaque(argument).takeRetainedValue()
  let question = open.question
  guard status == ARES_SUCCESS else {
    return open.channel.receive(
      Channel.Response(question: question, answer: .failure(ResolutionFailure(status: status))))
  }
  switch question {
  case .addresses(_, let family):
    let records = unsafe AddressRecords(parsing: message, length, as: family)
    open.channel.receive(
      Channel.Response(
        question: question, answer: records.answer.map(Finding.addresses), lifetime: records.lifetime))
  case .name:
    let record = unsafe PointerRecord(parsing: message, length)
    open.channel.receive(Channel.Response(question: question, answer: record.answer.map(Finding.name)))
  }
}
