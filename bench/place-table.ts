/**
 * Puts the tables of bench/results between their markers of README.md, table.md and spherical.md between
 *
 *     <!-- bench:start -->          <!-- spherical:start -->
 *     <!-- bench:end -->            <!-- spherical:end -->
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const readme = file('../README.md');
let text = readFileSync(readme, 'utf8');
for (const [name, source] of [
  ['bench', 'table'],
  ['spherical', 'spherical'],
]) {
  const start = `<!-- ${name}:start -->`;
  const from = text.indexOf(start);
  const to = text.indexOf(`<!-- ${name}:end -->`);
  if (from < 0 || to < from) throw new Error(`README.md lacks the markers ${start} and its end`);
  const table = readFileSync(file(`./results/${source}.md`), 'utf8').trim();
  text = `${text.slice(0, from + start.length)}\n\n${table}\n\n${text.slice(to)}`;
}
writeFileSync(readme, text);
