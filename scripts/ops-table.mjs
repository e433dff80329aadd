// Writes the table of ops into README.md, from the functions of lib and the first sentence of their comments.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const index = readFileSync(`${root}lib/index.ts`, 'utf8');
const families = [...index.matchAll(/export \* from '\.\/(\w+)\.js'/g)].map(([, name]) => name);

const rows = families.map((family) => {
  const source = readFileSync(`${root}lib/${family}.ts`, 'utf8');
  const functions = [...source.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\nexport function (\w+)/g)];
  const ops = functions.map(([, comment, name]) => {
    const text = comment
      .replace(/^\s*\* ?/gm, ' ')
      .replace(/\s+/g, ' ')
      .replace(/\{@link (\w+)\}/g, '$1')
      .trim();
    const sentence = /^(.*?[.:])(?= [A-Z@`]|$)/.exec(text)?.[1] ?? text;
    return `\`${name}\`: ${sentence.replace(/[:.]$/, '').replaceAll('|', '\\|')}`;
  });
  return `| ${family} | ${ops.join('<br>')} |`;
});

const readme = `${root}README.md`;
const [before, rest] = readFileSync(readme, 'utf8').split('<!-- ops:start -->');
const [, after] = rest.split('<!-- ops:end -->');
const table = ['| family | ops |', '| --- | --- |', ...rows].join('\n');
writeFileSync(readme, `${before}<!-- ops:start -->\n\n${table}\n\n<!-- ops:end -->${after}`);
