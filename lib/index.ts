/**
 * Losses and measures on logits: every op by its name, the records of the ops, and what this process runs on.
 *
 * @module logitcore
 */
import { binaryPath, binding } from './binding.js';
import { loadCuda } from './cuda/binding.js';
import type { OpRecord } from './record.js';

export * from './softmax.js';
export * from './divergence.js';
export * from './binary.js';
export * from './selection.js';
export * from './spherical.js';
export * from './factored.js';
export * from './spherical-layer.js';
export * from './stablemax.js';
export * from './normalization.js';
export * from './monitors.js';
export * from './optimizer.js';
export * from './scaling.js';
export * from './radius.js';
export * from './lineprobe.js';
export * from './perceptron.js';
export * from './minillm.js';
export * from './alignment.js';
export * from './quantization.js';
export * from './bits.js';
export * from './ranking.js';
export * from './gw.js';
export * from './uld.js';
export * from './transport.js';
export * from './gld.js';
export * from './distillation.js';
export * from './heads.js';
export * from './matrix.js';
export type * from './record.js';
export type { CallOptions, Logits, Mask, RealArray, Reduction, Targets, Tensor } from './types.js';

/** What this process runs on. */
export interface Info {
  readonly version: string;
  /** The instruction level in use: avx512, avx2, neon or portable. */
  readonly isa: string;
  /** The best level of this machine; `LOGITCORE_ISA` caps what is used. */
  readonly machineIsa: string;
  readonly threads: number;
  /** The addon file that was loaded. */
  readonly binary: string;
  readonly platform: string;
  readonly arch: string;
  readonly node: string;
  readonly cuda: CudaInfo;
}

/** Whether `logitcore/cuda` can be used. */
export interface CudaInfo {
  readonly available: boolean;
  /** Why not, and what to do. */
  readonly reason?: string;
  /** The device in use. */
  readonly device?: string;
  /** The addon file, if one loads. */
  readonly binary?: string;
  /** The newest CUDA version that the driver supports. */
  readonly driver?: string;
}

/** Version, instruction level, threads, the loaded files and the CUDA device: what a bug report needs. */
export function info(): Info {
  return {
    version: binding.version,
    isa: binding.isa,
    machineIsa: binding.machineIsa,
    threads: binding.getNumThreads(),
    binary: binaryPath,
    platform: process.platform,
    arch: process.arch,
    node: process.versions.node,
    cuda: cudaInfo(),
  };
}

function cudaInfo(): CudaInfo {
  const { binding: cuda, path, reason } = loadCuda();
  const device = cuda?.devices().find(({ used }) => used)?.name;
  const driver = cuda?.versions().driver;
  return {
    available: reason === '',
    ...(reason && { reason }),
    ...(device !== undefined && { device }),
    ...(cuda && path !== undefined && { binary: path }),
    ...(driver !== undefined && { driver }),
  };
}

/** The records of all native ops. */
export function ops(): readonly OpRecord[] {
  return binding.records;
}

/**
 * Sets how many threads an op may use, 1 to 1024. Results do not depend on it. Default: the processors of this process, or
 * `LOGITCORE_NUM_THREADS`.
 */
export function setNumThreads(n: number): void {
  binding.setNumThreads(n);
}

/** How many threads an op may use. */
export function getNumThreads(): number {
  return binding.getNumThreads();
}
