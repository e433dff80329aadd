/** Calls ops by name with samples, and prints the call that a failing test made. */
import * as api from 'logitcore';
import * as promises from 'logitcore/promises';
import type { ArrayValue, Numbers, Sample } from './samples.js';

export type Result = Record<string, unknown>;
type Op = (...args: unknown[]) => Result;

export function op(name: string): Op {
  const found = (api as Record<string, unknown>)[name];
  if (typeof found !== 'function') throw new Error(`logitcore has no function ${name}`);
  return found as Op;
}

export function promiseOp(name: string): (...args: unknown[]) => Promise<Result> {
  const found = (promises as Record<string, unknown>)[name];
  if (typeof found !== 'function') throw new Error(`logitcore/promises has no function ${name}`);
  return found as (...args: unknown[]) => Promise<Result>;
}

/** An input of a sample, which optional ones may lack. */
export const inputOf = (sample: Sample, name: string): ArrayValue | undefined =>
  name in sample.inputs ? sample.inputs[name] : undefined;

/** Arrays of one dimension go as they are, others as tensors. */
export const operand = (value: ArrayValue): unknown =>
  value.shape.length === 1 ? value.data : { data: value.data, shape: value.shape };

const optionPrefix = 'options.';

/**
 * The arguments of a call, with some of them replaced: inputs and options by name, or `options.name` where an input and an
 * option share one (`out` of softmaxBackward).
 */
export function argumentsOf(
  sample: Sample,
  replaced: Readonly<Record<string, unknown>> = {},
): unknown[] {
  const positional: unknown[] = [];
  const options: Record<string, unknown> = { ...sample.options };
  for (const input of sample.record.inputs) {
    const value = inputOf(sample, input.name);
    const argument = input.name in replaced ? replaced[input.name] : value && operand(value);
    if (!input.fromOptions) positional.push(argument);
    else if (argument !== undefined) options[input.name] = argument;
  }
  const isPositional = (name: string): boolean =>
    sample.record.inputs.some((input) => input.name === name && !input.fromOptions);
  for (const [name, value] of Object.entries(replaced))
    if (name.startsWith(optionPrefix)) options[name.slice(optionPrefix.length)] = value;
    else if (!isPositional(name)) options[name] = value;
  return [...positional, options];
}

export function call(sample: Sample, replaced?: Readonly<Record<string, unknown>>): Result {
  return op(sample.record.name)(...argumentsOf(sample, replaced));
}

function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    const numbers = value as unknown as ArrayLike<number> & { constructor: { name: string } };
    const text = Array.from(numbers, show).join(', ');
    return `new ${numbers.constructor.name}([${text}])`;
  }
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    if (value instanceof DataView || value instanceof ArrayBuffer)
      return `a ${value.constructor.name}`;
    const fields = Object.entries(value).map(([key, field]) => `${key}: ${show(field)}`);
    return `{ ${fields.join(', ')} }`;
  }
  return typeof value === 'string' ? `'${value}'` : String(value);
}

const shortEnough = 600;

/** One line that makes the call again: its literal arguments, or the sample's specification if those are long. */
export function reproducer(sample: Sample, replaced?: Readonly<Record<string, unknown>>): string {
  const values = Object.values(sample.inputs).reduce((sum, { data }) => sum + data.length, 0);
  const { name } = sample.record;
  const literal =
    values <= 120 ? `${name}(${argumentsOf(sample, replaced).map(show).join(', ')})` : '';
  if (literal !== '' && literal.length <= shortEnough) return literal;
  const changes = replaced ? `, ${show(replaced).slice(0, shortEnough)}` : '';
  return `call(makeSample(recordOf('${name}'), ${JSON.stringify(sample.spec)})${changes})`;
}

/** Every number of a result, as arrays by name; numbers and booleans become arrays of one. */
export function flatten(result: Result): [string, Numbers][] {
  return Object.entries(result)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]): [string, Numbers] => {
      if (typeof value === 'number') return [name, Float64Array.of(value)];
      if (typeof value === 'boolean') return [name, Float64Array.of(value ? 1 : 0)];
      return [name, value as Numbers];
    });
}
