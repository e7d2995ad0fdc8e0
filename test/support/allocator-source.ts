/** C of an allocator whose operators new and delete call its malloc and free by no name that could be hooked. */
export const ALLOCATOR = `#include <stddef.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), __libc_free(void *);
void *malloc(size_t n) { return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
void free(void *p) { __libc_free(p); }
void *_Znwm(size_t n) { return __libc_malloc(n); }
void _ZdlPv(void *p) { __libc_free(p); }
`;
