// Checks the prebuilt files that exist (npm run check:prebuilds), or those named after --only: what they are, what they ask of the
// machine, what they show to the process, and that only kernels of a level use its instructions. Needs LLVM's tools.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import {
  code,
  disassemble,
  dynamicSymbols,
  elfLibraries,
  elfSections,
  elfVersions,
  header,
  machHeaders,
  machLibraries,
} from './prebuild/binary.mjs';
import {
  chooseTargets,
  fileOf,
  glibcVersion,
  levelsOf,
  macosVersion,
  symbolsOf,
} from './prebuild/targets.mjs';

const { symbols } = createRequire(import.meta.url)('node-api-headers');
const napi = new Set(Object.values(symbols.v9).flat());
const entries = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
const formats = {
  'linux-x64': ['elf64-x86-64', 'EM_X86_64'],
  'linux-arm64': ['elf64-littleaarch64', 'EM_AARCH64'],
  'darwin-x64': ['Mach-O 64-bit x86-64', 'X86-64'],
  'darwin-arm64': ['Mach-O arm64', 'Arm64'],
};
const libraries = {
  glibc: /^(libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libdl\.so\.2|librt\.so\.1|ld-linux.*)$/,
  musl: /^libc\.so$/,
  darwin: /^\/usr\/lib\/(libSystem\.B|libc\+\+\.1)\.dylib$/,
};

const newer = (version, limit) => {
  const [a, b] = [version, limit].map((text) => text.split('.').map(Number));
  return a[0] !== b[0] ? a[0] > b[0] : a[1] > b[1];
};

function checkElf(target, file, problem) {
  for (const name of elfLibraries(file))
    if (!libraries[target.libc].test(name)) problem(`needs ${name}`);
  for (const version of elfVersions(file)) {
    const [, family, number] = /^(\w+?)_(.+)$/.exec(version);
    if (target.libc === 'musl') problem(`asks for ${version}`);
    else if (family !== 'GLIBC' || newer(number, glibcVersion)) problem(`asks for ${version}`);
  }
  if (/\.symtab|\.debug_/.test(elfSections(file))) problem('is not stripped');
}

function checkMach(target, file, problem) {
  const headers = machHeaders(file);
  const minimum = /LC_BUILD_VERSION[^]*?minos ([\d.]+)/.exec(headers)?.[1];
  if (minimum !== macosVersion) problem(`asks for macOS ${minimum}, not ${macosVersion}`);
  // Apple's processors run no code that is not signed.
  if (target.arch === 'arm64' && !headers.includes('LC_CODE_SIGNATURE')) problem('is not signed');
  for (const name of machLibraries(file))
    if (!name.endsWith('logitcore.node') && !libraries.darwin.test(name)) problem(`needs ${name}`);
}

/**
 * Zig's linker takes no list of exports for macOS. The allocation functions are weak there and do what those of the system's C++ library
 * do, which exports them too; the other names are the linker's own.
 */
const unhidden = /^(_Zn[wa]|_Zd[la])|^(__dso_handle|_mh_dylib_header)$/;

function checkSymbols(file, elf, problem) {
  const plain = (name) => (elf ? name.replace(/@.*/, '') : name.replace(/^_/, ''));
  const shown = dynamicSymbols(file, '--defined-only', elf).map(plain);
  for (const name of shown)
    if (!entries.includes(name) && (elf || !unhidden.test(name))) problem(`exports ${name}`);
  for (const name of entries) if (!shown.includes(name)) problem(`does not export ${name}`);
  const wanted = dynamicSymbols(file, '--undefined-only', elf).map(plain);
  for (const name of wanted) {
    if (/^(napi|node_api)_/.test(name) && !napi.has(name))
      problem(`imports ${name}, newer than Node-API 9`);
    // Of the C++ runtime only what the C library has.
    if (/^_Z|^__cxa(?!_atexit|_finalize|_thread_atexit_impl)|^__gxx|_chk$/.test(name))
      problem(`imports ${name}`);
  }
  if (!wanted.some((name) => name.startsWith('napi_'))) problem('imports nothing of Node-API');
}

/** What an instruction needs beyond the processor family's first member; undefined for nothing. */
const needs = {
  x64(mnemonic, operands) {
    if (/%zmm|%k[0-7]\b|%[xy]mm(1[6-9]|2\d|3[01])|\{1to/.test(operands)) return 'avx512';
    // Every instruction in the encoding of AVX has a v in front.
    if (/^v(?!err|erw)/.test(mnemonic) || /%ymm/.test(operands)) return 'avx2';
    return undefined;
  },
  arm64(mnemonic, operands) {
    return /\b[zp]\d+[./]/.test(operands) ||
      /^(sdot|udot|bf(?!i$|xil$|c$|m$)|sm4|crypto)/.test(mnemonic)
      ? 'more'
      : undefined;
  },
};
const allowed = { avx2: ['avx2', 'avx512'], avx512: ['avx512'], more: [] };

async function checkInstructions(target, problem) {
  const found = new Map();
  const used = {};
  await disassemble(symbolsOf(target), (name, mnemonic, operands) => {
    const level = needs[target.arch](mnemonic, operands);
    if (!level) return;
    const owner = /logitcore::(avx512|avx2|neon|portable)::/.exec(name)?.[1] ?? 'none';
    used[`${owner}/${level}`] = (used[`${owner}/${level}`] ?? 0) + 1;
    if (!allowed[level].includes(owner) && !found.has(name))
      found.set(name, `${mnemonic} ${operands} in ${name}, of level ${owner}`);
  });
  for (const text of found.values()) problem(text);
  // A check that sees no wide instruction at all has not looked.
  for (const level of levelsOf(target).filter((name) => name.startsWith('avx')))
    if (!used[`${level}/${level}`]) problem(`no instruction of ${level} was seen`);
  return Object.entries(used).map(([key, count]) => `${count} ${key}`);
}

/** What musl's own loader does not find. It takes only libraries of this processor. */
function checkMusl(target, file, problem) {
  const loader = { x64: '/lib/ld-musl-x86_64.so.1', arm64: '/lib/ld-musl-aarch64.so.1' }[
    target.arch
  ];
  if (target.arch !== process.arch || !existsSync(loader)) return 'musl itself was not asked';
  const { stderr } = spawnSync(loader, ['--list', file], { encoding: 'utf8' });
  const absent = [...stderr.matchAll(/Error relocating .*: (\S+): symbol not found/g)];
  for (const [, name] of absent)
    if (!/^(napi|node_api)_/.test(name)) problem(`musl has no ${name}`);
  if (absent.length === 0) problem(`musl's loader said: ${stderr}`);
  return 'musl has all but Node-API';
}

async function check(target) {
  const file = fileOf(target);
  const problems = [];
  const problem = (text) => problems.push(text);
  const elf = target.platform === 'linux';
  const [format, machine] = formats[`${target.platform}-${target.arch}`];
  const text = header(file);
  if (!text.includes(format) || !text.includes(machine)) {
    problem(`is not ${format}`);
    return { problems, notes: [] };
  }
  (elf ? checkElf : checkMach)(target, file, problem);
  checkSymbols(file, elf, problem);
  const loaded = target.libc === 'musl' ? [checkMusl(target, file, problem)] : [];
  let notes = ['no file with symbols: instructions were not checked'];
  if (existsSync(symbolsOf(target))) {
    if (!code(file, elf).equals(code(symbolsOf(target), elf)))
      problem('has other code than the file with symbols');
    notes = await checkInstructions(target, problem);
  } else if (process.argv.includes('--strict')) {
    problem(notes[0]);
  }
  return { problems, notes: [...notes, ...loaded] };
}

const { values } = parseArgs({
  options: { only: { type: 'string' }, strict: { type: 'boolean' } },
});
const wanted = chooseTargets(values.only ? values.only.split(',') : []);
const present = wanted.filter((target) => existsSync(fileOf(target)));
if (present.length === 0)
  throw new Error('there are no prebuilt files: npm run prebuild makes them');
for (const target of wanted) {
  if (!present.includes(target)) {
    console.log(`${target.id}: not built`);
    if (values.strict) process.exitCode = 1;
    continue;
  }
  const { problems, notes } = await check(target);
  console.log(
    `${target.id}: ${problems.length === 0 ? 'in order' : 'NOT IN ORDER'} (${notes.join(', ')})`,
  );
  for (const text of problems.slice(0, 20)) console.error(`  ${text}`);
  if (problems.length > 0) process.exitCode = 1;
}
