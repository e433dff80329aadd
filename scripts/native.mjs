// node scripts/native.mjs test      builds and runs the C++ tests
//                         accuracy  compares exp and log with float64 over every float32
//                         matrix    measures products of matrices against the peak of this machine
//                         peak      that peak alone, as JSON
//                         cuda      compiles cuda/*.cu, where nvcc is installed
// LOGITCORE_SANITIZE=address|thread builds with that sanitizer, in a folder of its own.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sanitizer = process.env.LOGITCORE_SANITIZE ?? '';
const folder = path.join(root, sanitizer ? `build-cmake-${sanitizer}` : 'build-cmake');
const jobs = String(availableParallelism());

/** Runs a command and ends this program if it fails. */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
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
  cuda() {
    if (spawnSync('nvcc', ['--version']).status !== 0) {
      console.log('cuda: skipped, nvcc is not installed');
      return;
    }
    build('cuda_check');
    console.log('cuda: compiled');
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
]);
task();
