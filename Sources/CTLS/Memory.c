#include "Memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>

_Thread_local bool tls_is_short_of_memory;

static void *checked(void *memory, size_t size) {
  if (!memory && size > 0) tls_is_short_of_memory = true;
  return memory;
}

static void *allocate(size_t size, const char *file, int line) {
  (void)file, (void)line;
  return checked(malloc(size), size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line) {
  (void)file, (void)line;
  return checked(realloc(memory, size), size);
}

static void release(void *memory, const char *file, int line) {
  (void)file, (void)line;
  free(memory);
}

// OpenSSL takes them before its first allocation only.
__attribute__((constructor)) static void watch(void) { CRYPTO_set_mem_functions(allocate, reallocate, release); }
