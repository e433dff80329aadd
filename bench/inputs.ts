/** Seeded inputs: the same bytes for every contestant and every run, made from the records of the ops. */
import type { InputRecord, OpRecord } from 'logitcore';
import { requiredOptions, requiredSizes, type Shape } from './shapes.js';

/** mulberry32: small, seeded, and good enough for test data. */
export function randomGenerator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normal values by Box-Muller. */
export function normals(length: number, random: () => number, scale = 1): Float32Array {
  const out = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const radius = scale * Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    out[i] = radius * Math.cos(angle);
    if (i + 1 < length) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

export function classIndices(length: number, classes: number, random: () => number): Int32Array {
  return Int32Array.from({ length }, () => Math.floor(random() * classes));
}

export interface HeadlineInputs extends Shape {
  readonly logits: Float32Array;
  readonly teacher: Float32Array;
  readonly targets: Int32Array;
}

/** Logits of standard deviation 3, about as spread as those of a trained network. */
export function headlineInputs({ rows, columns }: Shape, seed: number): HeadlineInputs {
  const random = randomGenerator(seed);
  return {
    rows,
    columns,
    logits: normals(rows * columns, random, 3),
    teacher: normals(rows * columns, random, 3),
    targets: classIndices(rows, columns, random),
  };
}

export interface OpArguments {
  readonly positional: unknown[];
  readonly options: Record<string, unknown>;
  /** Bytes of the real inputs. */
  readonly bytes: number;
}

/** `*` and `n` are the rows, `c` the columns; any other size is small, unless the op needs a certain one. */
function sizesOf(op: string, input: InputRecord, { rows, columns }: Shape): number[] {
  const known: Readonly<Record<string, number | undefined>> = {
    '*': rows,
    n: rows,
    c: columns,
    ...requiredSizes[op],
  };
  const sizeOf = (letter: string): number => known[letter] ?? 16;
  return input.dims.split(',').map((dim) => {
    const parts = dim.split('+');
    const letter = parts[0];
    // A product, as in b*t.
    const product = /^(.)\*(.)$/.exec(letter);
    if (product) return sizeOf(product[1]) * sizeOf(product[2]);
    return sizeOf(letter) + Number(parts.at(1) ?? 0);
  });
}

function realValues(input: InputRecord, shape: number[], random: () => number): Float32Array {
  const length = shape.reduce((product, size) => product * size, 1);
  const columns = shape[shape.length - 1] ?? 1;
  const values = normals(length, random, input.domain === 'gradient' ? 1 : 3);
  if (input.domain === 'positive') return values.map(() => 0.5 + random());
  if (input.domain !== 'probability' && input.domain !== 'logProbability') return values;
  for (let start = 0; start < length; start += columns) {
    const row = values.subarray(start, start + columns);
    const sum = row.reduce((total, value) => total + Math.exp(value), 0);
    row.forEach((value, j) => {
      const logProbability = value - Math.log(sum);
      row[j] = input.domain === 'probability' ? Math.exp(logProbability) : logProbability;
    });
  }
  return values;
}

/** Arguments for any op, its optional inputs left out. `double` gives the same values as Float64Arrays. */
export function opArguments(
  record: OpRecord,
  shape: Shape,
  seed: number,
  double = false,
): OpArguments {
  const random = randomGenerator(seed);
  let bytes = 0;
  const positional = record.inputs
    .filter((input) => !input.fromOptions && !input.optional)
    .map((input) => {
      const sizes = sizesOf(record.name, input, shape);
      const length = sizes.reduce((product, size) => product * size, 1);
      bytes += 4 * length;
      if (input.kind === 'real') {
        const values = realValues(input, sizes, random);
        const data = double ? Float64Array.from(values) : values;
        return sizes.length > 1 ? { data, shape: sizes } : data;
      }
      if (input.kind === 'real64') {
        const data = Float64Array.from(realValues(input, sizes, random));
        return sizes.length > 1 ? { data, shape: sizes } : data;
      }
      if (input.kind === 'sign')
        return Int32Array.from({ length }, () => (random() < 0.5 ? -1 : 1));
      return classIndices(length, shape.columns, random);
    });
  return { positional, options: { ...requiredOptions[record.name] }, bytes };
}
