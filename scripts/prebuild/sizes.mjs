// Where the bytes of a prebuilt file go: ops x levels x element types, from the sizes of its symbols.
//   npm run prebuild:sizes -- --only linux-x64-glibc [--all]
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { sizedSymbols } from './binary.mjs';
import { chooseTargets, fileOf, levelsOf, root, symbolsOf } from './targets.mjs';

/** Definitions by the family file that lists them: template arguments name them in the symbols of the engine. */
function definitions() {
  const found = new Map();
  const folder = path.join(root, 'cpp/ops');
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.cpp'))) {
    const text = readFileSync(path.join(folder, file), 'utf8');
    const list = /LOGITCORE_FAMILY\(\s*(\w+),([^)]*)\)/.exec(text);
    const names = list ? list[2].split(',').map((part) => part.trim().replace(/<.*/, '')) : [];
    // FooOp is often what runs the definition Foo.
    for (const name of names)
      for (const known of [name, name.replace(/Op$/, '')]) found.set(known, `${list[1]}: ${name}`);
  }
  return found;
}

/** The function or class that a symbol belongs to, without template arguments, parameters and namespaces. */
function ownerOf(name) {
  let text = name.replace(/operator(<<|>>|<=|>=|<|>|\(\))/g, 'operator').replace(/ \[clone.*/, '');
  for (let before = ''; before !== text;) {
    before = text;
    text = text.replace(/<[^<>]*>/g, '').replace(/\([^()]*\)/g, '');
  }
  return /logitcore::\w+::(\w+)[^ ]*$/.exec(text.replace(/ const$/, ''))?.[1] ?? 'other';
}

function typeOf(name) {
  const double = /\bdouble\b|f64x8/.test(name);
  const single = /\bfloat\b|f32x16/.test(name);
  return single ? 'float32' : double ? 'float64' : 'any';
}

function tableOf(target) {
  const levels = [...levelsOf(target), 'none'];
  const known = definitions();
  const rows = new Map();
  const columns = levels.flatMap((level) =>
    level === 'none' ? ['none'] : ['float32', 'float64', 'any'].map((type) => `${level} ${type}`),
  );
  for (const { bytes, name } of sizedSymbols(symbolsOf(target))) {
    const level = /logitcore::(avx512|avx2|neon|portable)::/.exec(name)?.[1] ?? 'none';
    const op = level === 'none' ? undefined : name.match(/\w+/g).find((word) => known.has(word));
    const row =
      (op && known.get(op)) ??
      (level === 'none' ? 'addon, dispatch, C++ library' : `engine: ${ownerOf(name)}`);
    const cells = rows.get(row) ?? Object.fromEntries(columns.map((column) => [column, 0]));
    cells[level === 'none' ? 'none' : `${level} ${typeOf(name)}`] += bytes;
    rows.set(row, cells);
  }
  return { columns, rows };
}

const { values } = parseArgs({ options: { only: { type: 'string' }, all: { type: 'boolean' } } });
for (const target of chooseTargets(values.only ? values.only.split(',') : [])) {
  if (target.platform !== 'linux' || !existsSync(symbolsOf(target))) continue;
  const { columns, rows } = tableOf(target);
  const sum = (cells) => Object.values(cells).reduce((a, b) => a + b, 0);
  const kb = (bytes) => (bytes === 0 ? '' : (bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0));
  const sorted = [...rows].sort(([, a], [, b]) => sum(b) - sum(a));
  const shown = values.all ? sorted : sorted.slice(0, 24);
  const total = Object.fromEntries(columns.map((c) => [c, 0]));
  for (const [, cells] of sorted) for (const column of columns) total[column] += cells[column];
  const rest = Object.fromEntries(columns.map((c) => [c, 0]));
  for (const [, cells] of sorted.slice(shown.length))
    for (const column of columns) rest[column] += cells[column];
  const lines = [
    ...shown,
    ...(sorted.length > shown.length ? [[`${sorted.length - shown.length} more`, rest]] : []),
    ['all', total],
  ];
  console.log(`${target.id}: ${statSync(fileOf(target)).size} bytes; symbols, in kB`);
  console.log(`| op | ${columns.map((c) => (c === 'none' ? 'no level' : c)).join(' | ')} | sum |`);
  console.log(`| --- | ${columns.map(() => '--:').join(' | ')} | --: |`);
  for (const [name, cells] of lines)
    console.log(
      `| ${name} | ${columns.map((c) => kb(cells[c])).join(' | ')} | ${kb(sum(cells))} |`,
    );
}
