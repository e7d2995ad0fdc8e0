// Writes the generated part of the big target: node generate.mjs FOLDER
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LEAKS = 500;
const C_FILES = 16;
const C_FUNCTIONS_PER_FILE = 700;
const GO_PACKAGES = 16;
const GO_FUNCTIONS_PER_PACKAGE = 1000;

const numbers = (count) => Array.from({ length: count }, (_, i) => i);
const lines = (count, line) => numbers(count).map(line).join('\n');

const header = `#ifndef GENERATED_H_
#define GENERATED_H_
#include <stddef.h>
void leak_all(size_t size);
int filler_sum(void);
${lines(C_FILES, (file) => `int filler_${file}(int x);`)}
#endif
`;

const leaks = `#include "generated.h"
#include <stdlib.h>
static void *volatile last;
${lines(LEAKS, (i) => `__attribute__((noinline)) void leak_${i}(size_t size) {\n  last = malloc(size);\n}`)}
void leak_all(size_t size) {
${lines(LEAKS, (i) => `  leak_${i}(size);`)}
  last = NULL;
}
int filler_sum(void) {
  int sum = 0;
${lines(C_FILES, (file) => `  sum += filler_${file}(${file});`)}
  return sum;
}
`;

/** One C function with types, locals, scopes and an inlined call of its own, so that it has debug information to match. */
const cFunction = (file, i) => `
struct record_${i} { int id, count; char name[${16 + (i % 32)}]; struct record_${i} *next; double weight; };
static inline int weigh_${i}(const struct record_${i} *record, int scale) {
  int total = 0;
  for (const struct record_${i} *r = record; r; r = r->next) {
    int part = r->count * scale + (int)(r->weight * ${i + 1});
    if (part > total) { int excess = part - total; total += excess / 2 + r->name[${i % 16}]; }
  }
  return total;
}
__attribute__((noinline)) static int work_${i}(int x) {
  struct record_${i} first = {x, x + ${i}, "n", NULL, 1.5}, second = {x + 1, ${i}, "m", &first, 2.5};
  int low = weigh_${i}(&first, x), high = weigh_${i}(&second, x + ${file});
  switch (x & 7) {
    case 0: return low + high;
    case 1: return low - high;
    case 2: return low ^ high;
    case 3: return low | ${i};
    default: return low & high;
  }
}`;

const cFile = (file) => `#include "generated.h"
${lines(C_FUNCTIONS_PER_FILE, (i) => cFunction(file, i))}
int filler_${file}(int x) {
${lines(C_FUNCTIONS_PER_FILE, (i) => `  x += work_${i}(x);`)}
  return x;
}
`;

const goFunction = (i) => `
type record${i} struct {
	id, count int
	name string
	tags map[string]int
	next *record${i}
}

func (r *record${i}) weigh(scale int) (total int) {
	for ; r != nil; r = r.next {
		if part := r.count*scale + len(r.name); part > total {
			total += part/2 + r.tags[r.name]
		}
	}
	return total
}

func work${i}(x int) int {
	first := &record${i}{id: x, count: ${i}, name: fmt.Sprintf("record %d of %d", x, ${i}), tags: map[string]int{"a": x}}
	second := &record${i}{id: x + 1, count: x, name: strings.Repeat(first.name, x&3), tags: first.tags, next: first}
	parts := strings.Fields(second.name)
	sort.Slice(parts, func(a, b int) bool { return parts[a] < parts[b] || second.weigh(a) < first.weigh(b) })
	for index, part := range parts {
		second.tags[part] += index + first.weigh(index)
	}
	return second.weigh(x) + len(parts)
}`;

const goPackage = (number) => `package p${number}

import (
	"fmt"
	"sort"
	"strings"
)

// Work is the table that keeps every function in the binary.
var Work = []func(int) int{
${lines(GO_FUNCTIONS_PER_PACKAGE, (i) => `\twork${i},`)}
}
${lines(GO_FUNCTIONS_PER_PACKAGE, goFunction)}
`;

const goIndex = `package filler

import (
${lines(GO_PACKAGES, (p) => `\t"big/filler/p${p}"`)}
)

// Sum calls one function of each package.
func Sum() (sum int) {
${lines(GO_PACKAGES, (p) => `\tsum += p${p}.Work[${p}](${p})`)}
	return sum
}
`;

const folder = process.argv[2];
const write = (name, text) => {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
};
write('generated.h', header);
write('leaks.c', leaks);
for (const file of numbers(C_FILES)) write(`filler_${file}.c`, cFile(file));
write('filler/filler.go', goIndex);
for (const number of numbers(GO_PACKAGES)) write(`filler/p${number}/p${number}.go`, goPackage(number));
