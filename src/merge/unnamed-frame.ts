/**
 * Names for frames that have none.
 *
 * pprof shows every unnamed location of a file as one node, `[libfoo.so]`, and drops the address from all views but
 * -addresses. Two leaks in a stripped library would become one. So each gets a name that keeps it apart and that a
 * person can look up: `[libfoo.so+0x1234]` is what `addr2line -e libfoo.so 0x1234` wants.
 */
import { basename } from 'node:path';

/**
 * @param file Path of the ELF image; '' when no module is known, and the address is a run-time one.
 * @param address ELF virtual address, inside the call (return address - 1).
 */
export function addressName(file: string, address: bigint): string {
  const hex = `0x${BigInt.asUintN(64, address).toString(16)}`;
  if (file === '') return `[${hex}]`;
  const name = basename(file).replace(/^\[(.*)\]$/, '$1'); // the kernel's own are called [vdso], [vsyscall]
  return `[${name}+${hex}]`;
}
