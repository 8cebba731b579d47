#ifndef CTLS_MEMORY_H
#define CTLS_MEMORY_H

#include <stdbool.h>

// Set when OpenSSL was refused memory on this thread; to be cleared before it is called. It does not always tell: some of
// its functions say only that they have failed, as if the peer had sent what they cannot read.
extern _Thread_local bool tls_is_short_of_memory;

#endif
