#include "CTLS.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct tls_context {
  SSL_CTX *openssl;
  bool verifies;
  uint8_t *pins;
  size_t pin_count;
};

struct tls_session {
  SSL *openssl;
  struct tls_session *lower;
  int socket;
  // Why the last read or write below failed.
  struct tls_answer below;
  // How reading ended; OpenSSL itself answers a second read behind a fatal alert as if the end had been said.
  struct tls_answer over;
  // Nothing is left of what has come: the last read asked the socket, and that had no more.
  bool is_drained;
  bool is_at_end;
  bool has_said_end;
};

const int tls_expired = X509_V_ERR_CERT_HAS_EXPIRED, tls_not_yet_valid = X509_V_ERR_CERT_NOT_YET_VALID,
          tls_self_signed = X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
          tls_self_signed_in_chain = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
          tls_wrong_name = X509_V_ERR_HOSTNAME_MISMATCH, tls_wrong_address = X509_V_ERR_IP_ADDRESS_MISMATCH,
          tls_not_pinned = X509_V_ERR_APPLICATION_VERIFICATION,
          tls_no_issuer = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
          tls_no_local_issuer = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
          tls_unable_to_verify_leaf = X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;

// MARK: - What is below a session

static struct tls_answer answer(enum tls_outcome outcome, int64_t value) {
  return (struct tls_answer){outcome, value};
}

static bool has_failed(struct tls_answer answer) { return answer.outcome >= TLS_SYSTEM; }

static bool is_blocked(struct tls_answer answer) {
  return answer.outcome == TLS_AWAITS_INPUT || answer.outcome == TLS_AWAITS_OUTPUT;
}

static struct tls_answer answer_of_call(ssize_t count, enum tls_outcome when_blocked) {
  if (count >= 0) return answer(TLS_DONE, count);
  if (errno == EAGAIN) return answer(when_blocked, 0);
  return answer(TLS_SYSTEM, errno);
}

static struct tls_answer read_below(struct tls_session *session, char *buffer, int count) {
  if (session->lower) return tls_session_read(session->lower, (uint8_t *)buffer, (size_t)count);
  ssize_t result;
  do result = recv(session->socket, buffer, (size_t)count, 0);
  while (result < 0 && errno == EINTR);
  if (result == 0 && count > 0) return answer(TLS_ENDED, 0);
  return answer_of_call(result, TLS_AWAITS_INPUT);
}

static struct tls_answer write_below(struct tls_session *session, const char *bytes, int count) {
  if (session->lower) return tls_session_write(session->lower, (const uint8_t *)bytes, (size_t)count);
  ssize_t result;
  do result = send(session->socket, bytes, (size_t)count, MSG_NOSIGNAL);
  while (result < 0 && errno == EINTR);
  return answer_of_call(result, TLS_AWAITS_OUTPUT);
}

// The queue of errors is the thread's, not the session's: OpenSSL may have put an error there before it writes the
// alert that tells the peer, and a lower session empties it. So it is put back.
static int finish(BIO *bio, struct tls_session *session, struct tls_answer below, unsigned long error) {
  ERR_clear_error();
  if (error) ERR_raise(ERR_GET_LIB(error), ERR_GET_REASON(error));
  switch (below.outcome) {
    case TLS_DONE: return (int)below.value;
    case TLS_ENDED: session->is_at_end = true; return 0;
    case TLS_AWAITS_INPUT: BIO_set_retry_read(bio); return -1;
    case TLS_AWAITS_OUTPUT: BIO_set_retry_write(bio); return -1;
    default:
      // If the last words do not reach the peer, that is not why they were said.
      if (!error) session->below = below;
      return -1;
  }
}

static int bio_read(BIO *bio, char *buffer, int count) {
  struct tls_session *session = BIO_get_data(bio);
  unsigned long error = ERR_peek_error();
  BIO_clear_retry_flags(bio);
  return finish(bio, session, read_below(session, buffer, count), error);
}

static int bio_write(BIO *bio, const char *bytes, int count) {
  struct tls_session *session = BIO_get_data(bio);
  unsigned long error = ERR_peek_error();
  BIO_clear_retry_flags(bio);
  return finish(bio, session, write_below(session, bytes, count), error);
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)number, (void)pointer;
  struct tls_session *session = BIO_get_data(bio);
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return session->is_at_end;
    default: return 0;
  }
}

static BIO_METHOD *bio_method;

static void make_bio_method(void) {
  bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
  if (!bio_method) return;
  BIO_meth_set_read(bio_method, bio_read);
  BIO_meth_set_write(bio_method, bio_write);
  BIO_meth_set_ctrl(bio_method, bio_control);
}

static BIO *make_bio(struct tls_session *session) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_bio_method);
  BIO *bio = bio_method ? BIO_new(bio_method) : NULL;
  if (!bio) return NULL;
  BIO_set_data(bio, session);
  BIO_set_init(bio, 1);
  return bio;
}

// MARK: - Contexts

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

// In the place of OpenSSL's own verification, so that a peer without the right key learns nothing of us.
static int verify(X509_STORE_CTX *store, void *argument) {
  const struct tls_context *context = argument;
  if (context->verifies && X509_verify_cert(store) != 1) return 0;
  X509 *certificate = X509_STORE_CTX_get0_cert(store);
  if (context->pin_count == 0 || (certificate && is_pinned(context, certificate))) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
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
  SSL_CTX_set_options(context->openssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(
    context->openssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_session_cache_mode(context->openssl, SSL_SESS_CACHE_OFF);
  // Else the head of each record is a system call of its own.
  SSL_CTX_set_read_ahead(context->openssl, 1);
  SSL_CTX_set_verify(context->openssl, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_cert_verify_callback(context->openssl, verify, context);
  return context;
}

void tls_context_free(struct tls_context *context) {
  if (!context) return;
  SSL_CTX_free(context->openssl);
  free(context->pins);
  free(context);
}

bool tls_context_trust_system(struct tls_context *context) {
  bool is_set = SSL_CTX_set_default_verify_paths(context->openssl) == 1;
  ERR_clear_error();
  return is_set;
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

// MARK: - Sessions

struct tls_session *tls_session_create(const struct tls_context *context, int socket, struct tls_session *lower) {
  struct tls_session *session = calloc(1, sizeof *session);
  if (!session) return NULL;
  session->socket = socket;
  session->lower = lower;
  session->openssl = SSL_new(context->openssl);
  BIO *bio = session->openssl ? make_bio(session) : NULL;
  ERR_clear_error();
  if (!bio) {
    tls_session_free(session);
    return NULL;
  }
  SSL_set_bio(session->openssl, bio, bio);
  SSL_set_connect_state(session->openssl);
  X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(session->openssl), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return session;
}

void tls_session_free(struct tls_session *session) {
  if (!session) return;
  SSL_free(session->openssl);
  free(session);
}

bool tls_session_expect_name(struct tls_session *session, const char *name, bool sends_it) {
  bool is_set = SSL_set1_host(session->openssl, name) == 1 &&
                (!sends_it || SSL_set_tlsext_host_name(session->openssl, name) == 1);
  ERR_clear_error();
  return is_set;
}

bool tls_session_expect_address(struct tls_session *session, const uint8_t *octets, size_t count) {
  bool is_set = X509_VERIFY_PARAM_set1_ip(SSL_get0_param(session->openssl), octets, count) == 1;
  ERR_clear_error();
  return is_set;
}

static struct tls_answer explain(struct tls_session *session, int kind, unsigned long error) {
  switch (kind) {
    case SSL_ERROR_WANT_READ: return answer(TLS_AWAITS_INPUT, 0);
    case SSL_ERROR_WANT_WRITE: return answer(TLS_AWAITS_OUTPUT, 0);
    case SSL_ERROR_ZERO_RETURN: return answer(TLS_ENDED, 0);
    default: break;
  }
  int reason = ERR_GET_REASON(error);
  bool is_of_tls = error && ERR_GET_LIB(error) == ERR_LIB_SSL;
  if (is_of_tls && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
    return answer(TLS_CERTIFICATE, SSL_get_verify_result(session->openssl));
  if (is_of_tls && reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
    return answer(TLS_ALERT, reason - SSL_AD_REASON_OFFSET);
  if (is_of_tls && reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return has_failed(session->below) ? session->below : answer(TLS_TRUNCATED, 0);
  if (is_of_tls && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST))
    return answer(TLS_NOT_TLS, 0);
  if (has_failed(session->below)) return session->below;
  if (kind == SSL_ERROR_SYSCALL) return answer(TLS_SYSTEM, EPROTO);
  return answer(TLS_VIOLATION, (int64_t)error);
}

static struct tls_answer answer_of_failure(struct tls_session *session, int result) {
  int kind = SSL_get_error(session->openssl, result);
  unsigned long error = ERR_peek_error();
  ERR_clear_error();
  return explain(session, kind, error);
}

struct tls_answer tls_session_handshake(struct tls_session *session) {
  ERR_clear_error();
  int result = SSL_do_handshake(session->openssl);
  return result == 1 ? answer(TLS_DONE, 0) : answer_of_failure(session, result);
}

struct tls_answer tls_session_read(struct tls_session *session, uint8_t *buffer, size_t count) {
  size_t total = 0;
  session->is_drained = false;
  while (total < count && session->over.outcome == TLS_DONE) {
    size_t got = 0;
    ERR_clear_error();
    int result = SSL_read_ex(session->openssl, buffer + total, count - total, &got);
    total += got;
    if (result == 1) continue;
    struct tls_answer failure = answer_of_failure(session, result);
    if (is_blocked(failure)) {
      session->is_drained = true;
      return total > 0 ? answer(TLS_DONE, (int64_t)total) : failure;
    }
    session->over = failure;
  }
  return total > 0 ? answer(TLS_DONE, (int64_t)total) : session->over;
}

bool tls_session_is_drained(const struct tls_session *session) { return session->is_drained; }

struct tls_answer tls_session_write(struct tls_session *session, const uint8_t *bytes, size_t count) {
  if (has_failed(session->over)) return session->over;
  size_t total = 0;
  while (total < count) {
    size_t taken = 0;
    ERR_clear_error();
    int result = SSL_write_ex(session->openssl, bytes + total, count - total, &taken);
    if (result == 1) {
      total += taken;
      continue;
    }
    if (total > 0) break;
    return answer_of_failure(session, result);
  }
  return answer(TLS_DONE, (int64_t)total);
}

static struct tls_answer say_end(struct tls_session *session) {
  // A message of the handshake that came after it, and is not over: the end must not stand within it.
  if (SSL_in_init(session->openssl)) {
    struct tls_answer handshake = tls_session_handshake(session);
    if (handshake.outcome != TLS_DONE) return handshake;
  }
  ERR_clear_error();
  int result = SSL_shutdown(session->openssl);
  return result >= 0 ? answer(TLS_DONE, 0) : answer_of_failure(session, result);
}

struct tls_answer tls_session_end(struct tls_session *session) {
  for (; session; session = session->lower) {
    if (session->has_said_end) continue;
    struct tls_answer said = say_end(session);
    if (is_blocked(said)) return said;
    session->has_said_end = true;
  }
  return answer(TLS_DONE, 0);
}

const char *tls_session_version(const struct tls_session *session) { return SSL_get_version(session->openssl); }

bool tls_decode_base64(const uint8_t *digits, size_t count, uint8_t *octets) {
  return EVP_DecodeBlock(octets, digits, (int)count) == (int)(count / 4 * 3);
}

// MARK: - Words

const char *tls_alert_text(int alert) { return SSL_alert_desc_string_long(alert); }

const char *tls_certificate_text(int error) { return X509_verify_cert_error_string(error); }

const char *tls_violation_text(int64_t error) {
  const char *text = ERR_reason_error_string((unsigned long)error);
  return text ? text : "unknown error";
}
