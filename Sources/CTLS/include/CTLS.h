// TLS as a client, over OpenSSL: the part that OpenSSL leaves to macros, callbacks and its queue of errors.
//
// A session never waits: it says what it awaits. Nothing here raises SIGPIPE, asks at a terminal or reads a file,
// but for the system's own certificates.

#ifndef CTLS_H
#define CTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_outcome {
  TLS_DONE,            // the value is a count of octets
  TLS_ENDED,           // the peer said that no more will follow
  TLS_AWAITS_INPUT,    // try again once the descriptor is readable
  TLS_AWAITS_OUTPUT,   // try again once it is writable
  TLS_AWAITS_TURN,     // try again when others on the thread had a turn: the peer sends without end
  TLS_SYSTEM,          // the value is an errno
  TLS_TRUNCATED,       // the stream ended without the peer saying so
  TLS_ALERT,           // the peer refused; the value is its alert
  TLS_CERTIFICATE,     // the peer was refused; the value is OpenSSL's X509_V_ERR
  TLS_NOT_TLS,         // what came first is no TLS
  TLS_FLOOD,           // the peer sent too many tickets, new keys or the like in a row, without data
  TLS_VIOLATION,       // the value is OpenSSL's error
};

struct tls_answer {
  enum tls_outcome outcome;
  int64_t value;
};

// What is demanded of peers, and shown to them. To be shared among threads once it is set up.
struct tls_context;

enum tls_identity {
  TLS_IDENTITY_TAKEN,
  TLS_NO_CERTIFICATE,
  TLS_NO_KEY,
  TLS_KEY_ENCRYPTED,
  TLS_KEY_MISMATCH,
};

struct tls_context *tls_context_create(void);
void tls_context_free(struct tls_context *context);
bool tls_context_trust_system(struct tls_context *context);
// Trusts what `other` trusts, and keeps it once for both. `other` trusts something, and no more is added to it.
void tls_context_share_trust(struct tls_context *context, const struct tls_context *other);
// Trusts the certificates in PEM, and answers how many there are; -1 when one of them cannot be read.
int tls_context_trust(struct tls_context *context, const uint8_t *pem, size_t count);
enum tls_identity tls_context_identify(
  struct tls_context *context, const uint8_t *certificates, size_t certificates_count, const uint8_t *key,
  size_t key_count);
// Whether certificates are verified at all. Pins are compared in any case.
void tls_context_verify(struct tls_context *context, bool verifies);
// SHA-256 digests of public keys, 32 octets each, of which the peer's must be one.
bool tls_context_pin(struct tls_context *context, const uint8_t *digests, size_t count);

// One connection: over a non-blocking socket, or if `lower` is given, within that session. Both must outlive it.
struct tls_session;

struct tls_session *tls_session_create(const struct tls_context *context, int socket, struct tls_session *lower);
void tls_session_free(struct tls_session *session);
bool tls_session_expect_name(struct tls_session *session, const char *name, bool sends_it);
bool tls_session_expect_address(struct tls_session *session, const uint8_t *octets, size_t count);
struct tls_answer tls_session_handshake(struct tls_session *session);
// Reads until the buffer is full, or as far as it gets.
struct tls_answer tls_session_read(struct tls_session *session, uint8_t *buffer, size_t count);
// False while reading may give more without the descriptor becoming readable once more.
bool tls_session_is_drained(const struct tls_session *session);
// Writes as much as the socket takes. What was not taken is to be written again first, the same octets.
struct tls_answer tls_session_write(struct tls_session *session, const uint8_t *bytes, size_t count);
// Says that no more will follow, in this session and then in those below it.
struct tls_answer tls_session_end(struct tls_session *session);
const char *tls_session_version(const struct tls_session *session);

// Three octets for each four digits; false when some are none.
bool tls_decode_base64(const uint8_t *digits, size_t count, uint8_t *octets);

// OpenSSL's words, which last for ever.
const char *tls_alert_text(int alert);
const char *tls_certificate_text(int error);
const char *tls_violation_text(int64_t error);

// X509_V_ERR_… that are told apart.
extern const int tls_expired, tls_not_yet_valid, tls_self_signed, tls_self_signed_in_chain, tls_wrong_name,
  tls_wrong_address, tls_not_pinned, tls_key_too_large, tls_no_issuer, tls_no_local_issuer, tls_unable_to_verify_leaf;

#endif
