import COpenSSL

/// A certificate with its key, made on the spot; `@unchecked` holds because it is never changed after that.
package final class Certificate: @unchecked Sendable {
  private let certificate: OpaquePointer?
  private let key: OpaquePointer?

  /// - Parameters:
  ///   - names: for whom, as OpenSSL writes it: `DNS:proxy.test,IP:127.0.0.1`.
  ///   - start: when it begins to be valid, in seconds from now.
  ///   - end: when it ceases to be.
  ///   - issuer: who vouches for it; nobody: itself.
  ///   - rsaBits: the size of its RSA key; without, the key is one of P-256.
  package init(
    for names: String, from start: Int = -3600, until end: Int = 86_400, by issuer: Certificate? = nil,
    isAuthority: Bool = false, rsaBits: Int32? = nil
  ) {
    key = rsaBits.map(Self.makeRSAKey) ?? Self.makeKey()
    certificate = X509_new()
    X509_set_version(certificate, 2)
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), UInt64.random(in: 1...UInt64(Int64.max)))
    X509_gmtime_adj(X509_getm_notBefore(certificate), start)
    X509_gmtime_adj(X509_getm_notAfter(certificate), end)
    X509_set_pubkey(certificate, key)
    let subject = X509_get_subject_name(certificate)
    // Names of their own, or an issuer could not be told from its subject.
    let name = String(names.prefix(64))
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_FLAG | 1, name, -1, -1, 0)
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer?.certificate ?? certificate))
    add(NID_basic_constraints, isAuthority ? "critical,CA:TRUE" : "critical,CA:FALSE", by: issuer)
    add(NID_subject_alt_name, names, by: issuer)
    X509_sign(certificate, issuer?.key ?? key, EVP_sha256())
  }

  deinit {
    X509_free(certificate)
    EVP_PKEY_free(key)
  }

  private static func makeKey() -> OpaquePointer? {
    let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil)
    defer { EVP_PKEY_CTX_free(context) }
    EVP_PKEY_keygen_init(context)
    EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1)
    var key: OpaquePointer?
    EVP_PKEY_keygen(context, &key)
    return key
  }

  /// Of as many primes as OpenSSL allows: one of 8,192 bits takes a second then, instead of a minute.
  private static func makeRSAKey(bits: Int32) -> OpaquePointer? {
    let context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, nil)
    defer { EVP_PKEY_CTX_free(context) }
    EVP_PKEY_keygen_init(context)
    EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits)
    EVP_PKEY_CTX_set_rsa_keygen_primes(context, bits >= 8192 ? 5 : 2)
    var key: OpaquePointer?
    EVP_PKEY_keygen(context, &key)
    return key
  }

  private func add(_ kind: Int32, _ value: String, by issuer: Certificate?) {
    var context = v3_ext_ctx()
    X509V3_set_ctx(&context, issuer?.certificate ?? certificate, certificate, nil, nil, 0)
    let added = X509V3_EXT_conf_nid(nil, &context, kind, value)
    X509_add_ext(certificate, added, -1)
    X509_EXTENSION_free(added)
  }

  package var pem: [UInt8] {
    Self.written { PEM_write_bio_X509($0, certificate) }
  }

  package var keyPEM: [UInt8] {
    Self.written { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
  }

  /// Its key, protected by a password.
  package var encryptedKeyPEM: [UInt8] {
    Self.written { PEM_write_bio_PrivateKey($0, key, EVP_aes_128_cbc(), "secret", 6, nil, nil) }
  }

  /// The SHA-256 digest of the public key.
  package var pin: [UInt8] {
    var encoded: UnsafeMutablePointer<UInt8>?
    let count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded)
    var digest = [UInt8](repeating: 0, count: 32)
    SHA256(encoded, Int(count), &digest)
    CRYPTO_free(encoded, nil, 0)
    return digest
  }

  /// As tables have it.
  package static func base64(_ bytes: [UInt8]) -> String {
    var text = [UInt8](repeating: 0, count: bytes.count * 2 + 4)
    let count = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
    return String(decoding: text.prefix(Int(count)), as: UTF8.self)
  }

  private static func written(_ write: (OpaquePointer?) -> Int32) -> [UInt8] {
    let memory = BIO_new(BIO_s_mem())
    defer { BIO_free(memory) }
    _ = write(memory)
    return memory.drained()
  }

  /// Presents it, and its key, to all who connect to `context`.
  func present(in context: OpaquePointer?) {
    SSL_CTX_use_certificate(context, certificate)
    SSL_CTX_use_PrivateKey(context, key)
  }

  /// Sends it behind the certificate that `context` presents.
  func accompany(in context: OpaquePointer?) {
    X509_up_ref(certificate)
    SSL_CTX_ctrl(context, SSL_CTRL_EXTRA_CHAIN_CERT, 0, UnsafeMutableRawPointer(certificate))
  }

  /// Has `context` accept those only for whom it vouches.
  func demand(in context: OpaquePointer?) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate)
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
  }
}

extension OpaquePointer? {
  /// All that a memory BIO holds.
  func drained() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(self))
    let count = bytes.isEmpty ? 0 : BIO_read(self, &bytes, Int32(bytes.count))
    return Array(bytes.prefix(Int(max(0, count))))
  }
}
