#ifndef CTLS_CONTEXT_H
#define CTLS_CONTEXT_H

#include "CTLS.h"

#include <openssl/ssl.h>

struct tls_context {
  SSL_CTX *openssl;
  // What OpenSSL allows by itself.
  int (*allow)(const SSL *, const SSL_CTX *, int, int, int, void *, void *);
  bool verifies;
  uint8_t *pins;
  size_t pin_count;
};

#endif
