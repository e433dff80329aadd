/**
 * Ops on a CUDA device: tensors in device memory, and the ops of `logitcore` on them, with the same options and the same results as
 * tensors.
 *
 * ```ts
 * import * as cuda from 'logitcore/cuda';
 *
 * using logits = cuda.tensor(new Float32Array(6), [2, 3], { dtype: 'bf16' });
 * using targets = cuda.tensor(new Int32Array([0, 2]));
 * const { loss, gradLogits } = cuda.crossEntropy(logits, targets, { grad: true });
 * console.log(await loss.item());
 * ```
 *
 * A call puts work on the device and returns; `read`, `item` and `synchronize` wait for it. Values of indices are checked on the device:
 * one that is out of range makes the next of these reject with a RangeError that names the op and the argument.
 *
 * @module logitcore/cuda
 */
import {
  cudaBinding,
  loadCuda,
  type CudaDevice,
  type CudaMemory,
  type CudaVersions,
} from './cuda/binding.js';

export * from './cuda/ops.js';
export { CudaTensor, tensor } from './cuda/tensor.js';
export type { HostArray, TensorOptions } from './cuda/tensor.js';
export type { CudaDevice, CudaMemory, CudaVersions, DType } from './cuda/binding.js';
export type { DeviceOp } from './cuda/types.js';

/** Whether there is a CUDA device that this process can compute on. */
export function isAvailable(): boolean {
  return loadCuda().reason === '';
}

/** Why there is none, and what to do; undefined if there is one. */
export function unavailableReason(): string | undefined {
  return loadCuda().reason || undefined;
}

/** The CUDA devices of this machine; `LOGITCORE_CUDA_DEVICE` chooses the one that is used. */
export function devices(): readonly CudaDevice[] {
  return loadCuda().binding?.devices() ?? [];
}

/**
 * The versions of the driver, of CUDA and of cuBLASLt, which multiplies large matrices where the dynamic linker finds it
 * (`libcublasLt.so.13` or `.12`, as in NVIDIA's toolkit). The environment variable `LOGITCORE_CUBLASLT` names another file, or is empty
 * for none.
 */
export function versions(): CudaVersions {
  return cudaBinding().versions();
}

/** The device memory of this process. */
export function memory(): CudaMemory {
  return cudaBinding().memory();
}

/**
 * Settles when the device has done all that was asked of it.
 * @throws RangeError (as a rejection) if an op met an index out of range since the last read
 */
export async function synchronize(): Promise<void> {
  return cudaBinding().synchronize();
}
