// npm run build:cuda                    builds the CUDA addon with nvcc into build-cuda/ and packages/cuda-linux-x64/
// npm run build:cuda -- --emulate       builds it for the CPU into build-cuda-emulated/, for tests on machines without a GPU
// npm run build:cuda -- --arch=90      builds for one compute capability only, which takes a fraction of the time
// npm run build:cuda -- --target=NAME  builds that target of cuda/CMakeLists.txt instead of the addon
// LOGITCORE_CUDA_JOBS says how many files are compiled at a time.
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import nodeGyp from './node-gyp-env.cjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(`${command} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** The folder of node_api.h: Node.js's own, or the package that has the same headers. */
function nodeHeaders() {
  const folder = nodeGyp.nodeFolder();
  return folder
    ? path.join(folder, 'include/node')
    : path.resolve(require('node-api-headers').include_dir);
}

const { values } = parseArgs({
  options: {
    emulate: { type: 'boolean', default: false },
    arch: { type: 'string' },
    target: { type: 'string', default: 'logitcore_cuda' },
  },
});
const folder = path.join(root, values.emulate ? 'build-cuda-emulated' : 'build-cuda');
const jobs = process.env.LOGITCORE_CUDA_JOBS ?? String(availableParallelism());

run('cmake', [
  '-S',
  path.join(root, 'cuda'),
  '-B',
  folder,
  `-DLOGITCORE_CUDA_EMULATE=${values.emulate ? 'ON' : 'OFF'}`,
  `-DLOGITCORE_WERROR=${process.env.LOGITCORE_WERROR === '1' ? 'ON' : 'OFF'}`,
  `-DLOGITCORE_NODE_INCLUDE=${nodeHeaders()}`,
  `-DLOGITCORE_ADDON_API=${path.resolve(require('node-addon-api').include_dir)}`,
  // What an earlier call chose is forgotten where this one says nothing.
  ...(values.arch
    ? [`-DLOGITCORE_CUDA_ARCHITECTURES=${values.arch}`]
    : ['-ULOGITCORE_CUDA_ARCHITECTURES']),
]);
run('cmake', ['--build', folder, '-j', jobs, '--target', values.target]);

if (values.target === 'logitcore_cuda') {
  const file = path.join(folder, 'logitcore_cuda.node');
  const { size } = statSync(file);
  console.log(`${path.relative(root, file)}: ${(size / 2 ** 20).toFixed(1)} MiB (${size} bytes)`);
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  if (!values.emulate) {
    const copy = path.join(root, 'packages/cuda-linux-x64/logitcore_cuda.node');
    copyFileSync(file, copy);
    console.log(`copied to ${path.relative(root, copy)}, version ${version}`);
  }
}
