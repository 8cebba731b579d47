import Addresses
import CTLS

/// One connection's TLS, on the client's side, over a non-blocking socket or inside another session.
///
/// Nothing here waits: each operation goes as far as it gets, and says what it awaits. To be used by one thread at a time.
///
/// `@safe` holds because `session` is freed in `deinit` only, and the context and the session below it live as long as it does.
/// No buffer is kept: OpenSSL reads and writes within the bounds that each call gives.
@safe package final class TLSSession {
  /// What has to happen before an operation is tried again.
  package enum Awaited: Hashable, Sendable {
    /// The socket becomes readable.
    case readable
    /// The socket becomes writable.
    case writable
    /// Others on the thread have had a turn: more has come than one turn may take.
    case turn
  }

  /// How far an operation got.
  package enum Progress: Hashable, Sendable {
    /// So many octets were moved; of a read, 0 means that the peer has said its last.
    case moved(Int)
    case awaits(Awaited)

    fileprivate var awaited: Awaited? {
      if case .awaits(let awaited) = self { awaited } else { nil }
    }
  }

  private let session: OpaquePointer
  private let context: TLSContext
  /// Held because `session` reads and writes through it.
  private let lower: TLSSession?
  /// What the last read awaits, or the next one may.
  package private(set) var readingAwaits = Awaited.readable
  /// The same of writing.
  package private(set) var writingAwaits = Awaited.writable
  /// Why it failed, once it has.
  package private(set) var failure: TLSFailure?

  /// - Parameters:
  ///   - host: what was dialled: the peer's certificate must be made for it, if `context` demands nothing else.
  ///   - socket: connected, not blocking, and open for as long as this lasts.
  ///   - lower: the session through which it is reached, if the socket leads to another peer.
  package init(_ context: TLSContext, to host: Host, over socket: Int32, within lower: TLSSession? = nil)
    throws(TLSFailure)
  {
    guard let session = unsafe tls_session_create(context.context, socket, lower?.session) else {
      throw .system(Self.outOfMemory)
    }
    unsafe self.session = session
    self.context = context
    self.lower = lower
    guard expect(context.demands.serverName ?? host) else { throw .system(Self.outOfMemory) }
  }

  deinit {
    unsafe tls_session_free(session)
  }

  private static let outOfMemory: Int32 = 12

  /// The name is also sent (RFC 6066 §3), which knows no addresses.
  private func expect(_ host: Host) -> Bool {
    switch host {
    case .name(let name):
      return unsafe tls_session_expect_name(session, name.text, true)
    case .address(let address):
      let octets = address.octets
      return unsafe tls_session_expect_address(session, octets, octets.count)
    }
  }

  /// Goes on with the handshake, until it is done: `moved`.
  package func handshake() throws(TLSFailure) -> Progress {
    try progress(unsafe tls_session_handshake(session))
  }

  /// Reads until the buffer is full, or as far as it gets.
  package func read(into buffer: UnsafeMutableRawBufferPointer) throws(TLSFailure) -> Progress {
    let bytes = unsafe buffer.bindMemory(to: UInt8.self)
    let progress = try progress(unsafe tls_session_read(session, bytes.baseAddress, bytes.count))
    readingAwaits = progress.awaited ?? .readable
    return progress
  }

  /// Writes as much as the socket takes. What was not taken must be the first that is written next, octet for octet:
  /// it may have been encrypted already.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(TLSFailure) -> Progress {
    let bytes = unsafe bytes.bindMemory(to: UInt8.self)
    let progress = try progress(unsafe tls_session_write(session, bytes.baseAddress, bytes.count))
    writingAwaits = progress.awaited ?? .writable
    return progress
  }

  /// Tells the peer that no more will follow, and the peers of the sessions below the same. Reading goes on. Whoever
  /// has failed or left already is not told: that is no failure.
  package func end() -> Progress {
    guard let progress = try? progress(unsafe tls_session_end(session)) else { return .moved(0) }
    writingAwaits = progress.awaited ?? .writable
    return progress
  }

  /// False while reading may give more, or an end, without the socket becoming readable once more.
  package var isDrained: Bool { unsafe tls_session_is_drained(session) }

  /// As OpenSSL writes it: `TLSv1.3`.
  package var version: String { unsafe String(cString: tls_session_version(session)) }

  private func progress(_ answer: tls_answer) throws(TLSFailure) -> Progress {
    let reason: TLSFailure
    switch answer.outcome {
    case TLS_DONE: return .moved(Int(answer.value))
    case TLS_ENDED: return .moved(0)
    case TLS_AWAITS_INPUT: return .awaits(.readable)
    case TLS_AWAITS_OUTPUT: return .awaits(.writable)
    case TLS_AWAITS_TURN: return .awaits(.turn)
    case TLS_TRUNCATED: reason = .truncated
    case TLS_ALERT: reason = .alert(UInt8(truncatingIfNeeded: answer.value))
    case TLS_CERTIFICATE: reason = .certificate(CertificateRefusal(code: answer.value))
    case TLS_NOT_TLS: reason = .notTLS
    case TLS_FLOOD: reason = .flood
    case TLS_VIOLATION: reason = .violation(answer.value)
    default: reason = .system(Int32(truncatingIfNeeded: answer.value))
    }
    failure = reason
    throw reason
  }
}

extension IPAddress {
  /// In network order, as certificates have them.
  fileprivate var octets: [UInt8] {
    switch self {
    case .v4(let bits): unsafe withUnsafeBytes(of: bits.bigEndian) { unsafe Array($0) }
    case .v6(let bits): unsafe withUnsafeBytes(of: bits.value.bigEndian) { unsafe Array($0) }
    }
  }
}
