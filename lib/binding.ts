import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NativeBinding } from './record.js';

const here = typeof __dirname === 'string' ? __dirname : dirname(fileURLToPath(import.meta.url));
const requireHere = createRequire(join(here, 'package.json'));

function packageRoot(): string {
  let directory = here;
  while (!existsSync(join(directory, 'binding.gyp')) && !existsSync(join(directory, 'prebuilds'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error(`logitcore: no package found around ${here}`);
    directory = parent;
  }
  return directory;
}

// musl has no glibc version in the report; the presence of an Alpine file says nothing about the libc of this process.
function libc(): string {
  if (process.platform !== 'linux') return 'system';
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const version = report.header?.glibcVersionRuntime;
  return version ? `glibc ${version}` : 'musl';
}

function candidates(root: string): string[] {
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  const tag = libc().startsWith('musl') ? 'musl' : 'glibc';
  const prebuilt = existsSync(folder)
    ? readdirSync(folder).filter((file) => file.endsWith('.node') && (process.platform !== 'linux' || file.includes(tag)))
    : [];
  return [join(root, 'build', 'Release', 'logitcore.node'), ...prebuilt.map((file) => join(folder, file))];
}

function load(): { binding: NativeBinding; path: string } {
  const root = packageRoot();
  const failures: string[] = [];
  for (const file of candidates(root)) {
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
