import { kindOf } from './arguments.js';
import { binding } from './binding.js';
import { readInput, readOption, type Numbers, type Operand } from './operands.js';
import { inputSlots, maxRank, planNamed, type OutputPlan, type Plan, type Size } from './plan.js';

// A call reads all arguments first, which may run code of the caller (getters, proxies), then packs and calls, which cannot.
// Values are checked in C++; here only the kinds that a Float64Array cannot carry.

type Finish = (result: Record<string, unknown>) => unknown;
/** Sizes of outputs that no input has, from the sizes that inputs have and the values of options (a choice is its place in the list). */
export type DerivedSizes = (
  sizes: Readonly<Record<string, number>>,
  option: (name: string) => number | undefined,
) => Record<string, number>;

interface Request {
  readonly operands: (Operand | undefined)[];
  readonly values: (number | undefined)[];
  /** Inputs, then outputs, in the order of the record. */
  readonly arrays: (Numbers | undefined)[];
  readonly signal: AbortSignal | undefined;
}

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

/** Whether the call that is being made is to work on a background thread; asking takes the wish. */
export function wantsBackground(): boolean {
  const promised = inBackground;
  inBackground = false;
  return promised;
}

/**
 * Calls an op.
 * @param tensors positional arguments in the order of the record
 * @param finish turns the plain outputs into the op's result
 * @param derived sizes of outputs that are computed; the op's check in C++ computes them too, and compares
 */
export function call(
  name: string,
  tensors: readonly unknown[],
  options: unknown,
  finish?: Finish,
  derived?: DerivedSizes,
): never {
  const promised = wantsBackground();
  const plan = planNamed(name);
  if (promised) return runInBackground(plan, tensors, options, finish, derived) as never;
  const request = read(plan, tensors, options, derived);
  const { frame } = plan;
  pack(request, frame);
  invoke(plan.id, frame, request.arrays);
  const result = unpack(plan, request, frame);
  return (finish ? finish(result) : result) as never;
}

// Spelled out for the common lengths: spreading costs as much as a small op.
function invoke(id: number, frame: Float64Array, a: (Numbers | undefined)[]): void {
  if (a.length <= 4) binding.call(id, frame, a[0], a[1], a[2], a[3]);
  else if (a.length <= 7) binding.call(id, frame, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
  else binding.call(id, frame, ...a);
}

async function runInBackground(
  plan: Plan,
  tensors: readonly unknown[],
  options: unknown,
  finish?: Finish,
  derived?: DerivedSizes,
): Promise<unknown> {
  const request = read(plan, tensors, options, derived);
  for (const array of request.arrays)
    if (array !== undefined && (array.buffer as { resizable?: boolean }).resizable)
      throw new TypeError(
        `${plan.name}: an array on a resizable ArrayBuffer cannot be used on a background thread`,
      );
  const frame = new Float64Array(plan.frame.length);
  pack(request, frame);
  const done = binding.callInBackground(plan.id, frame, ...request.arrays);
  await (request.signal ? untilAborted(request.signal, frame, done) : done);
  const result = unpack(plan, request, frame);
  return finish ? finish(result) : result;
}

// The frames of the calls under way with a signal. One listener serves them all: Node.js warns of more than ten.
const framesOf = new WeakMap<AbortSignal, Set<Float64Array>>();

async function untilAborted(
  signal: AbortSignal,
  frame: Float64Array,
  done: Promise<void>,
): Promise<void> {
  let frames = framesOf.get(signal);
  if (!frames) framesOf.set(signal, (frames = new Set()));
  if (frames.size === 0) signal.addEventListener('abort', cancelAll);
  frames.add(frame);
  try {
    await done;
  } finally {
    frames.delete(frame);
    if (frames.size === 0) signal.removeEventListener('abort', cancelAll);
  }
}

function cancelAll(event: Event): void {
  const signal = event.target as AbortSignal;
  for (const frame of framesOf.get(signal) ?? []) binding.cancelInBackground(frame, signal.reason);
}

// An optional tensor may be left out: options then stand in its place.
function shiftOptions(
  plan: Plan,
  tensors: readonly unknown[],
  options: unknown,
): [readonly unknown[], unknown] {
  if (options !== undefined) return [tensors, options];
  let last = tensors.length - 1;
  while (last >= 0 && tensors[last] === undefined) last -= 1;
  const value = tensors[last];
  if (last < 0 || !plan.optionalPositions.includes(last)) return [tensors, options];
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || 'data' in value)
    return [tensors, options];
  return [tensors.slice(0, last), value];
}

function read(
  plan: Plan,
  positional: readonly unknown[],
  last: unknown,
  derived: DerivedSizes | undefined,
): Request {
  const [tensors, options] =
    plan.optionalPositions.length > 0 ? shiftOptions(plan, positional, last) : [positional, last];
  if (options !== undefined && (typeof options !== 'object' || options === null))
    throw new TypeError(`${plan.name}: options must be an object, got ${kindOf(options)}`);
  const given = options as Record<string, unknown> | undefined;
  const signal = given?.signal as AbortSignal | undefined;
  signal?.throwIfAborted();
  // Of their full length from the start: growing them takes longer than filling them.
  const { inputs } = plan;
  const operands = new Array<Operand | undefined>(inputs.length);
  const arrays = new Array<Numbers | undefined>(inputs.length + plan.outputs.length);
  for (let i = 0; i < inputs.length; i += 1) {
    const input = inputs[i];
    const value = input.position >= 0 ? tensors[input.position] : given?.[input.name];
    // An option that may be a number or an array (alpha) is the number here.
    if (value === undefined || (input.numberOption >= 0 && typeof value === 'number')) {
      if (!input.optional) throw new TypeError(`${plan.name}: ${input.label} is missing`);
    } else {
      const operand = readInput(plan, input, value);
      operands[i] = operand;
      arrays[i] = operand.data;
    }
  }
  const values = new Array<number | undefined>(plan.options.length);
  for (let i = 0; i < plan.options.length; i += 1) {
    const value = given?.[plan.options[i].name];
    if (value !== undefined) values[i] = readOption(plan, i, value);
  }
  addOutputs(plan, operands, values, readBuffers(plan, given?.out), arrays, derived);
  return { operands, values, arrays, signal };
}

function readBuffers(plan: Plan, out: unknown): unknown[] | undefined {
  if (out === undefined) return undefined;
  if (typeof out !== 'object' || out === null)
    throw new TypeError(
      `${plan.name}: options.out must be an object of output arrays, got ${kindOf(out)}`,
    );
  const buffers: unknown[] = [];
  for (const output of plan.outputs) buffers.push((out as Record<string, unknown>)[output.name]);
  return buffers;
}

// Adds the arrays of the outputs: the caller's, or new ones. Sizes that make no sense are left for the checks in C++ to report.
function addOutputs(
  plan: Plan,
  operands: readonly (Operand | undefined)[],
  values: (number | undefined)[],
  buffers: unknown[] | undefined,
  arrays: (Numbers | undefined)[],
  derived: DerivedSizes | undefined,
): void {
  let sizes: Record<string, number> | undefined;
  let isDouble = false;
  const perRow =
    plan.reduction >= 0 && (values[plan.reduction] ?? plan.defaults[plan.reduction]) === plan.none;
  for (let i = 0; i < plan.outputs.length; i += 1) {
    const output = plan.outputs[i];
    const at = plan.inputs.length + i;
    const buffer = buffers?.[i];
    let wanted = isWanted(plan, output, values, operands);
    // Giving the buffer is asking for it, unless the option says no.
    if (!wanted && buffer !== undefined) wanted = ask(plan, output, values);
    if (!wanted || output.kind === 'scalar' || (output.kind === 'reduced' && !perRow)) continue;
    if (buffer !== undefined) {
      if (!ArrayBuffer.isView(buffer))
        throw new TypeError(
          `${plan.name}: options.out.${output.name} must be a typed array, got ${kindOf(buffer)}`,
        );
      arrays[at] = buffer as Numbers;
    } else {
      if (!sizes) {
        sizes = bindSizes(plan, operands);
        if (derived)
          Object.assign(
            sizes,
            derived(sizes, (name) => optionValue(plan, values, name)),
          );
        isDouble =
          operands.find((operand, k) => operand && plan.inputs[k].kind === 'real')?.data instanceof
          Float64Array;
      }
      const mostValues = operands.reduce(
        (most, operand) => Math.max(most, operand?.data.length ?? 0),
        0,
      );
      let length = 1;
      for (const size of output.sizes) length *= sizeOf(plan, sizes, values, size, mostValues);
      if (!(length >= 0 && length <= 2 ** 40)) length = 0;
      arrays[at] = allocate(plan, output, length, isDouble);
    }
  }
}

function allocate(plan: Plan, output: OutputPlan, length: number, isDouble: boolean): Numbers {
  try {
    if (output.type === 'int32') return new Int32Array(length);
    return isDouble || output.type === 'real64'
      ? new Float64Array(length)
      : new Float32Array(length);
  } catch (error) {
    throw new RangeError(
      `${plan.name}: no memory for the ${length} values of ${output.name}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

// What the check in C++ allows as a size of an array without elements.
const mostWithoutElements = 2 ** 24;

// The sizes that letters stand for. An input whose shape does not fit binds none, so that no absurd array is allocated.
function bindSizes(plan: Plan, operands: readonly (Operand | undefined)[]): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (let i = 0; i < operands.length; i += 1) {
    const operand = operands[i];
    if (!operand) continue;
    const input = plan.inputs[i];
    const free = operand.rank - input.sizes.length;
    let elements = 1;
    for (const size of operand.shape) elements *= size;
    if (operand.rank > maxRank || free < 0 || elements !== operand.data.length) continue;
    if (elements === 0 && operand.shape.some((size) => size > mostWithoutElements)) continue;
    const first = input.trailing ? 0 : free;
    if (input.leading || input.trailing) {
      let product = 1;
      for (let k = 0; k < free; k += 1)
        product *= operand.shape[input.leading ? k : input.sizes.length + k];
      sizes['*'] ??= product;
    }
    for (let k = 0; k < input.sizes.length; k += 1) {
      const size = input.sizes[k];
      if (size.letter) sizes[size.letter] ??= operand.shape[first + k] - size.plus;
    }
  }
  return sizes;
}

function optionValue(
  plan: Plan,
  values: readonly (number | undefined)[],
  name: string,
): number | undefined {
  const at = plan.options.findIndex((option) => option.name === name);
  return values[at] ?? plan.defaults[at];
}

function sizeOf(
  plan: Plan,
  sizes: Record<string, number>,
  values: readonly (number | undefined)[],
  size: Size,
  mostValues: number,
): number {
  if (!size.letter) return size.plus;
  if (size.when >= 0 && !(values[size.when] ?? plan.defaults[size.when])) return 1 + size.plus;
  const bound = sizes[size.letter];
  if (bound !== undefined) return bound + size.plus;
  const chosen = size.option < 0 ? 1 : (values[size.option] ?? plan.defaults[size.option] ?? 0);
  // An absurd size is a mistake that C++ will report, not a reason to take the memory.
  return chosen <= Math.max(mostValues, 1 << 20) ? chosen + size.plus : 0;
}

function isWanted(
  plan: Plan,
  output: OutputPlan,
  values: readonly (number | undefined)[],
  operands: readonly (Operand | undefined)[],
): boolean {
  if (output.whenInput >= 0) return operands[output.whenInput] !== undefined;
  if (output.whenOption < 0) return true;
  const value = values[output.whenOption] ?? plan.defaults[output.whenOption];
  return value !== undefined && value !== 0;
}

function ask(plan: Plan, output: OutputPlan, values: (number | undefined)[]): boolean {
  const at = output.whenOption;
  if (at < 0 || plan.options[at].kind !== 'boolean' || values[at] !== undefined) return false;
  values[at] = 1;
  return true;
}

function pack(request: Request, frame: Float64Array): void {
  let at = 0;
  for (const operand of request.operands) {
    if (operand) {
      frame[at] = operand.rank;
      for (let k = 0; k < operand.shape.length; k += 1) frame[at + 1 + k] = operand.shape[k]!;
    }
    at += inputSlots;
  }
  for (const value of request.values) {
    frame[at] = value === undefined ? 0 : 1;
    frame[at + 1] = value ?? 0;
    at += 2;
  }
}

function unpack(plan: Plan, request: Request, frame: Float64Array): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const first = plan.inputs.length;
  for (let i = 0; i < plan.outputs.length; i += 1) {
    const output = plan.outputs[i];
    const array = request.arrays[first + i];
    if (array !== undefined) result[output.name] = array;
    else if (output.kind !== 'array' && isWanted(plan, output, request.values, request.operands))
      result[output.name] = frame[plan.scalarAt + i];
  }
  return result;
}
