// Writing Markdown: tables, and one section of a file that has others.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** A table whose first column is text and whose others are figures. */
export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), `|---|${'---:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n');
}

/** Puts `text` in the place of the section of that name, up to the next heading of its level; at the end if it is new. */
export function replaceSection(file, heading, text) {
  const old = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const start = old.split('\n').indexOf(heading);
  const lines = old.trimEnd().split('\n');
  const from = start < 0 ? lines.length : start;
  const length = lines.slice(from + 1).findIndex((line) => line.startsWith('## '));
  const rest = start < 0 || length < 0 ? [] : ['', ...lines.slice(from + 1 + length)];
  const before = start < 0 ? [...lines, ''] : lines.slice(0, from);
  writeFileSync(file, `${[...before, heading, '', ...text.trimEnd().split('\n'), ...rest].join('\n')}\n`);
}
