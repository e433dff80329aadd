/**
 * `npm run bench:cuda`: the CUDA kernels on this machine's GPU, beside a copy of as many bytes, and PyTorch's, Liger-Kernel's and QuACK's
 * where LOGITCORE_BENCH_PYTHON names a python3 that has them. A full run writes bench/results/cuda.{json,md,svg}; a quick or partial
 * one, or one of the emulated build, writes to bench/out. Without a GPU it says so and writes nothing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { plot } from './plot.js';
import { merge, table, type Own, type Rivals } from './table.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

interface Options {
  quick?: boolean;
  ops?: string;
  dtype?: string;
  columns?: string;
  rows?: string;
  memory?: string;
  program?: string;
}

/** What nvidia-smi says of the first GPU that this process can see; undefined where there is none. */
function nvidiaSmi(): { capability: string; driver: string } | undefined {
  const query = '--query-gpu=compute_cap,driver_version';
  const { status, stdout } = spawnSync('nvidia-smi', [query, '--format=csv,noheader'], {
    encoding: 'utf8',
  });
  const [capability, driver] = status === 0 ? stdout.split('\n')[0].split(',') : [];
  return capability && driver
    ? { capability: capability.trim(), driver: driver.trim() }
    : undefined;
}

/** The program, built for this GPU alone, which takes a fraction of the time. */
function build(capability: string): string {
  const arguments_ = ['--target=cuda_bench', `--arch=${capability.replace('.', '')}`];
  const script = path.join(root, 'scripts/build-cuda.mjs');
  const { status } = spawnSync(process.execPath, [script, ...arguments_], { stdio: 'inherit' });
  if (status !== 0) throw new Error('cuda_bench could not be built');
  return path.join(root, 'build-cuda/cuda_bench');
}

/** Its results; undefined where it finds no device, and has said so. */
function runOwn(program: string, options: Options, folder: string): Own | undefined {
  const json = path.join(folder, 'own.json');
  const lists = (['ops', 'dtype', 'columns', 'rows', 'memory'] as const).flatMap((name) => {
    const value = options[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
  const { status } = spawnSync(
    program,
    [...(options.quick ? ['--quick'] : []), ...lists, '--json', json, '--samples', folder],
    { stdio: 'inherit' },
  );
  if (status === 77) return undefined;
  if (status !== 0) throw new Error(`cuda_bench ended with ${status ?? 'a signal'}`);
  const own = JSON.parse(readFileSync(json, 'utf8')) as Own & { samples?: unknown };
  // Only torch_rows.py wants to know the files.
  delete own.samples;
  return own;
}

/** Results of the other libraries; undefined where there is none that could be asked. */
function runRivals(folder: string): Rivals | undefined {
  const python = process.env.LOGITCORE_BENCH_PYTHON;
  if (!python) {
    console.log('PyTorch: not run (set LOGITCORE_BENCH_PYTHON to a python3 that has torch)');
    return undefined;
  }
  const out = path.join(folder, 'torch.json');
  const { status } = spawnSync(
    python,
    [here('torch_rows.py'), path.join(folder, 'own.json'), folder, out],
    { stdio: 'inherit' },
  );
  if (status !== 0 || !existsSync(out)) {
    console.log('PyTorch: not run');
    return undefined;
  }
  const rivals = JSON.parse(readFileSync(out, 'utf8')) as Rivals;
  for (const reason of rivals.left) console.log(reason);
  return rivals;
}

function list(text: string): string {
  if (/^[\w+]+(,[\w+]+)*$/.test(text)) return text;
  throw new InvalidArgumentError('It is not a list with commas.');
}

async function main(): Promise<void> {
  const options = new Command('bench:cuda')
    .description('times the CUDA kernels against a copy, PyTorch, Liger-Kernel and QuACK')
    .option('--quick', 'three widths, five rounds, 4 GiB')
    .option('--ops <list>', 'some ops; cuda_bench --help lists them', list)
    .option('--dtype <list>', 'of f32, bf16, f16', list)
    .option('--columns <list>', 'widths', list)
    .option('--rows <list>', 'the first with which a shape fits the memory is taken', list)
    .option('--memory <gib>', 'that the arrays of a shape may take')
    .option('--program <file>', 'a cuda_bench that is built already')
    .parse()
    .opts<Options>();
  const gpu = nvidiaSmi();
  if (!gpu && options.program === undefined) {
    console.log('There is no NVIDIA GPU that this process can see, so nothing was measured.');
    return;
  }
  const program = options.program ?? build(gpu?.capability ?? '');
  const folder = mkdtempSync(path.join(tmpdir(), 'logitcore-bench-cuda-'));
  try {
    const own = runOwn(program, options, folder);
    if (!own) return;
    const rivals = own.emulated ? undefined : runRivals(folder);
    const partial = [options.quick, options.ops, options.dtype, options.columns, options.rows].some(
      Boolean,
    );
    const to = here(own.emulated || partial ? '../out/' : '../results/');
    const result = merge(own, rivals, gpu?.driver, new Date().toISOString().slice(0, 10));
    const markdown = table(result);
    mkdirSync(to, { recursive: true });
    writeFileSync(path.join(to, 'cuda.json'), `${JSON.stringify(result, null, 1)}\n`);
    writeFileSync(path.join(to, 'cuda.md'), markdown);
    await plot(path.join(to, 'cuda.svg'), result);
    console.log(`${markdown}\ncuda.json, .md and .svg: ${to}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
