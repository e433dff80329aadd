// node scripts/native.mjs test      builds and runs the C++ tests
//                         threads   builds and runs the checks of the thread pools alone
//                         accuracy  compares exp and log with float64 over every float32
//                         matrix    measures products of matrices against the peak of this machine
//                         peak      that peak alone, as JSON
//                         suite     builds the addon and runs the test suite with it: with LOGITCORE_SANITIZE=address
//                                   the whole of it under AddressSanitizer and UndefinedBehaviorSanitizer; further
//                                   arguments go to vitest
// LOGITCORE_SANITIZE=address|thread builds with that sanitizer, in a folder of its own.
import { execFileSync, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import nodeGyp from './node-gyp-env.cjs';

const { nodeFolder } = nodeGyp;
const root = fileURLToPath(new URL('..', import.meta.url));
const sanitizer = process.env.LOGITCORE_SANITIZE ?? '';
const folder = path.join(root, sanitizer ? `build-cmake-${sanitizer}` : 'build-cmake');
const jobs = String(availableParallelism());

/** Runs a command and ends this program if it fails. */
function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (error) console.error(`${command} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function build(...targets) {
  run('cmake', [
    '--build',
    folder,
    '-j',
    jobs,
    ...targets.flatMap((target) => ['--target', target]),
  ]);
}

const tasks = {
  test() {
    build();
    run('ctest', ['--test-dir', folder, '--output-on-failure', '--no-tests=error']);
  },
  threads() {
    build('threads_check');
    // Address space randomisation beyond 28 bits, a default of newer kernels, is more than older runtimes of the sanitizer take.
    run('setarch', ['-R', path.join(folder, 'threads_check')]);
  },
  accuracy() {
    build('simd_check');
    run(path.join(folder, 'simd_check'), ['--exhaustive']);
  },
  matrix() {
    build('matrix_bench');
    run(path.join(folder, 'matrix_bench'), []);
  },
  peak() {
    build('fma_peak');
    run(path.join(folder, 'fma_peak'), []);
  },
  suite(...args) {
    build('addon');
    const env = { LOGITCORE_BINARY: path.join(folder, 'logitcore.node') };
    if (sanitizer) {
      // Node.js itself is built without the sanitizer: its runtime must come before all else.
      const library = { address: 'libasan.so', thread: 'libtsan.so' }[sanitizer];
      const compiler = process.env.CXX?.split(' ').pop() ?? 'g++';
      env.LD_PRELOAD = execFileSync(compiler, [`-print-file-name=${library}`], {
        encoding: 'utf8',
      }).trim();
      // Node.js does not give back all its memory when it ends; what the addon keeps, test/stress.test.ts finds.
      env.ASAN_OPTIONS = 'detect_leaks=0:allocator_may_return_null=1';
      env.UBSAN_OPTIONS = 'print_stacktrace=1';
    }
    run(path.join(root, 'node_modules/.bin/vitest'), ['run', ...args], env);
  },
};

const task = tasks[process.argv[2]];
if (!task) {
  console.error(`usage: node scripts/native.mjs ${Object.keys(tasks).join('|')}`);
  process.exit(2);
}
run('cmake', [
  '-S',
  root,
  '-B',
  folder,
  `-DLOGITCORE_WERROR=${process.env.LOGITCORE_WERROR === '1' ? 'ON' : 'OFF'}`,
  `-DLOGITCORE_SANITIZE=${sanitizer}`,
  // With Node.js's headers, which cmake-js would name, there is an addon to build.
  ...(process.argv[2] === 'suite' && nodeFolder()
    ? [`-DCMAKE_JS_INC=${path.join(nodeFolder(), 'include/node')}`]
    : []),
]);
task(...process.argv.slice(3));
