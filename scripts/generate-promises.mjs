// Writes lib/promises.ts: every function of lib/index.ts that calls an op, on a background thread. Functions are found in the
// sources, so that adding an op needs no list kept by hand.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const lib = fileURLToPath(new URL('../lib/', import.meta.url));
const families = readdirSync(lib)
  .filter(
    (file) =>
      file.endsWith('.ts') && /from '\.\/(call|steps)\.js'/.test(readFileSync(lib + file, 'utf8')),
  )
  .filter((file) => !['promises.ts', 'call.ts', 'background.ts', 'steps.ts'].includes(file))
  .sort();

const blocks = families.map((file) => {
  const source = readFileSync(lib + file, 'utf8');
  const names = [...source.matchAll(/export function (\w+)[^]*?\n}\n/g)]
    .filter(([text]) => /\breturn (call|compose)\(/.test(text))
    .map(([, name]) => name);
  const module = file.replace(/\.ts$/, '');
  return { module, names };
});

const lines = [
  '// Written by scripts/generate-promises.mjs.',
  '',
  '/**',
  ' * The ops of `logitcore` off the event loop: the same arguments, a promise of the same result, bit for bit. Arrays must not be',
  ' * changed or transferred until it settles. A `signal` that is aborted before the work starts rejects the promise.',
  ' *',
  ' * @module logitcore/promises',
  ' */',
  "import { inBackground } from './background.js';",
  ...blocks.map(({ module, names }) => `import { ${names.join(', ')} } from './${module}.js';`),
  '',
  ...blocks.flatMap(({ names }) =>
    names.map((name) => `const ${name}Promise = inBackground(${name});`),
  ),
  '',
  `export { ${blocks.flatMap(({ names }) => names.map((name) => `${name}Promise as ${name}`)).join(', ')} };`,
  "export { getNumThreads, info, ops, setNumThreads } from './index.js';",
  '',
];
writeFileSync(`${lib}promises.ts`, lines.join('\n'));
