#pragma once

#include <stddef.h>
#include <stdint.h>

/* libFuzzer used as a library; its own header does not come with the toolchain. */
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *data, size_t size));
