import { kindOf } from './arguments.js';
import { binding } from './binding.js';
import { readInput, type Numbers } from './operands.js';
import { planOf, type OutputPlan, type Plan } from './plan.js';
import { isWanted, pack, read, type DerivedSizes, type Request, type Side } from './request.js';

// A call reads all arguments first, which may run code of the caller (getters, proxies), then packs and calls, which cannot.

export type { DerivedSizes } from './request.js';

type Finish = (result: Record<string, unknown>) => unknown;

const plans = new Map(binding.records.map((record, id) => [record.name, planOf(record, id)]));

function planNamed(name: string): Plan {
  const plan = plans.get(name);
  if (!plan) throw new Error(`logitcore: the addon has no op ${name}; rebuild it`);
  return plan;
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
  const request = read(host, plan, tensors, options, derived);
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
  const request = read(host, plan, tensors, options, derived);
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

const host: Side<Numbers, boolean> = {
  keepsNumbers: false,
  readInput,
  readBuffer(plan, output, value) {
    if (ArrayBuffer.isView(value)) return value as Numbers;
    throw new TypeError(
      `${plan.name}: options.out.${output.name} must be a typed array, got ${kindOf(value)}`,
    );
  },
  typeOf: (plan, operands) =>
    operands.find((operand, k) => operand && plan.inputs[k].kind === 'real')?.data instanceof
    Float64Array,
  allocate,
};

function unpack(
  plan: Plan,
  request: Request<Numbers>,
  frame: Float64Array,
): Record<string, unknown> {
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
