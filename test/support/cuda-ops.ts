/** Calls ops on the device with samples that were made for the host. */
import { ops, type OpRecord } from 'logitcore';
import * as cuda from 'logitcore/cuda';
import * as deviceOps from '../../lib/cuda/ops.js';
import { argumentsOf, type Result } from './invoke.js';
import type { ArrayValue, Numbers, Sample } from './samples.js';

export type Storage = 'f32' | 'bf16' | 'f16';
export const storages: readonly Storage[] = ['f32', 'bf16', 'f16'];

export const deviceNames: readonly string[] = Object.keys(deviceOps);

/** The ops of logitcore/cuda. They are listed without its addon, so that tests that are skipped have names. */
export const deviceRecords: readonly OpRecord[] = ops().filter(({ name }) => name in deviceOps);

type DeviceFunction = (...args: unknown[]) => Record<string, cuda.CudaTensor | undefined>;

export const deviceOp = (name: string): DeviceFunction =>
  (deviceOps as unknown as Record<string, DeviceFunction>)[name];

/** Arrays that may be halves: classes, or those of a teacher, are their columns. All other real ones are float32. */
export const hasClasses = (dims: string): boolean => /,[cv]$/.test(dims);

export const storageOf = (dims: string, storage: Storage): Storage =>
  hasClasses(dims) ? storage : 'f32';

/** Makes tensors and gives their memory back at the end of a test. */
export class Tensors implements Disposable {
  private readonly held = new Set<cuda.CudaTensor>();

  make(data: Numbers, shape: readonly number[], dtype: cuda.DType): cuda.CudaTensor {
    // Samples for float64 hold float32 numbers too.
    const values = dtype !== 'f64' && data instanceof Float64Array ? Float32Array.from(data) : data;
    return this.hold(cuda.tensor(values, shape, { dtype }));
  }

  hold(tensor: cuda.CudaTensor): cuda.CudaTensor {
    this.held.add(tensor);
    return tensor;
  }

  inputs(sample: Sample, storage: Storage): Record<string, cuda.CudaTensor> {
    const made: Record<string, cuda.CudaTensor> = {};
    for (const { name, dims, kind } of sample.record.inputs) {
      // Lists of numbers stay on the host.
      if (!(name in sample.inputs) || kind === 'numbers') continue;
      const { data, shape } = sample.inputs[name];
      made[name] = this.make(
        data,
        shape,
        data instanceof Int32Array ? 'i32' : storageOf(dims, storage),
      );
    }
    return made;
  }

  run(
    sample: Sample,
    given: Readonly<Record<string, cuda.CudaTensor>>,
    out?: Readonly<Record<string, cuda.CudaTensor>>,
  ): Record<string, cuda.CudaTensor | undefined> {
    const replaced = out ? { ...given, 'options.out': out } : given;
    const result = deviceOp(sample.record.name)(...argumentsOf(sample, replaced));
    for (const tensor of Object.values(result)) if (tensor) this.hold(tensor);
    return result;
  }

  [Symbol.dispose](): void {
    for (const tensor of this.held) tensor.dispose();
  }
}

/** Outputs as arrays, and those that are a number as numbers. */
export async function readAll(
  result: Readonly<Record<string, cuda.CudaTensor | undefined>>,
): Promise<Result> {
  const read = await Promise.all(
    Object.entries(result).map(async ([name, tensor]) => {
      const values = await tensor?.read();
      return [name, tensor?.dtype === 'f64' ? values![0] : values] as const;
    }),
  );
  return Object.fromEntries(read);
}

/** The outputs that may be written over an input, by name, with that input. */
export const placesOf = (sample: Sample): [output: string, input: string][] =>
  sample.record.outputs.flatMap(({ name, inPlaceOf, when }): [string, string][] =>
    inPlaceOf !== undefined && (when === undefined || sample.options[when] === true)
      ? [[name, inPlaceOf]]
      : [],
  );

export async function callOnDevice(
  sample: Sample,
  storage: Storage,
  inPlace = false,
): Promise<Result> {
  using tensors = new Tensors();
  const given = tensors.inputs(sample, storage);
  const places = inPlace ? placesOf(sample) : [];
  const out = Object.fromEntries(places.map(([output, input]) => [output, given[input]]));
  return await readAll(tensors.run(sample, given, places.length > 0 ? out : undefined));
}

/** The sample with the numbers that its arrays have on the device. */
export async function rounded(sample: Sample, storage: Storage): Promise<Sample> {
  if (storage === 'f32') return sample;
  using tensors = new Tensors();
  const given = tensors.inputs(sample, storage);
  const inputs: Record<string, ArrayValue> = { ...sample.inputs };
  for (const [name, tensor] of Object.entries(given))
    inputs[name] = { data: await tensor.read(), shape: sample.inputs[name].shape };
  return { ...sample, inputs };
}
