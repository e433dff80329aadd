/** What the numbers were measured on; written into every result file. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { info } from 'logitcore';
import { pytorchVersion } from './rivals/pytorch.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly os: string;
  readonly isa: string;
  readonly node: string;
  readonly v8: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly date: string;
  /** Load average of the last minute before the run: other processes' work. */
  readonly load: number;
  /** GFLOP/s of float32 fused multiply-adds on registers alone, one thread; missing where it was not measured. */
  readonly fmaGflops?: number | undefined;
}

function packageVersion(name: string): string {
  const require = createRequire(import.meta.url);
  return (require(`${name}/package.json`) as { version: string }).version;
}

/** The arithmetic roof of this machine, by a native program that CMake builds; undefined where that fails. */
export function measureFmaGflops(): number | undefined {
  const script = fileURLToPath(new URL('../scripts/native.mjs', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [script, 'peak'], { encoding: 'utf8' });
  const json = status === 0 ? stdout.trim().split('\n').at(-1) : undefined;
  if (!json) return undefined;
  const rates = JSON.parse(json) as Record<string, { float32: number } | undefined>;
  const rate = rates[info().isa]?.float32;
  // An operation on one number a fused multiply-add is two.
  return rate && Math.round((2 * rate) / 1e8) / 10;
}

/** Whether others use so much of the machine that times of the wall clock mislead. */
export const isBusy = ({ load, cores }: Machine): boolean => load > cores / 4;

export function describeMachine(load: number, fmaGflops?: number): Machine {
  const { isa, version } = info();
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    os: `${os.type()} ${os.release()} ${os.arch()}`,
    isa,
    node: process.versions.node,
    v8: process.versions.v8,
    versions: {
      logitcore: version,
      '@tensorflow/tfjs': packageVersion('@tensorflow/tfjs'),
      'onnxruntime-node': packageVersion('onnxruntime-node'),
      pytorch: pytorchVersion() ?? 'not run',
    },
    date: new Date().toISOString().slice(0, 10),
    load: Math.round(100 * load) / 100,
    fmaGflops,
  };
}
