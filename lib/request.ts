// What calls on the host and on the device share: reading all arguments, which may run code of the caller (getters, proxies), adding the
// outputs, and packing the numbers, which cannot. Values are checked in C++; here only the kinds that a Float64Array cannot carry.
import { kindOf } from './arguments.js';
import { readOption, type Operand } from './operands.js';
import {
  inputSlots,
  maxRank,
  type InputPlan,
  type OutputPlan,
  type Plan,
  type Size,
} from './plan.js';

/** Sizes of outputs that no input has, from the sizes that inputs have and the values of options (a choice is its place in the list). */
export type DerivedSizes = (
  sizes: Readonly<Record<string, number>>,
  option: (name: string) => number | undefined,
) => Record<string, number>;

export interface Request<D> {
  readonly operands: (Operand<D> | undefined)[];
  readonly values: (number | undefined)[];
  /** Inputs, then outputs, in the order of the record. */
  readonly arrays: (D | undefined)[];
  readonly signal: AbortSignal | undefined;
}

/** Where arrays are: `D` is an array there, `T` what new ones depend on beside their length. */
export interface Side<D extends { readonly length: number }, T> {
  /** Outputs that are one number have arrays too. */
  readonly keepsNumbers: boolean;
  readInput(plan: Plan, input: InputPlan, value: unknown): Operand<D>;
  /** An array of `options.out`. */
  readBuffer(plan: Plan, output: OutputPlan, value: unknown): D;
  typeOf(plan: Plan, operands: readonly (Operand<D> | undefined)[]): T;
  allocate(plan: Plan, output: OutputPlan, length: number, type: T, isNumber: boolean): D;
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

/** Reads all arguments of a call and adds its outputs. */
export function read<D extends { readonly length: number }, T>(
  side: Side<D, T>,
  plan: Plan,
  positional: readonly unknown[],
  last: unknown,
  derived: DerivedSizes | undefined,
): Request<D> {
  const [tensors, options] =
    plan.optionalPositions.length > 0 ? shiftOptions(plan, positional, last) : [positional, last];
  if (options !== undefined && (typeof options !== 'object' || options === null))
    throw new TypeError(`${plan.name}: options must be an object, got ${kindOf(options)}`);
  const given = options as Record<string, unknown> | undefined;
  const signal = given?.signal as AbortSignal | undefined;
  signal?.throwIfAborted();
  // Of their full length from the start: growing them takes longer than filling them.
  const { inputs } = plan;
  const operands = new Array<Operand<D> | undefined>(inputs.length);
  const arrays = new Array<D | undefined>(inputs.length + plan.outputs.length);
  for (let i = 0; i < inputs.length; i += 1) {
    const input = inputs[i];
    const value = input.position >= 0 ? tensors[input.position] : given?.[input.name];
    // An option that may be a number or an array (alpha) is the number here.
    if (value === undefined || (input.numberOption >= 0 && typeof value === 'number')) {
      if (!input.optional) throw new TypeError(`${plan.name}: ${input.label} is missing`);
    } else {
      const operand = side.readInput(plan, input, value);
      operands[i] = operand;
      arrays[i] = operand.data;
    }
  }
  const values = new Array<number | undefined>(plan.options.length);
  for (let i = 0; i < plan.options.length; i += 1) {
    const value = given?.[plan.options[i].name];
    if (value !== undefined) values[i] = readOption(plan, i, value);
  }
  addOutputs(side, plan, operands, values, readBuffers(plan, given?.out), arrays, derived);
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
function addOutputs<D extends { readonly length: number }, T>(
  side: Side<D, T>,
  plan: Plan,
  operands: readonly (Operand<D> | undefined)[],
  values: (number | undefined)[],
  buffers: unknown[] | undefined,
  arrays: (D | undefined)[],
  derived: DerivedSizes | undefined,
): void {
  let sizes: Record<string, number> | undefined;
  let type: T | undefined;
  const perRow =
    plan.reduction >= 0 && (values[plan.reduction] ?? plan.defaults[plan.reduction]) === plan.none;
  for (let i = 0; i < plan.outputs.length; i += 1) {
    const output = plan.outputs[i];
    const at = plan.inputs.length + i;
    const buffer = buffers?.[i];
    let wanted = isWanted(plan, output, values, operands);
    // Giving the buffer is asking for it, unless the option says no.
    if (!wanted && buffer !== undefined) wanted = ask(plan, output, values);
    if (!wanted) continue;
    const isNumber = output.kind === 'scalar' || (output.kind === 'reduced' && !perRow);
    if (isNumber && !side.keepsNumbers) continue;
    if (buffer !== undefined) {
      arrays[at] = side.readBuffer(plan, output, buffer);
    } else {
      if (!sizes) {
        sizes = bindSizes(plan, operands, values, derived);
        type = side.typeOf(plan, operands);
      }
      const mostValues = operands.reduce(
        (most, operand) => Math.max(most, operand?.data.length ?? 0),
        0,
      );
      let length = 1;
      if (!isNumber)
        for (const size of output.sizes) length *= sizeOf(plan, sizes, values, size, mostValues);
      if (!(length >= 0 && length <= 2 ** 40)) length = 0;
      arrays[at] = side.allocate(plan, output, length, type!, isNumber);
    }
  }
}

// What the check in C++ allows as a size of an array without elements.
const mostWithoutElements = 2 ** 24;

// The sizes that letters stand for. An input whose shape does not fit binds none, so that no absurd array is allocated.
export function bindSizes<D extends { readonly length: number }>(
  plan: Plan,
  operands: readonly (Operand<D> | undefined)[],
  values: readonly (number | undefined)[],
  derived: DerivedSizes | undefined,
): Record<string, number> {
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
  if (derived)
    Object.assign(
      sizes,
      derived(sizes, (name) => optionValue(plan, values, name)),
    );
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

export function sizeOf(
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

export function isWanted(
  plan: Plan,
  output: OutputPlan,
  values: readonly (number | undefined)[],
  operands: readonly unknown[],
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

/** Puts the numbers of a call into its frame. */
export function pack<D>(request: Request<D>, frame: Float64Array): void {
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
