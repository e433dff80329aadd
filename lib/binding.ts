import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NativeBinding } from './record.js';

// Not __dirname: under `node -e` there is a global of that name, which is '.'.
const here = dirname(fileURLToPath(import.meta.url));
const requireHere = createRequire(import.meta.url);

function packageRoot(): string {
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
  const files = existsSync(folder)
    ? readdirSync(folder).filter((file) => file.endsWith('.node'))
    : [];
  const otherLibc = process.platform === 'linux' && (libc() === 'musl' ? 'glibc' : 'musl');
  for (const file of files) if (!otherLibc || !file.includes(otherLibc)) yield join(folder, file);
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
      return { binding: requireHere(file) as NativeBinding, path: file };
    } catch (error) {
      failures.push(`  ${file}: ${(error as Error).message}`);
    }
  }
  throw new Error(
    [
      'logitcore: the native addon could not be loaded. Tried',
      ...failures,
      `on ${process.platform} ${process.arch}, ${libc()}, Node ${process.versions.node}.`,
      'Build it with `npm rebuild logitcore` (needs Python 3, make and a C++17 compiler).',
    ].join('\n'),
  );
}

const loaded = load();
export const binding = loaded.binding;
/** The addon file in use. */
export const binaryPath = loaded.path;
