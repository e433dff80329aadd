// Checks (--check) or rewrites (--write) the layout of the C++ and CUDA files.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const write = process.argv.includes('--write');

const files = ['cpp', 'cuda', 'test/native']
  .filter((folder) => existsSync(path.join(root, folder)))
  .flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true }).map((name) =>
      path.join(folder, String(name)),
    ),
  )
  .filter((name) => /\.(cpp|h|cu|cuh)$/.test(name))
  .sort();

// The packaged binary has one version for everyone, but none for every machine
// (Linux on arm64, for one); an installed clang-format stands in there.
const { getNativeBinary } = createRequire(import.meta.url)('clang-format');
let binary = 'clang-format';
try {
  binary = getNativeBinary();
} catch {
  console.warn('clang-format: no packaged binary for this machine, using the one on PATH');
}

if (files.length === 0) {
  console.log('clang-format: no files');
} else {
  const args = ['--style=file', ...(write ? ['-i'] : ['--dry-run', '-Werror']), ...files];
  const { status, error } = spawnSync(binary, args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(`clang-format could not be started: ${error.message}`);
  process.exitCode = status ?? 1;
  if (status === 0) console.log(`clang-format: ${files.length} files`);
}
