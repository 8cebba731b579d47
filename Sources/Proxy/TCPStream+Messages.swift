import TLS
import Transport
import Wire

/// Why a message did not come.
enum ReceiveError<Violation: Error>: Error {
  case system(Errno)
  /// The peer closed where the message was due.
  case closed
  case violation(Violation)
}

extension Failure.Cause {
  /// What a peer that owed a message did instead.
  init(_ error: ReceiveError<some Explained>, on stream: borrowing TCPStream) {
    self =
      switch error {
      case .system(let error): Self(error, on: stream)
      case .closed: .closed
      case .violation(let violation): violation.cause
      }
  }
}

extension Failure.Cause {
  /// Why a stream could not be read or written: in the words of its TLS, where that is what failed.
  init(_ error: Errno, on stream: borrowing TCPStream) {
    if let failure = stream.sessionFailure { self.init(failure) } else { self = .system(error) }
  }

  init(_ failure: TLSFailure) {
    self =
      switch failure {
      case .system(let error): .system(Errno(rawValue: error))
      case .truncated: .closed
      case .alert, .certificate, .notTLS, .flood, .violation: .tls(failure)
      }
  }
}

/// A violation that a failure can be told by.
protocol Explained: Error {
  var cause: Failure.Cause { get }
}

extension SOCKS5.Violation: Explained {
  var cause: Failure.Cause { .violation(self) }
}

extension SOCKS4.Violation: Explained {
  var cause: Failure.Cause {
    switch self {
    case .version(let version): .violation(.version(version))
    case .name(let violation): .violation(.name(violation))
    case .userIDTooLong: .userIDTooLong
    }
  }
}

extension HTTP.Violation: Explained {
  var cause: Failure.Cause { .http(self) }
}

extension TCPStream {
  /// The next message. Bytes that came with it but stand behind it are left in `input`: they belong to the next reader.
  ///
  /// No SOCKS message is longer than 520 octets, and no head of HTTP than 16 KiB, so that `input` stays small whatever
  /// the peer sends.
  func receive<M: Message>(
    _: M.Type = M.self, input: inout [UInt8], until deadline: Deadline
  ) async throws(ReceiveError<M.Violation>) -> M {
    let room = 4096
    // Bytes left unread by a read that was full are not announced again.
    var mayHaveMore = !input.isEmpty
    while true {
      if !input.isEmpty, let message = try Self.parse(M.self, from: &input) { return message }
      let isOpen: Bool
      do throws(Errno) {
        // A message is due in answer to one that was just sent: to try before waiting would be in vain.
        if !mayHaveMore { try await wait(for: .readable, until: deadline) }
        let count = input.count
        isOpen = try await read(into: &input, atMost: room, until: deadline)
        mayHaveMore = input.count - count == room
      } catch {
        throw .system(error)
      }
      guard isOpen else { throw .closed }
    }
  }

  private static func parse<M: Message>(
    _: M.Type, from input: inout [UInt8]
  ) throws(ReceiveError<M.Violation>) -> M? {
    var reader = ByteReader(input)
    let message: M?
    do {
      message = try M(parsing: &reader)
    } catch {
      throw .violation(error)
    }
    guard let message else { return nil }
    let rest = reader.remaining
    input = rest.isEmpty ? [] : Array(rest)
    return message
  }
}
