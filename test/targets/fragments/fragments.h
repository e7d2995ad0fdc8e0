#pragma once

#include <stddef.h>

void fragment(void);

// Bytes of free blocks, by malloc's own account.
size_t unused(void);
