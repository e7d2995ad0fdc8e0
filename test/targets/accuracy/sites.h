// The C sites of the accuracy target. sites.json says what each must show; a marker comment names each line.
#ifndef SITES_H_
#define SITES_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Keeps a pointer reachable for as long as the program lives, and stops the compiler from leaving out the allocation.
void keep(void* block);

// Each leaks (or, where its comment says so, frees) its blocks once.
void leak_plain(void);
void leak_inlined(void);
void leak_calloc(void);
void leak_realloc_chain(void);
void leak_posix_memalign(void);
void leak_aligned_alloc(void);
void leak_strdup(void);
void leak_new(void);
void leak_new_array(void);
void leak_in_library(void);
void leak_in_pthread(void);
void leak_deep(void);
void free_on_other_thread(void);
void free_honestly(void);

// Called by Go from a callback that C called: leaks one block.
void leak_in_callback(void);

#ifdef __cplusplus
}
#endif

#endif
