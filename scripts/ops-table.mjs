// Writes the index of ops, from the functions of lib: their names by family into README.md, with the first sentence of their comments
// into docs/ops.md. With --check it only says whether both are up to date.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { families } from './ops.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const operations = families();

const names = operations.map(
  ({ family, ops }) => `| ${family} | ${ops.map(({ name }) => `\`${name}\``).join(', ')} |`,
);
const readme = `${root}README.md`;
const [before, rest] = readFileSync(readme, 'utf8').split('<!-- ops:start -->');
const [, after] = rest.split('<!-- ops:end -->');
const table = ['| family | ops |', '| --- | --- |', ...names].join('\n');

const sections = operations.map(
  ({ family, ops }) =>
    `## ${family}\n\n${ops.map(({ name, description }) => `- \`${name}\`: ${description}.`).join('\n')}\n`,
);
const files = {
  [readme]: `${before}<!-- ops:start -->\n\n${table}\n\n<!-- ops:end -->${after}`,
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
