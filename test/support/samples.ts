/**
 * Arguments for any op, made from its record. An op whose record does not say everything (sizes that must agree, options that
 * exclude each other) refuses some samples; `validSample` then tries others.
 */
import { ops, type InputRecord, type OpRecord, type OptionRecord } from 'logitcore';
import { call } from './invoke.js';
import { Random, seedOf } from './random.js';
import { rules, type Rule } from './rules.js';

type Real = Float32Array | Float64Array;
export type Numbers = Real | Int32Array;

export interface ArrayValue {
  data: Numbers;
  shape: readonly number[];
}

export interface Spec {
  /** By letter of the record; '*' is a list of leading sizes. */
  readonly sizes?: Readonly<Partial<Record<string, number | readonly number[]>>>;
  readonly double?: boolean;
  readonly seed?: number;
  /** Which optional inputs are there; default none. */
  readonly optional?: 'none' | 'all' | 'some';
  /** Default values left out, or others from the options' ranges. */
  readonly options?: 'default' | 'sampled';
  /** Options with fixed values. */
  readonly given?: Given;
  /** Whether some rows are ignored, in ops that can. */
  readonly ignored?: boolean;
  /** Ask for all outputs that an option switches on; default true. */
  readonly everything?: boolean;
  /** What is put among inputs that may hold anything: masked classes, large and tiny numbers, or the ends of the type. */
  readonly values?: 'plain' | 'masked' | 'wide' | 'extreme';
}

export interface Sample {
  readonly record: OpRecord;
  readonly spec: Spec;
  readonly inputs: Record<string, ArrayValue>;
  readonly options: Record<string, unknown>;
}

export const recordOf = (name: string): OpRecord => {
  const found = ops().find((record) => record.name === name);
  if (!found) throw new Error(`no op ${name}`);
  return found;
};

export const dimsOf = (text: string): string[] => (text === '' ? [] : text.split(','));
export const letterOf = (dim: string): string => dim.replace(/[+?].*/, '');
/** The letters of a dimension, which may be a product: `b*t`. */
const lettersIn = (dim: string): string[] => {
  const product = /^(.)\*(.)$/.exec(dim);
  return product ? product.slice(1) : [letterOf(dim)];
};

/** The letters of an op's inputs in order of appearance, constants left out. */
export function lettersOf(record: OpRecord): string[] {
  const letters = record.inputs.flatMap((input) => dimsOf(input.dims).flatMap(lettersIn));
  return [...new Set(letters)].filter((letter) => !/^\d/.test(letter));
}

function sizesOf(record: OpRecord, spec: Spec): Record<string, readonly number[]> {
  const rule: Rule = rules[record.name] ?? {};
  const sizes: Record<string, readonly number[]> = {};
  const usual: Partial<Record<string, number | readonly number[]>> = { n: 4, c: 5, '*': [2, 2] };
  lettersOf(record).forEach((letter, i) => {
    const size =
      rule.sizes?.[letter]?.(sizes, spec.seed ?? 0) ??
      spec.sizes?.[letter] ??
      usual[letter] ??
      3 + (i % 4);
    // Both sides of a square matrix: a long row costs its square.
    const isSide = record.inputs.some(
      ({ dims }) => dimsOf(dims).filter((dim) => dim === letter).length > 1,
    );
    sizes[letter] =
      typeof size !== 'number' ? size : [isSide && size > 130 ? 130 + (size % 8) : size];
  });
  return sizes;
}

function shapeOf(dims: string, sizes: Record<string, readonly number[]>): number[] {
  return dimsOf(dims).flatMap((dim) => {
    if (/^\d/.test(dim)) return [Number(dim)];
    const plus = dim.includes('+') ? Number(dim.slice(dim.indexOf('+') + 1)) : 0;
    const letters = lettersIn(dim);
    if (letters.length > 1) return [product(letters.flatMap((letter) => sizes[letter]))];
    return sizes[letterOf(dim)].map((size) => size + plus);
  });
}

type Given = Readonly<Record<string, unknown>>;

/** The option that reduces outputs: some sheets call it `reduce`. */
const reductionOption = (record: OpRecord): OptionRecord | undefined =>
  record.options.find(({ name }) => name === 'reduction' || name === 'reduce');

/** Every way to reduce an op's outputs, as fixed options; one way for an op that does not. */
export function reductionsOf(record: OpRecord): Given[] {
  const option = reductionOption(record);
  return option ? option.choices!.map((choice) => ({ [option.name]: choice })) : [{}];
}

/** The option that leaves every output an array. */
export function unreduced(record: OpRecord): Given {
  const option = reductionOption(record);
  return option?.choices!.includes('none') ? { [option.name]: 'none' } : {};
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** Rows of probabilities, all away from 0 and 1. */
function probabilities(data: Real, columns: number, random: Random): void {
  for (let start = 0; start < data.length; start += columns) {
    const row = data.subarray(start, start + columns);
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += row[j] = Math.exp(1.5 * random.bell());
    // A row of a single class would have probability 1, on the edge of the domain.
    for (let j = 0; j < columns; j++) row[j] = columns > 1 ? row[j] / sum : 0.7;
  }
}

/** Random values of the input's domain, logits with a spread that keeps probabilities away from 0 and 1. */
function fillReal(
  data: Real,
  input: InputRecord,
  shape: readonly number[],
  context: Context,
): void {
  const { random, spec } = context;
  const columns = shape[shape.length - 1] ?? 1;
  const { length } = data;
  if (input.domain === 'positive') {
    for (let i = 0; i < length; i++) data[i] = random.between(0.25, 1.75);
  } else if (input.domain === 'gradient') {
    for (let i = 0; i < length; i++) data[i] = random.bell();
  } else if (input.domain === 'any') {
    for (let i = 0; i < length; i++) data[i] = 1.5 * random.bell();
    if (spec.values && spec.values !== 'plain')
      for (let i = 0; i < length; i++) data[i] = unusual(data[i], i, shape, context);
  } else {
    if (shape.length > 1) probabilities(data, columns, random);
    else for (let i = 0; i < length; i++) data[i] = logistic(1.5 * random.bell());
    if (input.domain === 'logProbability')
      for (let i = 0; i < length; i++) data[i] = Math.log(data[i]);
  }
  // Both types get the same numbers, so that their results can be compared.
  if (data instanceof Float64Array) for (let i = 0; i < length; i++) data[i] = Math.fround(data[i]);
}

const wide = [88, -88, 1e4, -1e4, 1e-40, -1e-45, 0, -0];
const extremes = [...wide, 3e38, -3e38, 104, 1e-30];

function unusual(
  x: number,
  index: number,
  shape: readonly number[],
  { random, spec }: Context,
): number {
  const columns = shape[shape.length - 1] ?? 1;
  // The first class of a row stays: what a row without any class does is tested apart.
  if (spec.values === 'masked' && shape.length > 1 && index % columns > 0 && random.uniform() < 0.2)
    return -Infinity;
  if (spec.values === 'wide' && random.uniform() < 0.15) return random.pick(wide);
  if (spec.values === 'extreme' && random.uniform() < 0.15) return random.pick(extremes);
  return x;
}

function makeInput(input: InputRecord, shape: readonly number[], context: Context): ArrayValue {
  const { random, spec, classes, ignoreIndex } = context;
  const length = product(shape);
  if (input.kind === 'real') {
    const data = spec.double ? new Float64Array(length) : new Float32Array(length);
    fillReal(data, input, shape, context);
    return { data, shape };
  }
  if (input.kind === 'real64')
    return { data: Float64Array.from({ length }, () => random.bell()), shape };
  if (input.kind === 'numbers')
    return { data: Float64Array.from({ length }, () => random.between(0.5, 4)), shape };
  const data = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    if (input.kind === 'mask') data[i] = i === 0 || random.uniform() < 0.75 ? 1 : 0;
    else if (input.kind === 'sign') data[i] = random.uniform() < 0.5 ? -1 : 1;
    else data[i] = random.integer(0, Math.max(0, classes - 1));
  }
  if (spec.ignored && ignoreIndex !== undefined && input.kind !== 'sign')
    for (let i = 0; i < length; i++) if (i % 3 === 1) data[i] = ignoreIndex;
  return { data, shape };
}

const lengthOf = (record: OpRecord, sizes: Record<string, readonly number[]>): number =>
  product(shapeOf(record.inputs[0].dims, sizes));

interface Context {
  readonly random: Random;
  readonly spec: Spec;
  readonly classes: number;
  readonly ignoreIndex: number | undefined;
}

export function sampleNumber(option: OptionRecord, random: Random): number {
  const low = option.minimum ?? option.above;
  const high = option.maximum ?? option.below;
  const usual = typeof option.default === 'number' ? option.default : undefined;
  if (low !== undefined && high !== undefined && high - low <= 100)
    return low + (high - low) * random.between(0.1, 0.9);
  const factor = random.between(0.5, 1.6);
  if (low !== undefined)
    return low + (usual !== undefined && usual > low ? usual - low : 1) * factor;
  if (high !== undefined) return high - factor;
  return (usual ?? 1) + Math.max(Math.abs(usual ?? 1), 0.3) * random.between(-0.8, 0.8);
}

/** A value of the option's range that need not be its default. */
export function sampleOption(
  record: OpRecord,
  option: OptionRecord,
  classes: number,
  random: Random,
): unknown {
  if (option.kind === 'boolean') return random.uniform() < 0.5;
  if (option.kind === 'choice') return random.pick(option.choices!);
  if (option.kind === 'number') return sampleNumber(option, random);
  if (option.name === 'ignoreIndex') return random.pick([-100, -1, -7]);
  const isSize = record.outputs.some((output) =>
    dimsOf(output.dims).map(letterOf).includes(option.name),
  );
  if (isSize) return random.integer(1, Math.max(1, classes));
  const low = option.minimum ?? (typeof option.default === 'number' ? option.default : 1);
  return Math.min(low + random.integer(0, 2), option.maximum ?? Infinity);
}

function makeOptions(
  record: OpRecord,
  spec: Spec,
  classes: number,
  random: Random,
): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const option of record.options) {
    if (spec.options === 'sampled' || option.required) {
      const rule = rules[record.name]?.options?.[option.name];
      const value = rule ? rule(random) : sampleOption(record, option, classes, random);
      const usual = option.required ?? option.default !== undefined;
      if (usual || random.uniform() < 0.6) options[option.name] = value;
    }
    const asks = record.outputs.some((output) => output.when === option.name);
    if (asks && option.kind === 'boolean') options[option.name] = spec.everything ?? true;
  }
  return { ...rules[record.name]?.defaults, ...options, ...spec.given };
}

/** Arguments for `record`; for a vector-Jacobian product also the outputs of its forward op, where it takes them. */
export function makeSample(record: OpRecord, spec: Spec = {}): Sample {
  const random = new Random(seedOf(record.name) + 1000003 * (spec.seed ?? 0));
  const sizes = sizesOf(record, spec);
  const classes = 'c' in sizes ? sizes.c[0] : 1;
  const options = makeOptions(record, spec, classes, random);
  const inputs: Record<string, ArrayValue> = {};
  const forward =
    record.backwardOf === undefined ? undefined : makeSample(recordOf(record.backwardOf), spec);
  if (forward)
    for (const option of record.options)
      if (forward.record.options.some(({ name }) => name === option.name))
        options[option.name] = forward.options[option.name];
  const ignoreOption = record.options.find((option) => option.name === 'ignoreIndex');
  const ignoreIndex = (options.ignoreIndex ?? ignoreOption?.default) as number | undefined;
  const results = forward && needsResults(record, forward.record) ? call(forward) : {};
  for (const input of record.inputs) {
    const shape = shapeOf(input.dims, sizes);
    const result = forward?.record.outputs.some((output) => output.name === input.name);
    const value =
      result && results[input.name] !== undefined
        ? { data: (results[input.name] as Numbers).slice(), shape }
        : forward && input.name in forward.inputs
          ? forward.inputs[input.name]
          : (rules[record.name]?.inputs?.[input.name]?.(shape, lengthOf(record, sizes)) ??
            makeInput(input, shape, { random, spec, classes, ignoreIndex }));
    if (input.optional && !isPresent(input, spec, forward, random)) continue;
    inputs[input.name] = value;
    // An option that is a number or an array (alpha) is the array then.
    if (input.fromOptions && input.name in options) options[input.name] = undefined;
  }
  return { record, spec, inputs, options };
}

function isPresent(
  input: InputRecord,
  spec: Spec,
  forward: Sample | undefined,
  random: Random,
): boolean {
  if (forward?.record.inputs.some((other) => other.name === input.name))
    return input.name in forward.inputs;
  if (spec.optional === 'all') return true;
  return spec.optional === 'some' && random.uniform() < 0.5;
}

const needsResults = (backward: OpRecord, forward: OpRecord): boolean =>
  backward.inputs.some((input) => forward.outputs.some((output) => output.name === input.name));

/** A sample that the op accepts: as specified, else with other options, sizes or optional inputs. */
export function validSample(record: OpRecord, spec: Spec = {}): Sample {
  const seed = spec.seed ?? 0;
  const equal = Object.fromEntries(
    lettersOf(record).map((letter) => [letter, letter === '*' ? [4] : 4]),
  );
  const attempts: Spec[] = [
    spec,
    ...[1, 2, 3, 4, 5, 6].map((k) => ({ ...spec, seed: seed + 7919 * k })),
    { ...spec, sizes: { ...equal, ...spec.sizes } },
    { ...spec, options: 'sampled', optional: 'all' },
    { ...spec, options: 'default' },
    ...[1, 2, 3, 4, 5, 6].map((k): Spec => ({
      ...spec,
      options: 'sampled',
      optional: 'some',
      seed: seed + 104729 * k,
    })),
  ];
  let refusal: unknown;
  for (const attempt of attempts) {
    try {
      const sample = makeSample(record, attempt);
      call(sample);
      return sample;
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
      refusal ??= error;
    }
  }
  throw new Error(
    `${record.name} accepts no sample like ${JSON.stringify(spec)}: ${String(refusal)}`,
  );
}

/** The same numbers as Float64Arrays (or Float32Arrays). */
export function withType(sample: Sample, double: boolean): Sample {
  const inputs: Record<string, ArrayValue> = {};
  for (const [name, { data, shape }] of Object.entries(sample.inputs)) {
    const { kind } = sample.record.inputs.find((input) => input.name === name)!;
    const same =
      data instanceof Int32Array || kind === 'real64'
        ? data.slice()
        : double
          ? Float64Array.from(data)
          : Float32Array.from(data);
    inputs[name] = { data: same, shape };
  }
  return { ...sample, spec: { ...sample.spec, double }, inputs };
}
