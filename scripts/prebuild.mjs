// Builds the files that are published, for every target from one Linux machine:
//   npm run prebuild                              all six
//   npm run prebuild -- --only linux-x64-glibc    some, comma-separated
//   npm run prebuild -- --list                    their names
//   npm run prebuild -- --report                  the sizes of those there are, nothing built
//   npm run prebuild -- --fetch                   the compiler only
// Linux: prebuildify, which has node-gyp build binding.gyp. macOS: cmake-js. The compiler is Zig, fetched on first use.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  buildFolder,
  chooseTargets,
  fileOf,
  maxTotalBytes,
  root,
  symbolsOf,
  targets,
} from './prebuild/targets.mjs';
import { zigTools } from './prebuild/zig.mjs';

const require = createRequire(import.meta.url);
const { nodeGypEnv } = require('./node-gyp-env.cjs');
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const processors = String(availableParallelism());

function run(command, args, env, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, env, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${path.basename(command)} ended with ${status}`);
}

/** node-gyp wipes build/ of the folder it runs in, so it gets one of its own, with links to the sources. */
function stage(target) {
  const folder = path.join(buildFolder, `${target.platform}-${target.arch}`);
  mkdirSync(folder, { recursive: true });
  for (const name of ['binding.gyp', 'package.json', 'cpp', 'scripts']) {
    // Made anew: a copied build folder links to the sources it was copied from.
    rmSync(path.join(folder, name), { force: true });
    symlinkSync(path.join(root, name), path.join(folder, name));
  }
  return folder;
}

function buildLinux(target, tools) {
  const env = {
    ...nodeGypEnv(),
    CC: tools.cc,
    CXX: tools['c++'],
    LINK: tools['c++'],
    AR: tools.ar,
    // What gyp compiles for the machine that builds is nothing, but it wants a compiler.
    CC_host: tools.cc,
    CXX_host: tools['c++'],
  };
  const args = ['--napi', '--tag-libc', `--libc=${target.libc}`, `--arch=${target.arch}`];
  args.push('--strip', '--strip-bin=llvm-strip');
  args.push(`--platform=${target.platform}`, `--target=node@${process.versions.node}`);
  run(bin('prebuildify'), [...args, `--cwd=${stage(target)}`, `--out=${root}`], env, root);
}

function buildDarwin(target, tools) {
  const out = path.join(buildFolder, target.id);
  rmSync(path.join(out, 'CMakeCache.txt'), { force: true });
  const env = {
    ...process.env,
    LOGITCORE_TOOLS: path.dirname(tools['c++']),
    LOGITCORE_PROCESSOR: target.arch === 'x64' ? 'x86_64' : 'arm64',
    CMAKE_BUILD_PARALLEL_LEVEL: processors,
  };
  const toolchain = path.join(root, 'scripts/prebuild/zig-toolchain.cmake');
  const args = ['build', '--directory', root, '--out', out, '--target', 'addon'];
  args.push('--cc', tools.cc, '--cxx', tools['c++']);
  args.push('--arch', target.arch, `--CDCMAKE_TOOLCHAIN_FILE=${toolchain}`);
  args.push('--CDLOGITCORE_LIBRARY_FOLDER=' + path.dirname(fileOf(target)));
  run(bin('cmake-js'), args, env, root);
  // Zig's linker keeps the names of local symbols, a tenth of the file. An arm64 file is signed with them inside.
  if (target.arch === 'x64') run('llvm-strip', ['-x', fileOf(target)]);
}

const size = (bytes) => `${(bytes / 1e6).toFixed(2).padStart(6)} MB`;

/** Prints the size of every file there is. True if all are there and none is too much. */
function report() {
  let total = 0;
  const missing = [];
  for (const target of targets) {
    if (!existsSync(fileOf(target))) {
      missing.push(target.id);
      continue;
    }
    const { size: bytes } = statSync(fileOf(target));
    total += bytes;
    console.log(`${size(bytes)}  ${target.file}`);
  }
  console.log(`${size(total)}  together, of at most ${size(maxTotalBytes).trim()}`);
  if (missing.length > 0) console.error(`missing: ${missing.join(', ')}`);
  if (total > maxTotalBytes) console.error('that is too much');
  return { missing, fits: total <= maxTotalBytes };
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    list: { type: 'boolean' },
    report: { type: 'boolean' },
    fetch: { type: 'boolean' },
  },
});

if (values.list) {
  for (const { id } of targets) console.log(id);
} else if (values.fetch) {
  zigTools(targets[0]);
} else {
  const chosen = values.report ? [] : chooseTargets(values.only ? values.only.split(',') : []);
  const started = Date.now();
  chosen.forEach((target, i) => {
    const minutes = ((Date.now() - started) / 60e3).toFixed(1);
    console.log(`\n== ${target.id} (${i + 1} of ${chosen.length}, after ${minutes} min)`);
    for (const file of [fileOf(target), symbolsOf(target)]) rmSync(file, { force: true });
    mkdirSync(path.dirname(fileOf(target)), { recursive: true });
    const tools = zigTools(target);
    (target.platform === 'linux' ? buildLinux : buildDarwin)(target, tools);
    if (!existsSync(fileOf(target))) throw new Error(`${target.file} was not made`);
    console.log(`== ${target.id}: ${size(statSync(fileOf(target)).size).trim()}`);
  });
  console.log('');
  const { missing, fits } = report();
  const wanted = values.only ? chosen.map(({ id }) => id) : targets.map(({ id }) => id);
  if (!fits || missing.some((id) => wanted.includes(id))) process.exitCode = 1;
}
