// Checks of arguments that never reach C++: kinds are TypeErrors, values RangeErrors, and both name what was expected and what came.

/** Marks tensors on the CUDA device, for messages: the class itself is loaded only where it is used. */
export const deviceMark = Symbol.for('logitcore.cuda');

export function isOnDevice(value: unknown): boolean {
  return typeof value === 'object' && value !== null && deviceMark in value;
}

/** What a value is, for messages. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string')
    return `the string '${value.length > 40 ? `${value.slice(0, 40)}...` : value}'`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return `${typeof value} ${String(value)}`;
  if (ArrayBuffer.isView(value))
    return (
      (Object.getPrototypeOf(value) as { constructor?: { name?: string } }).constructor?.name ??
      'a view'
    );
  if (Array.isArray(value)) return 'an array';
  if (isOnDevice(value)) return 'a tensor on the CUDA device';
  if (typeof value === 'object') return 'an object';
  return typeof value;
}

/** Numbers that an op of a few numbers takes. */
export type Numbers = Float32Array | Float64Array;

export function checkNumbers(
  op: string,
  name: string,
  value: unknown,
  length?: number,
): asserts value is Numbers {
  if (!(value instanceof Float32Array) && !(value instanceof Float64Array))
    throw new TypeError(
      `${op}: ${name} must be a Float32Array or Float64Array, got ${kindOf(value)}`,
    );
  if (length !== undefined && value.length !== length)
    throw new RangeError(`${op}: ${name} has ${value.length} values, expected ${length}`);
}

export function checkOptions(op: string, options: unknown): void {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${op}: options must be an object, got ${kindOf(options)}`);
}

/** `expected` describes what `accepts` accepts. */
export function checkNumber(
  op: string,
  name: string,
  value: unknown,
  expected = 'a finite number',
  accepts: (value: number) => boolean = Number.isFinite,
): number {
  if (value === undefined) throw new TypeError(`${op}: ${name} is missing, expected ${expected}`);
  if (typeof value !== 'number')
    throw new TypeError(`${op}: ${name} must be a number, got ${kindOf(value)}`);
  if (!accepts(value)) throw new RangeError(`${op}: ${name} is ${value}, expected ${expected}`);
  return value;
}

export function checkChoice<C extends string>(
  op: string,
  name: string,
  value: unknown,
  choices: readonly C[],
): C {
  if (choices.includes(value as C)) return value as C;
  const expected = `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`;
  if (typeof value !== 'string')
    throw new TypeError(`${op}: ${name} must be ${expected}, got ${kindOf(value)}`);
  throw new RangeError(`${op}: ${name} is '${value}', expected ${expected}`);
}
