// The CUDA addon that tests run with: a build for GPUs where there is one, else the build for the CPU (`npm run build:cuda -- --emulate`).
// Imported before the first use of logitcore/cuda, which looks for its addon then.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';

/** The addon's own functions, which take anything. */
export interface RawAddon {
  readonly records: readonly { readonly name: string }[];
  readonly emulated: boolean;
  unavailableReason(): string | undefined;
  call(...args: unknown[]): unknown;
  allocate(...args: unknown[]): unknown;
  upload(...args: unknown[]): unknown;
  dispose(...args: unknown[]): unknown;
  read(...args: unknown[]): Promise<unknown>;
}

const requireHere = createRequire(import.meta.url);
const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
export const emulatedBinary = at('build-cuda-emulated/logitcore_cuda.node');

function works(file: string): boolean {
  try {
    return (requireHere(file) as RawAddon).unavailableReason() === undefined;
  } catch {
    return false;
  }
}

function choose(): string | undefined {
  const files = [at('build-cuda/logitcore_cuda.node'), emulatedBinary];
  return process.env.LOGITCORE_CUDA_BINARY ?? files.find((file) => existsSync(file) && works(file));
}

/** Undefined where there is none; `describeCuda` lists its tests as skipped then. */
export const cudaBinary = choose();
if (cudaBinary !== undefined) process.env.LOGITCORE_CUDA_BINARY = cudaBinary;

export const rawAddon = (): RawAddon => requireHere(cudaBinary!) as RawAddon;
export const isEmulated = cudaBinary !== undefined && rawAddon().emulated;

export function describeCuda(name: string, tests: () => void): void {
  if (cudaBinary === undefined)
    describe.skip(
      `${name} (no GPU, and no build for the CPU: npm run build:cuda -- --emulate)`,
      tests,
    );
  else describe(name, tests);
}

/** Tests of what only the build for the CPU can be told to do. */
export function describeEmulated(name: string, tests: () => void): void {
  if (existsSync(emulatedBinary)) describe(name, tests);
  else describe.skip(`${name} (no build for the CPU: npm run build:cuda -- --emulate)`, tests);
}
