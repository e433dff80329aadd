// Reads arguments of a call: this may run code of the caller (getters, proxies). Values are checked in C++; here only the kinds that a
// Float64Array cannot carry.
import { isOnDevice, kindOf } from './arguments.js';
import { maxRank, type InputPlan, type Plan } from './plan.js';
import type { RealArray } from './types.js';

export type Numbers = Int32Array | RealArray;

export interface Operand<D = Numbers> {
  readonly data: D;
  readonly rank: number;
  readonly shape: readonly number[];
}

export function readOption(plan: Plan, index: number, value: unknown): number | undefined {
  const option = plan.options[index];
  if (option.kind === 'choice') {
    const at = option.choices!.indexOf(value as string);
    if (at >= 0) return at;
    const number = hasTwin(plan, index);
    if (number && typeof value === 'number') return undefined;
    const expected = `one of ${option.choices!.map((choice) => `'${choice}'`).join(', ')}${number ? ' or a number' : ''}`;
    if (typeof value !== 'string')
      throw new TypeError(
        `${plan.name}: options.${option.name} must be ${expected}, got ${kindOf(value)}`,
      );
    throw new RangeError(
      `${plan.name}: options.${option.name} is '${value}', expected ${expected}`,
    );
  }
  if (option.kind === 'boolean') {
    if (typeof value === 'boolean') return value ? 1 : 0;
    throw new TypeError(
      `${plan.name}: options.${option.name} must be true or false, got ${kindOf(value)}`,
    );
  }
  if (typeof value === 'number') return value;
  if (typeof value === 'string' && hasTwin(plan, index)) return undefined;
  if (typeof value === 'object' && plan.inputs.some((input) => input.numberOption === index))
    return undefined;
  throw new TypeError(
    `${plan.name}: options.${option.name} must be a number, got ${kindOf(value)}`,
  );
}

// A word or a number (scale): two options of one name, the choice first.
function hasTwin(plan: Plan, index: number): boolean {
  const { name } = plan.options[index];
  return plan.options.some((option, k) => k !== index && option.name === name);
}

// Masks and lists of numbers come in more types than kernels take; both are short beside the logits they go with.
export function readNumbers(plan: Plan, input: InputPlan, value: unknown): Operand<Float64Array> {
  // A proxy is an instance of what it stands for, but cannot be read as one.
  const isView =
    ArrayBuffer.isView(value) && (value instanceof Float32Array || value instanceof Float64Array);
  if (!isView && !Array.isArray(value))
    throw new TypeError(
      `${plan.name}: ${input.label} must be an array of numbers, a Float32Array or a Float64Array, got ${kindOf(value)}`,
    );
  if (isView) checkAttached(plan.name, input.label, value);
  const data = Float64Array.from(value as ArrayLike<unknown>, (x, at) => {
    if (typeof x === 'number') return x;
    throw new TypeError(`${plan.name}: ${input.label}[${at}] must be a number, got ${kindOf(x)}`);
  });
  return { data, rank: 1, shape: [data.length] };
}

export function readInput(plan: Plan, input: InputPlan, value: unknown): Operand {
  if (input.kind === 'numbers') return readNumbers(plan, input, value);
  if (input.kind === 'mask' && Array.isArray(value)) return readMaskList(plan, input, value);
  const operand = readOperand(plan.name, input.label, value);
  if (input.kind !== 'mask') return operand;
  const data: unknown = operand.data;
  if (data instanceof Int32Array) return operand;
  if (data instanceof Uint8Array) {
    checkAttached(plan.name, input.label, data);
    return { ...operand, data: Int32Array.from(data) };
  }
  throw new TypeError(
    `${plan.name}: ${input.label} must be a Uint8Array or Int32Array, got ${kindOf(data)}`,
  );
}

function readMaskList(plan: Plan, input: InputPlan, value: readonly unknown[]): Operand {
  const data = Int32Array.from(value, (x, at) => {
    if (typeof x === 'number' || typeof x === 'boolean') return x ? 1 : 0;
    throw new TypeError(`${plan.name}: ${input.label}[${at}] must be 0 or 1, got ${kindOf(x)}`);
  });
  return { data, rank: 1, shape: [data.length] };
}

function checkAttached(op: string, name: string, { buffer }: ArrayBufferView): void {
  try {
    new Uint8Array(buffer);
  } catch {
    throw new TypeError(`${op}: ${name} has a detached ArrayBuffer`);
  }
}

function readOperand(op: string, name: string, value: unknown): Operand {
  if (ArrayBuffer.isView(value)) {
    const data = value as Numbers;
    return { data, rank: 1, shape: [data.length] };
  }
  if (typeof value === 'object' && value !== null) {
    const tensor = value as { data?: unknown; shape?: unknown; dims?: unknown };
    const data = tensor.data;
    const sizes = (tensor.shape ?? tensor.dims) as ArrayLike<unknown> | undefined;
    if (
      ArrayBuffer.isView(data) &&
      typeof sizes === 'object' &&
      sizes !== null &&
      typeof sizes.length === 'number'
    ) {
      const rank = sizes.length;
      const shape: number[] = [];
      for (let k = 0; k < rank && k < maxRank; k += 1) {
        const size = sizes[k];
        shape.push(typeof size === 'number' ? size : NaN);
      }
      return { data: data as Numbers, rank, shape };
    }
  }
  if (isOnDevice(value))
    throw new TypeError(
      `${op}: ${name} is on the CUDA device, but this function computes on the host: pass what its read() gives, or call ${op} of logitcore/cuda`,
    );
  throw new TypeError(
    `${op}: ${name} must be a typed array, { data, shape } or { data, dims }, got ${kindOf(value)}`,
  );
}
