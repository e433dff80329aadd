// Checks what would be published: packs it, lints the exports, installs it into an
// empty folder and uses it from there in every way a program can.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'logitcore-package-'));
const { nodeGypEnv } = createRequire(import.meta.url)('./node-gyp-env.cjs');
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const run = (command, args, cwd = folder) =>
  execFileSync(command, args, { cwd, env: nodeGypEnv(), stdio: ['ignore', 'inherit', 'inherit'] });
const read = (command, args) => execFileSync(command, args, { cwd: folder, encoding: 'utf8' });

function checkLockfile() {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const named = Object.keys(packages).filter((name) => packages[name].resolved);
  if (named.length > 0)
    throw new Error(`package-lock.json has download addresses: ${named.join(', ')}`);
}

function pack() {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [{ filename, entryCount }] = JSON.parse(
    execFileSync('npm', args, { cwd: root, encoding: 'utf8' }),
  );
  console.log(`package: ${entryCount} files in ${filename}`);
  return path.join(folder, filename);
}

function install(tarball) {
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  // Compiling once more would show little: the addon of this checkout takes its place.
  run('npm', [
    'install',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    tarball,
  ]);
  const installed = path.join(folder, 'node_modules', 'logitcore');
  // The build files must stand on their own outside a checkout all the same.
  run(process.execPath, [bin('node-gyp'), 'configure', '--loglevel=error'], installed);
  mkdirSync(path.join(installed, 'build', 'Release'), { recursive: true });
  copyFileSync(
    path.join(root, 'build', 'Release', 'logitcore.node'),
    path.join(installed, 'build', 'Release', 'logitcore.node'),
  );
  return installed;
}

function use(installed) {
  const check = `
    const expected = process.argv[2];
    if (!main.info().binary.startsWith(expected)) throw new Error('loaded ' + main.info().binary);
    const missing = ['softmax', 'logSoftmax', 'crossEntropy'].filter((name) => !main[name] || !promises[name]);
    if (missing.length > 0) throw new Error('missing: ' + missing);
    if (typeof tfjs.createTfjsOps !== 'function') throw new Error('missing: createTfjsOps');
    const { version } = manifest;
    if (main.info().version !== version) throw new Error('the addon is ' + main.info().version + ', the package ' + version);
  `;
  const entries = { main: 'logitcore', promises: 'logitcore/promises', tfjs: 'logitcore/tfjs' };
  const imports = Object.entries(entries).map(([name, id]) => `import * as ${name} from '${id}';`);
  const requires = Object.entries(entries).map(([name, id]) => `const ${name} = require('${id}');`);
  const manifest = "require('logitcore/package.json');";
  writeFileSync(
    path.join(folder, 'use.mjs'),
    `import { createRequire } from 'node:module';\n${imports.join('\n')}\n` +
      `const manifest = createRequire(import.meta.url)('logitcore/package.json');\n${check}`,
  );
  writeFileSync(
    path.join(folder, 'use.cjs'),
    `${requires.join('\n')}\nconst manifest = ${manifest}\n${check}`,
  );
  run(process.execPath, ['use.mjs', installed]);
  run(process.execPath, ['use.cjs', installed]);
  const facts = JSON.parse(
    read(path.join(folder, 'node_modules', '.bin', 'logitcore'), ['info', '--json']),
  );
  console.log(`package: import, require and the command work (${facts.isa})`);
}

/** The README's example, compiled as TypeScript against the package's types and run. */
function useAsTheReadmeSays() {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  const example = /<!-- quickstart -->\s*```ts\n(.*?)```/s.exec(readme)?.[1];
  if (!example) throw new Error('README.md has no TypeScript block after <!-- quickstart -->');
  writeFileSync(path.join(folder, 'quickstart.mts'), example);
  const options = '--strict --target es2022 --module nodenext --skipLibCheck --types node';
  const roots = ['--typeRoots', path.join(root, 'node_modules', '@types')];
  run(bin('tsc'), ['quickstart.mts', ...options.split(' '), ...roots]);
  const printed = read(process.execPath, ['quickstart.mjs']);
  if (!/^[\d.]+ Float32Array\(6\)/.test(printed)) throw new Error(`quickstart printed ${printed}`);
  console.log("package: README.md's example works");
}

try {
  checkLockfile();
  const tarball = pack();
  run(bin('publint'), ['run', tarball, '--strict']);
  // Resolution older than `exports` has no subpaths; Node.js 20 and the TypeScript for it do.
  run(bin('attw'), [tarball, '--profile', 'node16']);
  use(install(tarball));
  useAsTheReadmeSays();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
