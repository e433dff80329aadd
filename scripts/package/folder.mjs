// An empty folder that a package is installed into, and the ways a program can use it from there.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchPackage } from '../prebuild/packages.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const bin = (name) => path.join(root, 'node_modules', '.bin', name);

const temporary = [];
export function newFolder(name) {
  const folder = mkdtempSync(path.join(tmpdir(), `logitcore-${name}-`));
  temporary.push(folder);
  return folder;
}
export function removeFolders() {
  for (const folder of temporary) rmSync(folder, { recursive: true, force: true });
}

export const run = (command, args, cwd, env = process.env) =>
  execFileSync(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
const read = (command, args, cwd, env = process.env) =>
  execFileSync(command, args, { cwd, env, encoding: 'utf8' });

/** Programs that find no compiler, no make and no Python: the PATH has Node.js, a shell and little else. */
export function bareEnvironment() {
  const folder = newFolder('path');
  const npm = read('which', ['npm']).trim();
  const programs = { node: process.execPath, npm, npx: npm.replace(/npm$/, 'npx') };
  // What the package managers' own shell scripts call.
  for (const name of ['sh', 'env', 'sed', 'dirname', 'basename', 'uname'])
    programs[name] = read('which', [name]).trim();
  for (const [name, file] of Object.entries(programs)) symlinkSync(file, path.join(folder, name));
  const env = { ...process.env, PATH: folder };
  for (const name of ['CC', 'CXX', 'npm_config_nodedir', 'npm_config_python', 'PYTHON'])
    delete env[name];
  return env;
}

const registry = () => read('npm', ['config', 'get', 'registry'], tmpdir()).trim();

/** How each package manager adds a packed package to a project. */
export const managers = {
  npm: (tarball, folder, env) =>
    run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], folder, env),
  // Runs no scripts of packages unless they are approved.
  pnpm(tarball, folder, env) {
    const program = path.join(fetchPackage('pnpm'), 'bin/pnpm.cjs');
    const args = [
      'add',
      tarball,
      '--registry',
      registry(),
      '--store-dir',
      path.join(folder, '.store'),
    ];
    run(process.execPath, [program, ...args], folder, env);
  },
  yarn(tarball, folder, env) {
    const program = path.join(fetchPackage('yarn'), 'bin/yarn.js');
    const args = ['add', `file:${tarball}`, '--no-progress', '--non-interactive'];
    run(
      process.execPath,
      [program, ...args, '--cache-folder', path.join(folder, '.cache')],
      folder,
      {
        ...env,
        YARN_REGISTRY: registry(),
        npm_config_registry: registry(),
      },
    );
  },
};

export function newProject(name) {
  const folder = newFolder(name);
  writeFileSync(path.join(folder, 'package.json'), '{ "name": "stranger", "private": true }\n');
  return folder;
}

export const installedIn = (folder) => path.join(folder, 'node_modules', 'logitcore');

/** import, require and the command, from `where` in the package. */
export function useAsJavaScript(folder, where, env) {
  const check = `
    const { sep } = require('node:path'), { realpathSync } = require('node:fs');
    const expected = realpathSync(process.argv[2]) + sep;
    if (!realpathSync(main.info().binary).startsWith(expected)) throw new Error('loaded ' + main.info().binary);
    const missing = ['softmax', 'logSoftmax', 'crossEntropy'].filter((name) => !main[name] || !promises[name]);
    if (missing.length > 0) throw new Error('missing: ' + missing);
    if (typeof tfjs.createTfjsOps !== 'function') throw new Error('missing: createTfjsOps');
    const { version } = require('logitcore/package.json');
    if (main.info().version !== version) throw new Error('the addon is ' + main.info().version + ', the package ' + version);
    const { out } = main.softmax(Float32Array.of(1, 1));
    if (out.join() !== '0.5,0.5') throw new Error('softmax is ' + out);
  `;
  const entries = { main: 'logitcore', promises: 'logitcore/promises', tfjs: 'logitcore/tfjs' };
  const imports = Object.entries(entries).map(([name, id]) => `import * as ${name} from '${id}';`);
  const requires = Object.entries(entries).map(([name, id]) => `const ${name} = require('${id}');`);
  writeFileSync(
    path.join(folder, 'use.mjs'),
    `import { createRequire } from 'node:module';\n${imports.join('\n')}\n` +
      `const require = createRequire(import.meta.url);\n${check}`,
  );
  writeFileSync(path.join(folder, 'use.cjs'), `${requires.join('\n')}\n${check}`);
  const files = path.join(installedIn(folder), where);
  run(process.execPath, ['use.mjs', files], folder, env);
  run(process.execPath, ['use.cjs', files], folder, env);
  const command = path.join(folder, 'node_modules', '.bin', 'logitcore');
  return JSON.parse(read(command, ['info', '--json'], folder, env));
}

/** The README's example, compiled against the package's types as a file of each kind, and run. */
export function useAsTypeScript(folder, env) {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  const example = /<!-- quickstart -->\s*```ts\n(.*?)```/s.exec(readme)?.[1];
  if (!example) throw new Error('README.md has no TypeScript block after <!-- quickstart -->');
  const kinds = {
    nodenext: ['mts', 'cts'],
    bundler: ['mts'],
  };
  for (const [resolution, extensions] of Object.entries(kinds))
    for (const extension of extensions) {
      const out = path.join(folder, resolution);
      mkdirSync(out, { recursive: true });
      const file = path.join(out, `quickstart.${extension}`);
      writeFileSync(file, example);
      const module = resolution === 'bundler' ? 'esnext' : 'nodenext';
      const options = `--strict --target es2022 --skipLibCheck --types node --module ${module} --moduleResolution ${resolution}`;
      const roots = ['--typeRoots', path.join(root, 'node_modules', '@types')];
      run(bin('tsc'), [file, ...options.split(' '), ...roots], folder);
      const printed = read(process.execPath, [file.replace(/ts$/, 'js')], folder, env);
      if (!/^[\d.]+ Float32Array\(6\)/.test(printed))
        throw new Error(`quickstart.${extension} (${resolution}) printed ${printed}`);
    }
}

export const wasBuilt = (folder) => existsSync(path.join(installedIn(folder), 'build'));
