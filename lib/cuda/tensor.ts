import { checkChoice, deviceMark, kindOf } from '../arguments.js';
import { maxRank } from '../plan.js';
import { cudaBinding, dtypes, type DType, type Handle } from './binding.js';

/** The memory of a tensor, as calls pass it on. */
export interface DeviceArray {
  readonly handle: Handle;
  readonly dtype: DType;
  readonly length: number;
  /** The tensor that it was given with. */
  readonly owner?: CudaTensor;
}

let arrayOf: (tensor: CudaTensor) => DeviceArray;
let isTensor: (value: object) => value is CudaTensor;

/**
 * A tensor in device memory. Its memory is free again when it is disposed of or collected; the collector does not know how scarce
 * device memory is, so dispose of large tensors.
 */
export class CudaTensor implements Disposable {
  readonly shape: readonly number[];
  /** f32, bf16 or f16 of real numbers, i32 of indices, f64 of a number that an op gives. */
  readonly dtype: DType;
  /** The number of values. */
  readonly size: number;
  readonly #handle: Handle;

  static {
    arrayOf = (tensor) => ({
      handle: tensor.#handle,
      dtype: tensor.dtype,
      length: tensor.size,
      owner: tensor,
    });
    isTensor = (value): value is CudaTensor => #handle in value;
    Object.defineProperty(this.prototype, deviceMark, { value: true });
  }

  /** @internal */
  constructor(array: DeviceArray, shape: readonly number[]) {
    this.shape = Object.freeze([...shape]);
    this.dtype = array.dtype;
    this.size = array.length;
    this.#handle = array.handle;
  }

  /**
   * The values: a Float32Array of f32, bf16 and f16, an Int32Array of i32, a Float64Array of f64. They are those of now; calls that
   * come later may overwrite the tensor before the promise settles.
   * @throws RangeError (as a rejection) if an op before it met an index out of range
   */
  async read(): Promise<Float32Array | Int32Array | Float64Array> {
    return cudaBinding().read(this.#handle);
  }

  /** The value of a tensor with a single one. */
  async item(): Promise<number> {
    if (this.size !== 1)
      throw new RangeError(`item: the tensor has ${this.size} values, expected 1; use read()`);
    return (await this.read())[0];
  }

  /** Gives the memory back; the tensor cannot be used after. Doing it again does nothing. */
  dispose(): void {
    cudaBinding().dispose(this.#handle);
  }

  /** The end of the scope of a `using` declaration disposes of it. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

export const arrayOfTensor = (tensor: CudaTensor): DeviceArray => arrayOf(tensor);

/** A proxy of a tensor is none. */
export function isCudaTensor(value: unknown): value is CudaTensor {
  return typeof value === 'object' && value !== null && isTensor(value);
}

/** Arrays that tensors are made of. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint16Array;

/** Options of {@link tensor}. */
export interface TensorOptions {
  /**
   * How the values are stored: f32, bf16 or f16 of a Float32Array (rounded to the nearest, ties to even), bf16 or f16 of a Uint16Array
   * that has their bits, i32 of an Int32Array, f64 of a Float64Array. Default: the array's own type.
   */
  dtype?: DType | undefined;
}

function ownType(data: unknown): DType {
  if (data instanceof Int32Array) return 'i32';
  if (data instanceof Float64Array) return 'f64';
  if (data instanceof Uint16Array)
    throw new TypeError(
      "tensor: options.dtype is missing, expected 'bf16' or 'f16' for a Uint16Array",
    );
  return 'f32';
}

function checkShape(shape: unknown, length: number): readonly number[] {
  if (!Array.isArray(shape))
    throw new TypeError(`tensor: shape must be an array of sizes, got ${kindOf(shape)}`);
  if (shape.length > maxRank)
    throw new RangeError(
      `tensor: shape has ${shape.length} dimensions, expected at most ${maxRank}`,
    );
  // Copied first: a proxy may say something else the next time.
  const sizes: unknown[] = Array.from(shape);
  let elements = 1;
  sizes.forEach((size, at) => {
    if (typeof size !== 'number')
      throw new TypeError(`tensor: shape[${at}] must be a number, got ${kindOf(size)}`);
    if (!(Number.isSafeInteger(size) && size >= 0))
      throw new RangeError(`tensor: shape[${at}] is ${size}, expected a non-negative integer`);
    elements *= size;
  });
  if (elements !== length)
    throw new RangeError(
      `tensor: data has ${length} values, but shape [${sizes.join(', ')}] has ${elements} elements`,
    );
  return sizes as number[];
}

/**
 * Copies an array to the device.
 * @param shape default `[data.length]`
 * @throws TypeError or RangeError for a wrong type or shape; Error without a device, or without memory on it
 */
export function tensor(
  data: HostArray,
  shape?: readonly number[],
  options?: TensorOptions,
): CudaTensor {
  if (!ArrayBuffer.isView(data))
    throw new TypeError(`tensor: data must be a typed array, got ${kindOf(data)}`);
  if (options !== undefined && (typeof options !== 'object' || options === null))
    throw new TypeError(`tensor: options must be an object, got ${kindOf(options)}`);
  const asked = options?.dtype;
  const dtype =
    asked === undefined ? ownType(data) : checkChoice('tensor', 'options.dtype', asked, dtypes);
  const sizes = shape === undefined ? [data.length] : checkShape(shape, data.length);
  const handle = cudaBinding().upload('tensor', dtypes.indexOf(dtype), data);
  return new CudaTensor({ handle, dtype, length: data.length }, sizes);
}
