// Writes the generated part of the serve-load target: node generate.mjs FOLDER
//
// A number's digits, in base 10, choose the way from walk to allocate: 16 levels of 10 functions, each of which calls the
// next level from 10 lines. So 10,000 numbers are 10,000 stacks of 20 frames, by some 1,500 lines.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LEVELS = 16;
const WAYS = 10;

const numbers = (count) => Array.from({ length: count }, (_, i) => i);

/** What a level calls for the digit: the next level's functions, the last one the allocation. */
const call = (level, digit) =>
  level + 1 === LEVELS ? 'allocate()' : `level${level + 1}Way${digit}(n / ${WAYS} + n % ${WAYS} * 1000)`;
const cases = (level) =>
  numbers(WAYS)
    .map((digit) => `\tcase ${digit}:\n\t\t${call(level, digit)}`)
    .join('\n');
const fn = (level, way) =>
  `//go:noinline\nfunc level${level}Way${way}(n int) {\n\tswitch n % ${WAYS} {\n${cases(level)}\n\t}\n}\n`;

const functions = numbers(LEVELS).flatMap((level) => numbers(WAYS).map((way) => fn(level, way)));
const walk = `//go:noinline\nfunc walk(n int) {\n\tlevel0Way0(n)\n}\n`;
writeFileSync(join(process.argv[2], 'generated.go'), `package main\n\n${walk}\n${functions.join('\n')}`);
