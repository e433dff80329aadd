/**
 * Puts spherical.md of bench/results, and of table.md what it says first and the tables of two ops, between their markers of README.md:
 *
 *     <!-- bench:start -->          <!-- spherical:start -->
 *     <!-- bench:end -->            <!-- spherical:end -->
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const readme = file('../README.md');
const shown = ['crossEntropy+grad', 'logSoftmax'];

/** Of a page with a part for each op: what stands before the parts, and those that are shown. */
function abridged(page: string): string {
  const [intro, ...parts] = page.split(/^(?=### )/m);
  return [intro, ...parts.filter((part) => shown.includes(part.split('\n')[0].slice(4)))].join('');
}

let text = readFileSync(readme, 'utf8');
for (const [name, source] of [
  ['bench', 'table'],
  ['spherical', 'spherical'],
]) {
  const start = `<!-- ${name}:start -->`;
  const from = text.indexOf(start);
  const to = text.indexOf(`<!-- ${name}:end -->`);
  if (from < 0 || to < from) throw new Error(`README.md lacks the markers ${start} and its end`);
  const table = abridged(readFileSync(file(`./results/${source}.md`), 'utf8')).trim();
  text = `${text.slice(0, from + start.length)}\n\n${table}\n\n${text.slice(to)}`;
}
writeFileSync(readme, text);
