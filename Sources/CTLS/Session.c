#include "Context.h"
#include "Memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// What the peer sends can make one call of OpenSSL last: it goes on for as long as there is something to read. So there is a
// limit to how much a call reads from the socket, in octets. A read of 64 KiB needs 80.
#define TURN (96 * 1024)
// What a message of the handshake takes of it, in octets: its keys are derived in the time that so many are decrypted in.
#define TURN_OF_MESSAGE 1024
// How many of them may come in a row without an octet of data. A server sends two tickets, and few send ten.
#define MESSAGES 32
// With so many octets owed, no record is added: then OpenSSL waits for room, and reads nothing. A record of TLS 1.3 has up to
// 16,645 with its head (RFC 8446 §5.2), and an answer to new keys has 27.
#define OWED (32 * 1024)

struct tls_session {
  SSL *openssl;
  struct tls_session *lower;
  int socket;
  // Why the last read or write below failed.
  struct tls_answer below;
  // How reading ended; OpenSSL itself answers a second read behind a fatal alert as if the end had been said.
  struct tls_answer over;
  // Octets that may still be read from the socket in this turn; that of the lowest session counts.
  int64_t turn;
  // Messages of the handshake since the last octet of data.
  int messages;
  // What was read last below was refused because the turn is over.
  bool is_turn_over;
  // Nothing is left of what has come: the last to ask the socket was a read, and that had no more. A write asks too, when
  // a message of the handshake is not complete. That of the lowest session counts.
  bool is_drained;
  bool is_at_end;
  bool has_said_end;
  bool is_established;
  // Octets of the last write that are in records already, while some of these are owed.
  size_t accepted;
  // What the socket did not take of records that OpenSSL has written: it goes out before anything else.
  uint8_t *owed;
  size_t owed_count;
};

// MARK: - What is below a session

static struct tls_answer answer(enum tls_outcome outcome, int64_t value) {
  return (struct tls_answer){outcome, value};
}

static bool has_failed(struct tls_answer answer) { return answer.outcome >= TLS_SYSTEM; }

static bool is_blocked(struct tls_answer answer) {
  return answer.outcome == TLS_AWAITS_INPUT || answer.outcome == TLS_AWAITS_OUTPUT ||
         answer.outcome == TLS_AWAITS_TURN;
}

static struct tls_session *lowest(struct tls_session *session) {
  while (session->lower) session = session->lower;
  return session;
}

static void begin_turn(struct tls_session *session) { lowest(session)->turn = TURN; }

static struct tls_answer answer_of_call(ssize_t count, enum tls_outcome when_blocked) {
  if (count >= 0) return answer(TLS_DONE, count);
  if (errno == EAGAIN) return answer(when_blocked, 0);
  return answer(TLS_SYSTEM, errno);
}

static struct tls_answer read_within_turn(struct tls_session *session, uint8_t *buffer, size_t count);
static struct tls_answer write_within_turn(struct tls_session *session, const uint8_t *bytes, size_t count);

static struct tls_answer read_below(struct tls_session *session, char *buffer, int count) {
  if (session->messages > MESSAGES) return answer(TLS_FLOOD, 0);
  if (session->lower) return read_within_turn(session->lower, (uint8_t *)buffer, (size_t)count);
  if (session->turn <= 0) return answer(TLS_AWAITS_TURN, 0);
  ssize_t result;
  do result = recv(session->socket, buffer, (size_t)count, 0);
  while (result < 0 && errno == EINTR);
  if (result == 0 && count > 0) return answer(TLS_ENDED, 0);
  if (result > 0) session->turn -= result;
  return answer_of_call(result, TLS_AWAITS_INPUT);
}

static struct tls_answer write_below(struct tls_session *session, const char *bytes, int count) {
  if (session->lower) return write_within_turn(session->lower, (const uint8_t *)bytes, (size_t)count);
  ssize_t result;
  do result = send(session->socket, bytes, (size_t)count, MSG_NOSIGNAL);
  while (result < 0 && errno == EINTR);
  return answer_of_call(result, TLS_AWAITS_OUTPUT);
}

static struct tls_answer write_owed(struct tls_session *session) {
  while (session->owed_count > 0) {
    struct tls_answer sent = write_below(session, (const char *)session->owed, (int)session->owed_count);
    if (sent.outcome != TLS_DONE) return sent;
    session->owed_count -= (size_t)sent.value;
    memmove(session->owed, session->owed + sent.value, session->owed_count);
  }
  free(session->owed);
  session->owed = NULL;
  return answer(TLS_DONE, 0);
}

static struct tls_answer owe(struct tls_session *session, const char *bytes, size_t count) {
  uint8_t *owed = realloc(session->owed, session->owed_count + count);
  if (!owed) return answer(TLS_SYSTEM, ENOMEM);
  memcpy(owed + session->owed_count, bytes, count);
  session->owed = owed;
  session->owed_count += count;
  return answer(TLS_DONE, (int64_t)count);
}

// OpenSSL gets rid of each record at once, whatever the socket takes. As long as it has to write its answer to new keys, it
// reads nothing, and the peer may read nothing before it has written. And if it is asked for new keys twice while it holds
// the rest of a record, it fails (SSL_R_BAD_LENGTH).
static struct tls_answer write_or_owe(struct tls_session *session, const char *bytes, int count) {
  struct tls_answer sent = write_owed(session);
  if (sent.outcome == TLS_DONE) sent = write_below(session, bytes, count);
  if (!session->is_established || session->owed_count > OWED) return sent;
  int64_t taken = sent.outcome == TLS_DONE ? sent.value : 0;
  if (taken == count || has_failed(sent)) return sent;
  struct tls_answer rest = owe(session, bytes + taken, (size_t)(count - taken));
  return rest.outcome == TLS_DONE ? answer(TLS_DONE, count) : rest;
}

// What is the thread's, and not a session's: OpenSSL may have put an error there before it writes the alert that tells the
// peer, and a lower session takes it away. So it is put back.
struct failure {
  unsigned long error;
  bool is_short_of_memory;
};

static struct failure failure_so_far(void) { return (struct failure){ERR_peek_error(), tls_is_short_of_memory}; }

static void begin(void) {
  ERR_clear_error();
  tls_is_short_of_memory = false;
}

static int finish(BIO *bio, struct tls_session *session, struct tls_answer below, struct failure earlier) {
  unsigned long error = earlier.error;
  ERR_clear_error();
  tls_is_short_of_memory = earlier.is_short_of_memory;
  if (error) ERR_raise(ERR_GET_LIB(error), ERR_GET_REASON(error));
  switch (below.outcome) {
    case TLS_DONE: return (int)below.value;
    case TLS_ENDED: session->is_at_end = true; return 0;
    case TLS_AWAITS_TURN: session->is_turn_over = true;  // fall through
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
  struct failure earlier = failure_so_far();
  BIO_clear_retry_flags(bio);
  session->is_turn_over = false;
  struct tls_answer below = read_below(session, buffer, count);
  if (below.outcome != TLS_AWAITS_INPUT && below.outcome != TLS_AWAITS_OUTPUT) lowest(session)->is_drained = false;
  return finish(bio, session, below, earlier);
}

static int bio_write(BIO *bio, const char *bytes, int count) {
  struct tls_session *session = BIO_get_data(bio);
  struct failure earlier = failure_so_far();
  BIO_clear_retry_flags(bio);
  return finish(bio, session, write_or_owe(session, bytes, count), earlier);
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

static BIO_METHOD *make_bio_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
  if (!method) return NULL;
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_control);
  return method;
}

// Made by the first session that gets the memory for it, for all.
static BIO_METHOD *shared_bio_method(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static BIO_METHOD *method;
  pthread_mutex_lock(&lock);
  if (!method) method = make_bio_method();
  BIO_METHOD *result = method;
  pthread_mutex_unlock(&lock);
  return result;
}

static BIO *make_bio(struct tls_session *session) {
  BIO_METHOD *method = shared_bio_method();
  BIO *bio = method ? BIO_new(method) : NULL;
  if (!bio) return NULL;
  BIO_set_data(bio, session);
  BIO_set_init(bio, 1);
  return bio;
}

// MARK: - Sessions

static void count_message(
  int is_written, int version, int type, const void *bytes, size_t count, SSL *openssl, void *argument) {
  (void)version, (void)bytes, (void)count, (void)openssl;
  if (is_written || type != SSL3_RT_HANDSHAKE) return;
  struct tls_session *session = argument;
  session->messages++;
  lowest(session)->turn -= TURN_OF_MESSAGE;
}

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
  SSL_set_msg_callback(session->openssl, count_message);
  SSL_set_msg_callback_arg(session->openssl, session);
  X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(session->openssl), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return session;
}

void tls_session_free(struct tls_session *session) {
  if (!session) return;
  SSL_free(session->openssl);
  free(session->owed);
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
    case SSL_ERROR_WANT_READ: return answer(session->is_turn_over ? TLS_AWAITS_TURN : TLS_AWAITS_INPUT, 0);
    case SSL_ERROR_WANT_WRITE: return answer(TLS_AWAITS_OUTPUT, 0);
    case SSL_ERROR_ZERO_RETURN: return answer(TLS_ENDED, 0);
    default: break;
  }
  int reason = ERR_GET_REASON(error);
  if (tls_is_short_of_memory) return answer(TLS_SYSTEM, ENOMEM);
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

// OpenSSL names the peer's end before all else: also when a handshake comes to nothing by it, and when a write fails after it.
static struct tls_answer answer_of_failure_beside_reading(struct tls_session *session, int result,
                                                          struct tls_answer at_end) {
  struct tls_answer failure = answer_of_failure(session, result);
  if (failure.outcome != TLS_ENDED) return failure;
  return has_failed(session->below) ? session->below : at_end;
}

static struct tls_answer handshake_within_turn(struct tls_session *session) {
  begin();
  int result = SSL_do_handshake(session->openssl);
  if (result != 1) return answer_of_failure_beside_reading(session, result, answer(TLS_TRUNCATED, 0));
  session->is_established = true;
  return answer(TLS_DONE, 0);
}

struct tls_answer tls_session_handshake(struct tls_session *session) {
  begin_turn(session);
  return handshake_within_turn(session);
}

static struct tls_answer read_within_turn(struct tls_session *session, uint8_t *buffer, size_t count) {
  size_t total = 0;
  lowest(session)->is_drained = false;
  while (total < count && session->over.outcome == TLS_DONE) {
    size_t got = 0;
    begin();
    int result = SSL_read_ex(session->openssl, buffer + total, count - total, &got);
    total += got;
    if (result == 1) {
      session->messages = 0;
      continue;
    }
    struct tls_answer failure = answer_of_failure(session, result);
    if (is_blocked(failure)) {
      lowest(session)->is_drained = failure.outcome != TLS_AWAITS_TURN;
      return total > 0 ? answer(TLS_DONE, (int64_t)total) : failure;
    }
    session->over = failure;
  }
  return total > 0 ? answer(TLS_DONE, (int64_t)total) : session->over;
}

struct tls_answer tls_session_read(struct tls_session *session, uint8_t *buffer, size_t count) {
  begin_turn(session);
  return read_within_turn(session, buffer, count);
}

bool tls_session_is_drained(const struct tls_session *session) {
  while (session->lower) session = session->lower;
  return session->is_drained;
}

static struct tls_answer write_within_turn(struct tls_session *session, const uint8_t *bytes, size_t count) {
  if (has_failed(session->over)) return session->over;
  size_t total = 0;
  while (total < count) {
    struct tls_answer sent = write_owed(session);
    if (sent.outcome == TLS_DONE && session->accepted == 0) {
      begin();
      int result = SSL_write_ex(session->openssl, bytes + total, count - total, &session->accepted);
      if (result == 1) continue;
      session->accepted = 0;
      sent = answer_of_failure_beside_reading(session, result, answer(TLS_SYSTEM, EPIPE));
    }
    if (sent.outcome != TLS_DONE) return total > 0 ? answer(TLS_DONE, (int64_t)total) : sent;
    total += session->accepted;
    session->accepted = 0;
  }
  return answer(TLS_DONE, (int64_t)total);
}

struct tls_answer tls_session_write(struct tls_session *session, const uint8_t *bytes, size_t count) {
  begin_turn(session);
  return write_within_turn(session, bytes, count);
}

static struct tls_answer say_end(struct tls_session *session) {
  // A message of the handshake that came after it is not complete: close_notify must not be sent within it.
  if (SSL_in_init(session->openssl)) {
    struct tls_answer handshake = handshake_within_turn(session);
    if (handshake.outcome != TLS_DONE) return handshake;
  }
  begin();
  int result = SSL_shutdown(session->openssl);
  return result >= 0 ? answer(TLS_DONE, 0) : answer_of_failure(session, result);
}

struct tls_answer tls_session_end(struct tls_session *session) {
  begin_turn(session);
  for (; session; session = session->lower) {
    if (!session->has_said_end) {
      struct tls_answer said = say_end(session);
      if (is_blocked(said)) return said;
      session->has_said_end = true;
    }
    struct tls_answer sent = write_owed(session);
    if (is_blocked(sent)) return sent;
  }
  return answer(TLS_DONE, 0);
}

const char *tls_session_version(const struct tls_session *session) { return SSL_get_version(session->openssl); }
