import { binding } from './binding.js';
import type { OpRecord } from './record.js';
import type { RealArray } from './types.js';

// Numbers travel in one Float64Array a call, the frame, laid out as in cpp/addon/plan.h: (rank, 8 sizes) an input, (given, value)
// an option, one scalar an output. Values are checked in C++; here only the kinds that a Float64Array cannot carry.
const maxRank = 8;
const inputSlots = 1 + maxRank;

type Numbers = Int32Array | RealArray;

interface Plan {
  readonly id: number;
  readonly record: OpRecord;
  readonly frame: Float64Array;
  readonly optionAt: number;
  readonly scalarAt: number;
  readonly inputDims: readonly (readonly string[])[];
  readonly outputDims: readonly (readonly string[])[];
  readonly reductionAt: number;
  /** Position of each input among the positional arguments, or -1 for one that is an option. */
  readonly position: readonly number[];
}

interface Operand {
  readonly data: Numbers;
  readonly rank: number;
  readonly shape: readonly number[];
}

const plans = new Map<string, Plan>();
binding.records.forEach((record, id) => {
  const optionAt = record.inputs.length * inputSlots;
  const scalarAt = optionAt + 2 * record.options.length;
  let positional = 0;
  plans.set(record.name, {
    id,
    record,
    frame: new Float64Array(scalarAt + record.outputs.length),
    optionAt,
    scalarAt,
    inputDims: record.inputs.map((input) => input.dims.split(',')),
    outputDims: record.outputs.map((output) => (output.dims === '' ? [] : output.dims.split(','))),
    reductionAt: record.options.findIndex((option) => option.name === 'reduction'),
    position: record.inputs.map((input) => (input.fromOptions ? -1 : positional++)),
  });
});

let inBackground = false;

/** Runs `start` so that the op it calls works on a background thread and returns a promise. */
export function background<R>(start: () => R): Promise<R> {
  inBackground = true;
  try {
    return start() as unknown as Promise<R>;
  } finally {
    inBackground = false;
  }
}

/**
 * Calls an op: reads all arguments (which may run code of the caller), then packs and calls, which cannot.
 * @param tensors positional arguments in the order of the record
 * @param finish turns the plain outputs into the op's result
 */
export function call(name: string, tensors: readonly unknown[], options: unknown, finish?: (result: Record<string, unknown>) => unknown): never {
  const promised = inBackground;
  inBackground = false;
  const plan = plans.get(name);
  if (!plan) throw new Error(`logitcore: the addon has no op ${name}; rebuild it`);
  if (!promised) return run(plan, tensors, options, finish) as never;
  try {
    return runInBackground(plan, tensors, options, finish) as never;
  } catch (error) {
    return Promise.reject(error as Error) as never;
  }
}

function run(plan: Plan, tensors: readonly unknown[], options: unknown, finish?: (result: Record<string, unknown>) => unknown): unknown {
  const request = read(plan, tensors, options);
  const frame = plan.frame;
  pack(plan, request, frame);
  binding.call(plan.id, frame, ...request.arrays);
  const result = unpack(plan, request, frame);
  return finish ? finish(result) : result;
}

// Background jobs wait here rather than in the thread pool of Node, which file system and name look-ups share.
const maxRunning = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function runInBackground(plan: Plan, tensors: readonly unknown[], options: unknown, finish?: (result: Record<string, unknown>) => unknown): Promise<unknown> {
  const request = read(plan, tensors, options);
  for (const array of request.arrays)
    if (array !== undefined && (array.buffer as { resizable?: boolean }).resizable)
      throw new TypeError(`${plan.record.name}: an array on a resizable ArrayBuffer cannot be used on a background thread`);
  const frame = new Float64Array(plan.frame.length);
  pack(plan, request, frame);
  if (running >= maxRunning) await turn(request.signal);
  running += 1;
  try {
    await binding.callInBackground(plan.id, frame, ...request.arrays);
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
  const result = unpack(plan, request, frame);
  return finish ? finish(result) : result;
}

function turn(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    };
    const stop = () => {
      waiting.splice(waiting.indexOf(start), 1);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', stop, { once: true });
    waiting.push(start);
  });
}

interface Request {
  readonly operands: (Operand | undefined)[];
  readonly values: (number | undefined)[];
  readonly arrays: (Numbers | undefined)[];
  readonly signal: AbortSignal | undefined;
}

function read(plan: Plan, tensors: readonly unknown[], options: unknown): Request {
  const { record } = plan;
  if (options !== undefined && (typeof options !== 'object' || options === null))
    throw new TypeError(`${record.name}: options must be an object, got ${kindOf(options)}`);
  const given = options as Record<string, unknown> | undefined;
  const signal = given?.['signal'] as AbortSignal | undefined;
  if (signal !== undefined) signal.throwIfAborted();
  const inputs = record.inputs;
  const operands: (Operand | undefined)[] = [];
  for (let i = 0; i < inputs.length; i += 1) {
    const input = inputs[i]!;
    const at = plan.position[i]!;
    const value = at >= 0 ? tensors[at] : given?.[input.name];
    // An option that may be a number or an array (alpha) is the number here.
    if (value === undefined || (at < 0 && typeof value === 'number' && hasOption(record, input.name))) {
      if (!input.optional) throw new TypeError(`${record.name}: ${input.name} is missing`);
      operands.push(undefined);
    } else {
      operands.push(readOperand(record.name, at >= 0 ? input.name : `options.${input.name}`, value));
    }
  }
  const values: (number | undefined)[] = [];
  for (let i = 0; i < record.options.length; i += 1) values.push(given && readOption(record, i, given));
  const arrays: (Numbers | undefined)[] = operands.map((operand) => operand?.data);
  const out = given?.['out'];
  if (out !== undefined && (typeof out !== 'object' || out === null))
    throw new TypeError(`${record.name}: options.out must be an object of output arrays, got ${kindOf(out)}`);
  const buffers = record.outputs.map((output) => (out as Record<string, unknown> | undefined)?.[output.name]);
  addOutputs(plan, operands, values, buffers, arrays);
  return { operands, values, arrays, signal };
}

function hasOption(record: OpRecord, name: string): boolean {
  return record.options.some((option) => option.name === name);
}

function readOption(record: OpRecord, index: number, given: Record<string, unknown>): number | undefined {
  const option = record.options[index]!;
  const value = given[option.name];
  if (value === undefined) return undefined;
  if (option.kind === 'choice') {
    const at = option.choices!.indexOf(value as string);
    if (at >= 0) return at;
    const expected = `one of ${option.choices!.map((choice) => `'${choice}'`).join(', ')}`;
    if (typeof value !== 'string') throw new TypeError(`${record.name}: options.${option.name} must be ${expected}, got ${kindOf(value)}`);
    throw new RangeError(`${record.name}: options.${option.name} is '${value}', expected ${expected}`);
  }
  if (option.kind === 'boolean') {
    if (typeof value === 'boolean') return value ? 1 : 0;
    throw new TypeError(`${record.name}: options.${option.name} must be true or false, got ${kindOf(value)}`);
  }
  if (typeof value === 'number') return value;
  if (ArrayBuffer.isView(value) && record.inputs.some((input) => input.fromOptions && input.name === option.name)) return undefined;
  throw new TypeError(`${record.name}: options.${option.name} must be a number, got ${kindOf(value)}`);
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
    if (ArrayBuffer.isView(data) && typeof sizes === 'object' && sizes !== null && typeof sizes.length === 'number') {
      const rank = sizes.length;
      const shape: number[] = [];
      for (let k = 0; k < rank && k < maxRank; k += 1) {
        const size = sizes[k];
        shape.push(typeof size === 'number' ? size : NaN);
      }
      return { data: data as Numbers, rank, shape };
    }
  }
  throw new TypeError(`${op}: ${name} must be a typed array, { data, shape } or { data, dims }, got ${kindOf(value)}`);
}

// Output arrays that the caller did not give. Sizes that make no sense are left for the checks in C++ to report.
function addOutputs(plan: Plan, operands: readonly (Operand | undefined)[], values: (number | undefined)[], buffers: readonly unknown[], arrays: (Numbers | undefined)[]): void {
  const { record } = plan;
  const sizes: Record<string, number> = {};
  let isDouble: boolean | undefined;
  let sound = true;
  for (let i = 0; i < operands.length; i += 1) {
    const operand = operands[i];
    if (!operand) continue;
    if (record.inputs[i]!.kind === 'real') isDouble ??= operand.data instanceof Float64Array;
    sound &&= bindSizes(sizes, plan.inputDims[i]!, operand);
  }
  for (let i = 0; i < record.outputs.length; i += 1) {
    const output = record.outputs[i]!;
    const buffer = buffers[i];
    let wanted = isWanted(plan, values, operands, output.when);
    // Giving the buffer is asking for it, unless the option says no.
    if (!wanted && buffer !== undefined && output.when !== undefined) wanted = ask(record, values, output.when);
    const reduction = plan.reductionAt < 0 ? undefined : record.options[plan.reductionAt]!.choices![values[plan.reductionAt] ?? -1] ?? record.options[plan.reductionAt]!.default;
    if (!wanted || output.kind === 'scalar' || (output.kind === 'reduced' && reduction !== 'none')) {
      arrays.push(undefined);
    } else if (buffer !== undefined) {
      if (!ArrayBuffer.isView(buffer)) throw new TypeError(`${record.name}: options.out.${output.name} must be a typed array, got ${kindOf(buffer)}`);
      arrays.push(buffer as Numbers);
    } else {
      let length = 1;
      for (const dim of plan.outputDims[i]!) length *= sizeOf(record, sizes, values, dim);
      if (!sound || !(length >= 0 && length <= 2 ** 40)) length = 0;
      arrays.push(output.type === 'int32' ? new Int32Array(length) : isDouble ? new Float64Array(length) : new Float32Array(length));
    }
  }
}

function bindSizes(sizes: Record<string, number>, dims: readonly string[], operand: Operand): boolean {
  const leading = dims[0] === '*' ? 1 : 0;
  const fixed = dims.length - leading;
  const lead = operand.rank - fixed;
  if (operand.rank > maxRank || lead < 0) return false;
  let elements = 1;
  for (const size of operand.shape) elements *= size;
  if (elements !== operand.data.length) return false;
  if (leading) {
    let product = 1;
    for (let k = 0; k < lead; k += 1) product *= operand.shape[k]!;
    sizes['*'] ??= product;
  }
  for (let k = 0; k < fixed; k += 1) {
    const dim = dims[k + leading]!;
    const plus = dim.indexOf('+');
    if (plus < 0) sizes[dim] ??= operand.shape[lead + k]!;
    else sizes[dim.slice(0, plus)] ??= operand.shape[lead + k]! - Number(dim.slice(plus + 1));
  }
  return true;
}

function sizeOf(record: OpRecord, sizes: Record<string, number>, values: readonly (number | undefined)[], dim: string): number {
  const known = sizes[dim];
  if (known !== undefined) return known;
  const plus = dim.indexOf('+');
  if (plus > 0) return sizeOf(record, sizes, values, dim.slice(0, plus)) + Number(dim.slice(plus + 1));
  const constant = Number(dim);
  if (!Number.isNaN(constant)) return constant;
  const at = record.options.findIndex((option) => option.name === dim);
  return at < 0 ? 0 : (values[at] ?? (record.options[at]!.default as number));
}

function isWanted(plan: Plan, values: readonly (number | undefined)[], operands: readonly (Operand | undefined)[], when: string | undefined): boolean {
  if (when === undefined) return true;
  const { options, inputs } = plan.record;
  const at = options.findIndex((option) => option.name === when);
  if (at < 0) return operands[inputs.findIndex((input) => input.name === when)] !== undefined;
  const value = values[at] ?? options[at]!.default;
  return value !== undefined && value !== false && value !== 0;
}

function ask(record: OpRecord, values: (number | undefined)[], when: string): boolean {
  const at = record.options.findIndex((option) => option.name === when);
  if (at < 0 || record.options[at]!.kind !== 'boolean' || values[at] !== undefined) return false;
  values[at] = 1;
  return true;
}

function pack(plan: Plan, request: Request, frame: Float64Array): void {
  let at = 0;
  for (const operand of request.operands) {
    if (operand) {
      frame[at] = operand.rank;
      for (let k = 0; k < operand.shape.length; k += 1) frame[at + 1 + k] = operand.shape[k]!;
    }
    at += inputSlots;
  }
  for (let i = 0; i < plan.record.options.length; i += 1) {
    const value = request.values[i];
    frame[at] = value === undefined ? 0 : 1;
    frame[at + 1] = value ?? 0;
    at += 2;
  }
}

function unpack(plan: Plan, request: Request, frame: Float64Array): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const { inputs, outputs } = plan.record;
  for (let i = 0; i < outputs.length; i += 1) {
    const output = outputs[i]!;
    const array = request.arrays[inputs.length + i];
    if (array !== undefined) result[output.name] = array;
    else if (output.kind !== 'array' && isWanted(plan, request.values, request.operands, output.when)) result[output.name] = frame[plan.scalarAt + i];
  }
  return result;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `the string '${value.length > 40 ? `${value.slice(0, 40)}...` : value}'`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return `${typeof value} ${String(value)}`;
  if (ArrayBuffer.isView(value)) return (Object.getPrototypeOf(value) as { constructor?: { name?: string } }).constructor?.name ?? 'a view';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  return typeof value;
}
