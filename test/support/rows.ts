/** Which arrays of an op have one entry, or one slice, a row; and changes to single rows. */
import type { OpRecord } from 'logitcore';
import { call, type Result } from './invoke.js';
import { dimsOf, type ArrayValue, type Numbers, type Sample } from './samples.js';

export const firstDim = (dims: string): string => dimsOf(dims)[0] ?? '';
// Also of a flat array with several entries a row: `**t`.
const isRowLetter = (letter: string): boolean => /^[n*](\*.)?$/.test(letter);

/** Real inputs with a row of several values for each row index: logits, teacher, gradOut. */
export function rowInputs(record: OpRecord): string[] {
  return record.inputs
    .filter(
      ({ kind, dims }) =>
        kind === 'real' &&
        dimsOf(dims).length > 1 &&
        isRowLetter(firstDim(dims)) &&
        // A row of a square matrix is nothing alone.
        new Set(dimsOf(dims)).size === dimsOf(dims).length,
    )
    .map(({ name }) => name);
}

/** Targets and marks: inputs that can drop rows. */
export function rowMarks(record: OpRecord): string[] {
  if (!record.options.some(({ name }) => name === 'ignoreIndex')) return [];
  return record.inputs
    .filter(({ kind, dims }) => (kind === 'target' || kind === 'mark') && dims.length === 1)
    .map(({ name }) => name);
}

/** The outputs with an entry or a slice a row. */
export function rowOutputs(record: OpRecord, result: Result): [string, Numbers][] {
  return record.outputs
    .filter(({ dims, name }) => isRowLetter(firstDim(dims)) && ArrayBuffer.isView(result[name]))
    .map(({ name }) => [name, result[name] as Numbers]);
}

export const hasRowOutputs = ({ outputs }: OpRecord): boolean =>
  outputs.some(({ dims, kind }) => kind !== 'scalar' && isRowLetter(firstDim(dims)));

/** All row outputs are gradients of a mean, which are divided by the rows. */
export const onlyMeans = ({ outputs }: OpRecord): boolean =>
  outputs.every(({ kind, gradOf }) => kind === 'scalar' || gradOf !== undefined);

/** Ops whose rows change each other's results by definition. */
export const coupledRows: Readonly<Partial<Record<string, string>>> = {
  batchCorrelation: 'its loss compares rows with each other',
  classCorrelation: 'its loss compares classes over all rows',
  multiLevelKd: 'it has a batch and a class level',
  sphericalLayerStep: 'its rows share one step, and the gradient of a mean is divided by them',
  slicedGW: 'its rows are points of one cloud',
};

export const rowCount = ({ inputs, record }: Sample): number => {
  const first = rowInputs(record).find((name) => name in inputs)!;
  const { data, shape } = inputs[first];
  // A row may be a matrix: positions by classes.
  const { dims } = record.inputs.find(({ name }) => name === first)!;
  return shape.slice(1 - dimsOf(dims).length).reduce((rows, size) => rows / size, data.length);
};

/** The slice of row `i` in an array that holds `rows` rows. */
export const rowOf = (array: Numbers, i: number, rows: number): Numbers =>
  array.subarray((array.length / rows) * i, (array.length / rows) * (i + 1));

/** The same sample with row `i` of one input filled by `fill`. */
export function withRow(
  sample: Sample,
  input: string,
  i: number,
  fill: (old: number, k: number) => number,
): Sample {
  const { data, shape } = sample.inputs[input];
  const copy = data.slice();
  const row = rowOf(copy, i, rowCount(sample));
  row.forEach((old, k) => {
    row[k] = fill(old, k);
  });
  const inputs: Record<string, ArrayValue> = { ...sample.inputs, [input]: { data: copy, shape } };
  return { ...sample, inputs };
}

/** Which other rows of the outputs change with row `i` of an input: the first as text, or undefined. */
export function leak(sample: Sample, changed: Sample, i: number): string | undefined {
  const before = call(sample);
  const after = call(changed);
  const rows = rowCount(sample);
  const others = new Map(rowOutputs(sample.record, after));
  for (const [name, array] of rowOutputs(sample.record, before)) {
    const other = others.get(name)!;
    for (let r = 0; r < rows; r++) {
      if (r === i) continue;
      const [a, b] = [rowOf(array, r, rows), rowOf(other, r, rows)];
      for (let k = 0; k < a.length; k++)
        if (!Object.is(a[k], b[k])) return `${name}, row ${r}, entry ${k}: ${a[k]} became ${b[k]}`;
    }
  }
  return undefined;
}

/** The sample of row `i` alone. */
export function singleRow(sample: Sample, i: number): Sample {
  const rows = rowCount(sample);
  const inputs: Record<string, ArrayValue> = {};
  for (const { name, dims } of sample.record.inputs) {
    if (!(name in sample.inputs)) continue;
    const { data, shape } = sample.inputs[name];
    // Samples of several rows have one leading size.
    if (!isRowLetter(firstDim(dims))) {
      inputs[name] = { data, shape };
      continue;
    }
    const row = rowOf(data, i, rows).slice();
    // A flat array has several entries a row.
    const isFlat = firstDim(dims).length > 1;
    inputs[name] = { data: row, shape: isFlat ? [row.length] : [1, ...shape.slice(1)] };
  }
  return { ...sample, inputs };
}
