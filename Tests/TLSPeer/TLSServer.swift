import COpenSSL

/// The other end of a client's session, without a socket: what comes is taken, and what goes is given.
package final class TLSServer {
  private let context: OpaquePointer?
  private let session: OpaquePointer?
  private let input = BIO_new(BIO_s_mem())
  private let output = BIO_new(BIO_s_mem())
  /// The client has said that no more will follow.
  package private(set) var hasEnded = false
  package private(set) var hasFailed = false

  package enum Version: CInt, Sendable {
    case tls11 = 0x0302
    case tls12 = 0x0303
    case tls13 = 0x0304
  }

  /// - Parameters:
  ///   - issuers: sent behind the certificate.
  ///   - authority: of clients, who need a certificate then.
  ///   - largestRecord: how much it says in one record, at most.
  package init(
    _ certificate: Certificate, issuers: [Certificate] = [], demanding authority: Certificate? = nil,
    version: Version = .tls13, largestRecord: Int = 16_384
  ) {
    context = SSL_CTX_new(TLS_server_method())
    SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(version.rawValue), nil)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(version.rawValue), nil)
    if version == .tls11 { SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0") }
    certificate.present(in: context)
    for issuer in issuers { issuer.accompany(in: context) }
    authority?.demand(in: context)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_SEND_FRAGMENT, largestRecord, nil)
    session = SSL_new(context)
    SSL_set_bio(session, input, output)
    SSL_set_accept_state(session)
  }

  deinit {
    SSL_free(session)
    SSL_CTX_free(context)
  }

  /// What the client sent.
  package func take(_ bytes: some Collection<UInt8>) {
    guard !bytes.isEmpty else { return }
    BIO_write(input, Array(bytes), Int32(bytes.count))
    if !isEstablished { noteFailure(SSL_do_handshake(session)) }
  }

  /// What the client is to be sent.
  package func give() -> [UInt8] { output.drained() }

  package var isEstablished: Bool { SSL_get_state(session) == TLS_ST_OK }

  /// What the client wrote, as far as it was taken.
  package func read() -> [UInt8] {
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = SSL_read(session, &buffer, Int32(buffer.count))
      guard count > 0 else {
        hasEnded = SSL_get_shutdown(session) & SSL_RECEIVED_SHUTDOWN != 0
        noteFailure(count)
        return result
      }
      result += buffer.prefix(Int(count))
    }
  }

  package func write(_ bytes: [UInt8]) {
    noteFailure(SSL_write(session, bytes, Int32(bytes.count)))
  }

  /// Says that no more will follow.
  package func end() {
    SSL_shutdown(session)
  }

  /// Takes new keys, and asks the client to do the same.
  package func updateKeys() {
    SSL_key_update(session, SSL_KEY_UPDATE_REQUESTED)
    noteFailure(SSL_do_handshake(session))
  }

  /// Gives the client something to remember the session by, which it does not need.
  package func sendTicket() {
    SSL_new_session_ticket(session)
    noteFailure(SSL_do_handshake(session))
  }

  /// The name that the client asked for.
  package var requestedName: String? {
    SSL_get_servername(session, TLSEXT_NAMETYPE_host_name).map { String(cString: $0) }
  }

  private func noteFailure(_ result: CInt) {
    let error = SSL_get_error(session, result)
    if error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL { hasFailed = true }
    ERR_clear_error()
  }
}
