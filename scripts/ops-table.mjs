// Writes the index of ops, from the functions of lib: their names by family into README.md, those of logitcore/cuda once more, and with the
// first sentence of their comments into docs/ops.md. With --check it only says whether both are up to date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { families } from './ops.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const operations = families();

/** A table of the families that have any of these ops. */
const tableOf = (chosen) =>
  [
    '| family | ops |',
    '| --- | --- |',
    ...operations
      .map(({ family, ops }) => [family, ops.map(({ name }) => name).filter(chosen)])
      .filter(([, ops]) => ops.length > 0)
      .map(([family, ops]) => `| ${family} | ${ops.map((name) => `\`${name}\``).join(', ')} |`),
  ].join('\n');

/** The text with `content` between the marks of that name. */
function between(text, mark, content) {
  const [start, end] = [`<!-- ${mark}:start -->`, `<!-- ${mark}:end -->`];
  const [before, rest] = text.split(start);
  const [, after] = rest.split(end);
  return `${before}${start}\n\n${content}\n\n${end}${after}`;
}

const device = readdirSync(`${root}lib/cuda/ops`)
  .map((file) => readFileSync(`${root}lib/cuda/ops/${file}`, 'utf8'))
  .join('\n');
const onDevice = new Set([...device.matchAll(/^export const (\w+)/gm)].map(([, name]) => name));
const readme = `${root}README.md`;

const sections = operations.map(
  ({ family, ops }) =>
    `## ${family}\n\n${ops.map(({ name, description }) => `- \`${name}\`: ${description}.`).join('\n')}\n`,
);
const files = {
  [readme]: between(
    between(
      readFileSync(readme, 'utf8'),
      'ops',
      tableOf(() => true),
    ),
    'cuda',
    tableOf((name) => onDevice.has(name)),
  ),
  [`${root}docs/ops.md`]: `# Ops\n\nSignatures, options and errors are in the comments that editors show.\n\n${sections.join('\n')}`,
};

for (const [file, raw] of Object.entries(files)) {
  const text = await format(raw, { ...(await resolveConfig(file)), filepath: file });
  if (!process.argv.includes('--check')) writeFileSync(file, text);
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    console.error(`${file} is not up to date: run node scripts/ops-table.mjs`);
    process.exitCode = 1;
  }
}
