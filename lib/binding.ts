import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NativeBinding } from './record.js';

// Not __dirname: under `node -e` there is a global of that name, which is '.'.
const here = dirname(fileURLToPath(import.meta.url));
const requireHere = createRequire(import.meta.url);

/** The folder of the package this file belongs to. */
export function packageRoot(): string {
  let directory = here;
  while (!existsSync(join(directory, 'binding.gyp'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error(`logitcore: no package found around ${here}`);
    directory = parent;
  }
  return directory;
}

// musl has no glibc version in the report; the presence of an Alpine file says nothing about the libc of this process.
function libc(): string {
  if (process.platform !== 'linux') return 'system libc';
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const version = report.header?.glibcVersionRuntime;
  return version ? `glibc ${version}` : 'musl';
}

function* candidates(root: string): Generator<string> {
  // A build of this machine goes before a file that was built elsewhere. The report that names the libc takes a
  // while to write, so it is not asked for before it is needed.
  yield join(root, 'build', 'Release', 'logitcore.node');
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  if (!existsSync(folder)) {
    yield join(folder, 'logitcore.node');
    return;
  }
  const otherLibc = process.platform === 'linux' && (libc() === 'musl' ? 'glibc' : 'musl');
  for (const file of readdirSync(folder).sort())
    if (file.endsWith('.node') && !(otherLibc && file.includes(otherLibc)))
      yield join(folder, file);
}

/** Throws if the end of an ELF file is missing: the system's loader would end the process by a signal. */
function checkLength(file: string): void {
  const head = Buffer.alloc(64);
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const isElf =
      readSync(descriptor, head, 0, 64, 0) === 64 && head.readUInt32BE(0) === 0x7f454c46;
    if (!isElf) return;
    // The table of sections is the last part of the file.
    const end = Number(head.readBigUInt64LE(40)) + head.readUInt16LE(58) * head.readUInt16LE(60);
    if (size < end) throw new Error(`the file is cut off: it has ${size} of ${end} bytes`);
  } finally {
    closeSync(descriptor);
  }
}

/** What helps, where no file could be loaded. */
function advice(root: string): string[] {
  const folder = join(root, 'prebuilds');
  const prebuilt = existsSync(folder) ? readdirSync(folder).sort() : [];
  const here = `${process.platform}-${process.arch}`;
  const what = prebuilt.includes(here)
    ? 'Its prebuilt files are there but do not load here: install the package again, on the machine that runs it,'
    : prebuilt.length > 0
      ? `There are prebuilt files for ${prebuilt.join(', ')} only: install the package on the machine that runs it,`
      : 'There are no prebuilt files: install the package again,';
  return [
    what,
    'or build the addon with `npm rebuild logitcore` (`pnpm rebuild logitcore`; needs Python 3, make and a C++17 compiler).',
  ];
}

/** The file to load instead of all others: a build with a sanitizer, or one that is not where it belongs. */
const chosen = process.env.LOGITCORE_BINARY;

function load(): { binding: NativeBinding; path: string } {
  const root = packageRoot();
  const failures: string[] = [];
  for (const file of chosen ? [chosen] : candidates(root)) {
    if (!existsSync(file)) {
      failures.push(`  ${file}: no such file`);
      continue;
    }
    try {
      checkLength(file);
      return { binding: requireHere(file) as NativeBinding, path: file };
    } catch (error) {
      failures.push(`  ${file}: ${(error as Error).message.trim()}`);
    }
  }
  throw new Error(
    [
      'logitcore: the native addon could not be loaded. Tried',
      ...failures,
      `on ${process.platform} ${process.arch}, ${libc()}, Node ${process.versions.node}.`,
      ...advice(root),
    ].join('\n'),
  );
}

const loaded = load();
export const binding = loaded.binding;
/** The addon file in use. */
export const binaryPath = loaded.path;
