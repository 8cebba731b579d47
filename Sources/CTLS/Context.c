#include "Context.h"
#include "Memory.h"

#include <errno.h>
#include <limits.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// A larger key of the peer's, in bits, is refused before it is used (CVE-2023-29409).
#define KEY_BITS 8192
// The most certificates between the peer's own and a trusted one.
#define CHAIN_LENGTH 16

static bool is_pinned(const struct tls_context *context, X509 *certificate) {
  uint8_t *key = NULL;
  int count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
  if (count < 0) return false;
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(key, (size_t)count, digest);
  OPENSSL_free(key);
  for (size_t pin = 0; pin < context->pin_count; pin++) {
    if (memcmp(context->pins + pin * sizeof digest, digest, sizeof digest) == 0) return true;
  }
  return false;
}

static bool has_large_key(X509 *certificate) {
  EVP_PKEY *key = X509_get0_pubkey(certificate);
  return key && EVP_PKEY_get_bits(key) > KEY_BITS;
}

static bool has_large_keys(X509_STORE_CTX *store) {
  STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
  for (int index = 0; index < sk_X509_num(chain); index++) {
    if (has_large_key(sk_X509_value(chain, index))) return true;
  }
  return false;
}

// In the place of OpenSSL's own verification, so that a peer without the right key learns nothing of us.
static int verify(X509_STORE_CTX *store, void *argument) {
  const struct tls_context *context = argument;
  if (has_large_keys(store)) {
    X509_STORE_CTX_set_error(store, tls_key_too_large);
    return 0;
  }
  if (context->verifies && X509_verify_cert(store) != 1) return 0;
  X509 *certificate = X509_STORE_CTX_get0_cert(store);
  if (context->pin_count == 0 || (certificate && is_pinned(context, certificate))) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

// Finite-field groups are refused: the server chooses the group, up to 10,000 bits, and the exchange then takes the loop's
// thread half a second. Each server of the last ten years has elliptic curves.
static int allow(
  const SSL *session, const SSL_CTX *openssl, int operation, int bits, int nid, void *other, void *argument) {
  const struct tls_context *context = argument;
  switch (operation & SSL_SECOP_OTHER_TYPE) {
    case SSL_SECOP_OTHER_CIPHER:
      nid = SSL_CIPHER_get_kx_nid(other);
      if (nid == NID_kx_dhe || nid == NID_kx_dhe_psk) return 0;
      break;
    case SSL_SECOP_OTHER_CURVE:
      if (nid >= NID_ffdhe2048 && nid <= NID_ffdhe8192) return 0;
      break;
    default: break;
  }
  return context->allow(session, openssl, operation, bits, nid, other, NULL);
}

#define EACH_KIND(action)                                                                               \
  action(EVP_CIPHER) action(EVP_MD) action(EVP_MAC) action(EVP_KDF) action(EVP_RAND) action(EVP_KEYMGMT) \
  action(EVP_KEYEXCH) action(EVP_SIGNATURE) action(EVP_ASYM_CIPHER) action(OSSL_DECODER) action(OSSL_ENCODER)
#define VISIT(kind) \
  static void visit_##kind(kind *algorithm, void *unused) { (void)algorithm, (void)unused; }
EACH_KIND(VISIT)
#define VISIT_ALL(kind) kind##_do_all_provided(NULL, visit_##kind, NULL);

// OpenSSL looks for algorithms of a kind when it first needs one, and never again: what it does not find because memory runs
// out at that moment is unsupported for as long as the program runs. So it looks before any client needs it.
static bool has_all_algorithms;

static void find_algorithms(void) {
  tls_is_short_of_memory = false;
  EACH_KIND(VISIT_ALL)
  has_all_algorithms = !tls_is_short_of_memory;
  ERR_clear_error();
}

struct tls_context *tls_context_create(void) {
  struct tls_context *context = calloc(1, sizeof *context);
  if (!context) return NULL;
  context->verifies = true;
  context->openssl = SSL_CTX_new(TLS_client_method());
  if (!context->openssl || !SSL_CTX_set_min_proto_version(context->openssl, TLS1_2_VERSION)) {
    tls_context_free(context);
    return NULL;
  }
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  // Not before OpenSSL has begun: it would go on without what it could not make.
  pthread_once(&once, find_algorithms);
  if (!has_all_algorithms) {
    tls_context_free(context);
    return NULL;
  }
  SSL_CTX_set_options(context->openssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(
    context->openssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_session_cache_mode(context->openssl, SSL_SESS_CACHE_OFF);
  // Else the head of each record is a system call of its own.
  SSL_CTX_set_read_ahead(context->openssl, 1);
  SSL_CTX_set_verify(context->openssl, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_cert_verify_callback(context->openssl, verify, context);
  SSL_CTX_set_verify_depth(context->openssl, CHAIN_LENGTH);
  context->allow = SSL_CTX_get_security_callback(context->openssl);
  SSL_CTX_set_security_callback(context->openssl, allow);
  SSL_CTX_set0_security_ex_data(context->openssl, context);
  return context;
}

void tls_context_free(struct tls_context *context) {
  if (!context) return;
  SSL_CTX_free(context->openssl);
  free(context->pins);
  free(context);
}

// Whether descriptors or memory ran out, as OpenSSL's first error says.
static bool is_shortage(unsigned long error) {
  int number = ERR_GET_REASON(error);
  return ERR_SYSTEM_ERROR(error) && (number == ENOMEM || number == EMFILE || number == ENFILE);
}

// SSL_CTX_set_default_verify_paths does not tell that it could not read the file: each certificate would be refused then,
// until the table is read again.
bool tls_context_trust_system(struct tls_context *context) {
  const char *file = getenv(X509_get_default_cert_file_env());
  if (!file) file = X509_get_default_cert_file();
  ERR_clear_error();
  tls_is_short_of_memory = false;
  X509_STORE_load_file(SSL_CTX_get_cert_store(context->openssl), file);
  // There may be none, and a directory instead.
  bool is_set = !tls_is_short_of_memory && !is_shortage(ERR_peek_error()) &&
                SSL_CTX_set_default_verify_dir(context->openssl) == 1;
  ERR_clear_error();
  return is_set;
}

void tls_context_share_trust(struct tls_context *context, const struct tls_context *other) {
  SSL_CTX_set1_cert_store(context->openssl, SSL_CTX_get_cert_store(other->openssl));
  X509_VERIFY_PARAM_set_flags(
    SSL_CTX_get0_param(context->openssl), X509_VERIFY_PARAM_get_flags(SSL_CTX_get0_param(other->openssl)));
}

static BIO *memory(const uint8_t *bytes, size_t count) {
  return count > INT_MAX ? NULL : BIO_new_mem_buf(bytes, (int)count);
}

// True when reading stopped because there is no further block, and not at a bad one.
static bool is_end_of_pem(void) {
  unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

// A password is never asked for.
static int refuse_password(char *buffer, int size, int is_writing, void *was_asked) {
  (void)buffer, (void)size, (void)is_writing;
  if (was_asked) *(bool *)was_asked = true;
  return -1;
}

int tls_context_trust(struct tls_context *context, const uint8_t *pem, size_t count) {
  ERR_clear_error();
  BIO *source = memory(pem, count);
  if (!source) return -1;
  X509_STORE *store = SSL_CTX_get_cert_store(context->openssl);
  int trusted = 0;
  X509 *certificate;
  while ((certificate = PEM_read_bio_X509(source, NULL, refuse_password, NULL))) {
    bool is_added = X509_STORE_add_cert(store, certificate) == 1;
    X509_free(certificate);
    if (!is_added) break;
    trusted++;
  }
  // What is named is trusted as it is, an intermediate's or the peer's own certificate too.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context->openssl), X509_V_FLAG_PARTIAL_CHAIN);
  BIO_free(source);
  return is_end_of_pem() ? trusted : -1;
}

static bool use_certificates(SSL_CTX *openssl, BIO *source) {
  X509 *certificate = PEM_read_bio_X509(source, NULL, refuse_password, NULL);
  bool is_used = certificate && SSL_CTX_use_certificate(openssl, certificate) == 1;
  X509_free(certificate);
  if (!is_used) return false;
  while ((certificate = PEM_read_bio_X509(source, NULL, refuse_password, NULL))) {
    // Takes it over.
    if (SSL_CTX_add0_chain_cert(openssl, certificate) != 1) {
      X509_free(certificate);
      return false;
    }
  }
  return is_end_of_pem();
}

enum tls_identity tls_context_identify(
  struct tls_context *context, const uint8_t *certificates, size_t certificates_count, const uint8_t *key,
  size_t key_count) {
  ERR_clear_error();
  enum tls_identity result = TLS_NO_CERTIFICATE;
  bool was_asked = false;
  EVP_PKEY *private_key = NULL;
  BIO *source = memory(certificates, certificates_count);
  if (!source || !use_certificates(context->openssl, source)) goto end;

  result = TLS_NO_KEY;
  BIO_free(source);
  source = memory(key, key_count);
  if (source) private_key = PEM_read_bio_PrivateKey(source, NULL, refuse_password, &was_asked);
  if (was_asked) result = TLS_KEY_ENCRYPTED;
  if (!private_key) goto end;

  result = TLS_KEY_MISMATCH;
  if (X509_check_private_key(SSL_CTX_get0_certificate(context->openssl), private_key) == 1 &&
      SSL_CTX_use_PrivateKey(context->openssl, private_key) == 1)
    result = TLS_IDENTITY_TAKEN;

end:
  EVP_PKEY_free(private_key);
  BIO_free(source);
  ERR_clear_error();
  return result;
}

void tls_context_verify(struct tls_context *context, bool verifies) { context->verifies = verifies; }

bool tls_context_pin(struct tls_context *context, const uint8_t *digests, size_t count) {
  uint8_t *pins = malloc(count * SHA256_DIGEST_LENGTH);
  if (!pins) return false;
  memcpy(pins, digests, count * SHA256_DIGEST_LENGTH);
  free(context->pins);
  context->pins = pins;
  context->pin_count = count;
  return true;
}
