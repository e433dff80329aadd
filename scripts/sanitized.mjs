// npm run test:sanitized [-- vitest's arguments]
// The test suite with an addon under AddressSanitizer and UndefinedBehaviorSanitizer, and the C++ checks of the threads under
// ThreadSanitizer. Compiling takes as long as the addon's own build, the suite several times as long as it does otherwise.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const native = fileURLToPath(new URL('native.mjs', import.meta.url));

function run(sanitizer, ...args) {
  const { status } = spawnSync(process.execPath, [native, ...args], {
    stdio: 'inherit',
    env: { ...process.env, LOGITCORE_SANITIZE: sanitizer },
  });
  if (status !== 0) process.exit(status ?? 1);
}

run('thread', 'threads');
run('address', 'suite', ...process.argv.slice(2));
