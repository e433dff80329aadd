// npm run test:cuda                         builds cuda_check with nvcc for the GPU of this machine and runs it
// npm run test:cuda -- --emulate            builds it for the CPU and runs it there, threads of a block in both orders
// npm run test:cuda -- --sanitizer=memcheck runs it under that tool of compute-sanitizer: memcheck, racecheck, initcheck or synccheck
// npm run check:cuda                        compiles the addon and cuda_check for one compute capability where nvcc is installed
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    emulate: { type: 'boolean', default: false },
    compile: { type: 'boolean', default: false },
    sanitizer: { type: 'string' },
  },
});

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(`${command} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
const build = (...args) => run(process.execPath, ['scripts/build-cuda.mjs', ...args]);
const found = (command) => spawnSync(command, ['--version']).status === 0;

if (!values.emulate && !found('nvcc')) {
  console.log('cuda: skipped, nvcc is not installed');
} else if (values.compile) {
  build('--arch=90');
  build('--arch=90', '--target=cuda_check');
  console.log('cuda: compiled');
} else if (values.emulate) {
  build('--emulate', '--target=cuda_check');
  // Both orders at a time.
  run('ctest', [
    ...['--test-dir', 'build-cuda-emulated', '--parallel', '2'],
    ...['--output-on-failure', '--no-tests=error'],
  ]);
} else {
  build('--arch=native', '--target=cuda_check');
  const program = path.join('build-cuda', 'cuda_check');
  if (!values.sanitizer)
    run('ctest', ['--test-dir', 'build-cuda', '--output-on-failure', '--no-tests=error']);
  else
    run('compute-sanitizer', [
      '--tool',
      values.sanitizer,
      '--error-exitcode',
      '1',
      program,
      '--quick',
    ]);
}
