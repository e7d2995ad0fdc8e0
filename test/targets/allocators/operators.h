// What main.go calls of operators.cc.
#ifndef ALLOCATORS_OPERATORS_H_
#define ALLOCATORS_OPERATORS_H_

#ifdef __cplusplus
extern "C" {
#endif

void keep_blocks(void);
void release_blocks(void);

// 1: each attempt failed as it must.
int fail_to_allocate(void);

// Allocates here and there, releases there and here. 1: the library could be loaded.
int use_plugin(const char* path);

#ifdef __cplusplus
}
#endif

#endif  // ALLOCATORS_OPERATORS_H_
