/**
 * Puts bench/results/table.md between the markers of README.md:
 *
 *     <!-- bench:start -->
 *     <!-- bench:end -->
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const readme = file('../README.md');
const start = '<!-- bench:start -->';
const end = '<!-- bench:end -->';

const text = readFileSync(readme, 'utf8');
const from = text.indexOf(start);
const to = text.indexOf(end);
if (from < 0 || to < from) throw new Error(`README.md lacks the markers ${start} and ${end}`);
const table = readFileSync(file('./results/table.md'), 'utf8').trim();
writeFileSync(readme, `${text.slice(0, from + start.length)}\n\n${table}\n\n${text.slice(to)}`);
