import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { binding as cpu, packageRoot } from '../binding.js';
import type { OpRecord } from '../record.js';

// The CUDA addon is a file of its own, which few machines have. It is looked for at the first use, and why it cannot be used is kept.

/** How the values of a tensor are stored: real numbers as f32, bf16 or f16, indices as i32, numbers that an op gives as f64. */
export type DType = 'f32' | 'bf16' | 'f16' | 'i32' | 'f64';

/** The place in the list is the number in C++. */
export const dtypes: readonly DType[] = ['f32', 'bf16', 'f16', 'i32', 'f64'];

/** A block of device memory, which only the addon can look into. */
export interface Handle {
  readonly handle: unique symbol;
}

/** A CUDA device of this machine. */
export interface CudaDevice {
  readonly name: string;
  readonly computeCapability: string;
  /** In bytes. */
  readonly memory: number;
  readonly multiprocessors: number;
  /** Whether this process computes on it. */
  readonly used: boolean;
}

/** Device memory of this process, in bytes. */
export interface CudaMemory {
  /** Of tensors, rounded up. */
  readonly used: number;
  /** Kept for the next tensors. */
  readonly cached: number;
  /** The most that was used at a time. */
  readonly peak: number;
  /** Of the device. */
  readonly total: number;
  /** Tensors that have not been disposed of. */
  readonly tensors: number;
}

/** Versions of what the addon works with. */
export interface CudaVersions {
  /** The newest CUDA that the driver supports; undefined without a driver. */
  readonly driver?: string;
  /** The CUDA that the addon is built with. */
  readonly runtime: string;
  /** NVIDIA's library that multiplies large matrices where this machine has it; undefined where the addon's own kernel does. */
  readonly cublasLt?: string;
}

/** What the CUDA addon exports. `who` begins the messages. */
export interface CudaBinding {
  readonly records: readonly OpRecord[];
  readonly version: string;
  /** Built for the CPU, where tests run without a GPU. */
  readonly emulated: boolean;
  /** Lists of numbers stay on the host. */
  call(id: number, frame: Float64Array, ...arrays: (Handle | Float64Array | undefined)[]): void;
  allocate(who: string, dtype: number, length: number): Handle;
  upload(who: string, dtype: number, data: ArrayBufferView): Handle;
  dispose(tensor: Handle): void;
  read(tensor: Handle): Promise<Float32Array | Int32Array | Float64Array>;
  synchronize(): Promise<void>;
  memory(): CudaMemory;
  devices(): CudaDevice[];
  unavailableReason(): string | undefined;
  versions(): CudaVersions;
}

interface Found {
  readonly binding?: CudaBinding;
  readonly path?: string;
  readonly reason: string;
}

const requireHere = createRequire(import.meta.url);
const packageName = `@logitcore/cuda-${process.platform}-${process.arch}`;

/** The addon file: the one that the environment names, a build of this machine, or that of the package for this platform. */
function file(): string | undefined {
  const chosen = process.env.LOGITCORE_CUDA_BINARY;
  if (chosen) return chosen;
  const built = join(packageRoot(), 'build-cuda', 'logitcore_cuda.node');
  if (existsSync(built)) return built;
  try {
    return requireHere.resolve(packageName);
  } catch {
    return undefined;
  }
}

function find(): Found {
  const path = file();
  if (path === undefined)
    return {
      reason:
        packageName === '@logitcore/cuda-linux-x64'
          ? `there is no CUDA addon: install ${packageName}, or build it with \`npm run build:cuda\` in the sources of logitcore`
          : `there is no CUDA addon for ${process.platform} on ${process.arch}: use a machine with Linux on x64`,
    };
  if (!existsSync(path))
    return { reason: `there is no file ${path}: install ${packageName} again` };
  let binding: CudaBinding;
  try {
    binding = requireHere(path) as CudaBinding;
  } catch (error) {
    return {
      reason: `${path} does not load (${(error as Error).message.trim()}): install ${packageName} again`,
    };
  }
  if (binding.version !== cpu.version)
    return {
      reason: `${path} is of version ${binding.version}, but logitcore is ${cpu.version}: install the same version of both`,
    };
  return { binding, path, reason: binding.unavailableReason() ?? '' };
}

let found: Found | undefined;

export const loadCuda = (): Found => (found ??= find());

/** The addon with a device. */
export function cudaBinding(): CudaBinding {
  const { binding, reason } = loadCuda();
  if (!binding || reason) throw new Error(`logitcore: CUDA is not available: ${reason}`);
  return binding;
}
