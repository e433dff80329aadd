/** Arguments that must be refused, by what they stand for. */
import type { InputRecord, OptionRecord } from 'logitcore';
import type { ArrayValue, Numbers } from './samples.js';

export interface Bad {
  readonly what: string;
  readonly value: unknown;
}

/** Typed arrays of every other kind, and what looks like an array. */
export function wrongTypes({ data, shape }: ArrayValue, kind: InputRecord['kind']): Bad[] {
  const { length } = data;
  const constructors = [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
  ];
  const isReal = !(data instanceof Int32Array);
  const right: readonly unknown[] = isReal
    ? kind === 'real64'
      ? [Float64Array]
      : [Float32Array, Float64Array]
    : kind === 'mask'
      ? [Int32Array, Uint8Array]
      : [Int32Array];
  const arrays: Bad[] = constructors
    .filter((Type) => !right.includes(Type))
    .map((Type) => ({ what: Type.name, value: new Type(length) }));
  const others: Bad[] = [
    { what: 'a DataView', value: new DataView(new ArrayBuffer(data.byteLength)) },
    {
      what: 'a plain array',
      value: Array.from(data, (x) => (kind === 'numbers' || kind === 'mask' ? String(x) : x)),
    },
    { what: 'an ArrayBuffer', value: new ArrayBuffer(data.byteLength) },
    { what: 'a proxy', value: new Proxy(data, {}) },
    { what: 'an array-like object', value: Object.assign({}, Array.from(data), { length }) },
  ];
  const plain: Bad[] = ['logits', 1, true, null, 7n, Symbol('x'), () => data].map((value) => ({
    what: typeof value,
    value,
  }));
  const tensors = [...arrays, ...others].map(({ what, value }) => ({
    what: `a tensor of ${what}`,
    value: { data: value, shape },
  }));
  const shapeless = [
    { what: 'a tensor without a shape', value: { data } },
    { what: 'a tensor with a number as shape', value: { data, shape: length } },
    { what: 'a tensor without data', value: { shape } },
    { what: 'an empty object', value: {} },
  ];
  // Without its shape an array of one dimension is the whole tensor.
  return [...(shape.length === 1 ? arrays : []), ...others, ...plain, ...tensors, ...shapeless];
}

/** Shapes that do not fit `length` values, or are no shapes. */
export function wrongShapes({ data, shape }: ArrayValue): Bad[] {
  const first = shape[0] ?? 1;
  const rest = shape.slice(1);
  const shapes: unknown[] = [
    [first + 1, ...rest],
    [-first, ...rest],
    [first + 0.5, ...rest],
    [NaN, ...rest],
    [Infinity, ...rest],
    [2 ** 53, ...rest],
    [2 ** 32, 2 ** 32, ...rest],
    [1e300, 1e300],
    [String(first), ...rest],
    [null, ...rest],
    [undefined, ...rest],
    [[first], ...rest],
    [BigInt(first), ...rest],
    Array<number>(9).fill(1),
    { length: 2 ** 53 },
    { length: -1 },
    { length: 1.5, 0: data.length },
    { length: NaN },
  ];
  return shapes.map((value) => ({
    what: `shape ${describe(value)}`,
    value: { data, shape: value },
  }));
}

function describe(shape: unknown): string {
  if (!Array.isArray(shape)) return `{ length: ${String((shape as { length: number }).length)} }`;
  return `[${shape.map((size) => (typeof size === 'string' ? `'${size}'` : typeof size === 'bigint' ? `${size}n` : String(size))).join(', ')}]`;
}

/** One value too many and too few, with shapes that say what the sample had. */
export function wrongLengths({ data, shape }: ArrayValue): Bad[] {
  const Type = data.constructor as new (length: number) => Numbers;
  return [data.length + 1, data.length - 1, 0, 2 * data.length]
    .filter((length) => length >= 0 && length !== data.length)
    .map((length) => ({
      what: `${length} values of shape [${shape.join(', ')}]`,
      value: { data: new Type(length), shape },
    }));
}

/** Values outside an option's kind or range. */
export function wrongOptions(option: OptionRecord, maybeArray: boolean): Bad[] {
  const named = (value: unknown): Bad => ({
    what:
      typeof value === 'bigint'
        ? `${value}n`
        : typeof value === 'symbol'
          ? 'a symbol'
          : JSON.stringify(value),
    value,
  });
  if (option.kind === 'boolean')
    return [0, 1, 'true', null, {}, [], 1n, NaN, Symbol('x')].map(named);
  if (option.kind === 'choice') {
    const first = option.choices![0];
    return [
      '',
      'no such choice',
      first.toUpperCase(),
      ` ${first}`,
      0,
      null,
      {},
      [first],
      true,
      1n,
    ].map(named);
  }
  const list: unknown[] = ['1', null, true, {}, [], 1n, Symbol('x')];
  const numbers: number[] = [NaN, Infinity, -Infinity];
  if (option.minimum !== undefined) numbers.push(option.minimum - 1, nextBelow(option.minimum));
  if (option.above !== undefined) numbers.push(option.above - 1, option.above);
  if (option.maximum !== undefined) numbers.push(option.maximum + 1);
  if (option.below !== undefined) numbers.push(option.below + 1, option.below);
  if (option.kind === 'integer') numbers.push(1.5, 0.1);
  const arrays = maybeArray ? [] : [{ what: 'a Float32Array', value: new Float32Array(1) }];
  return [
    ...list.map(named),
    ...numbers.map((value) => ({ what: String(value), value })),
    ...arrays,
  ];
}

function nextBelow(x: number): number {
  if (x === 0) return -5e-324;
  const bits = new BigInt64Array(new Float64Array([x]).buffer);
  bits[0] += x > 0 ? -1n : 1n;
  return new Float64Array(bits.buffer)[0];
}

/** Whether a value suits an option, for options that have two records: a choice or a number. */
export function accepts(option: OptionRecord, value: unknown): boolean {
  if (option.kind === 'choice') return option.choices!.includes(value as string);
  if (option.kind === 'boolean') return typeof value === 'boolean';
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  return (
    value >= (option.minimum ?? -Infinity) &&
    value > (option.above ?? -Infinity) &&
    value <= (option.maximum ?? Infinity) &&
    value < (option.below ?? Infinity)
  );
}
