/** Samples for the device: what stands in the rows of logits, by a seed. */
import type { OpRecord } from 'logitcore';
import { hasClasses } from './cuda-ops.js';
import { lettersOf, makeSample, type Numbers, type Sample, type Spec } from './samples.js';

export interface DeviceSample extends Sample {
  /** What is special about its logits. */
  readonly kind: Kind;
}

/** Logits of 1e4 and tiny ones are `wide`. */
const kinds = ['plain', 'masked', 'wide', 'ties', 'constant', 'no class', 'no number'] as const;
type Kind = (typeof kinds)[number];

/** Rows whose result depends on the way to it: which entries are NaN (their losses are), or what rounding leaves of nothing. */
const unsettled: Readonly<Partial<Record<string, readonly Kind[]>>> = {
  decoupledKd: ['no class', 'no number'],
  uldLoss: ['constant'],
  // Whether nodes of both graphs have the same eccentricity decides in which direction mass goes.
  gwFirstLowerBound: ['ties', 'constant'],
  attentionLogitStats: ['constant'],
  gwObjective: ['masked'],
};

/** Few rows of long widths: the build for the CPU is slow. */
export const rowsOf = (width: number): number => (width < 300 ? 5 : width < 5000 ? 2 : 1);

// For these the build for the CPU would take minutes: a search sweeps each row some hundreds of times, and a product has a block of
// threads for every 64 by 64 of its entries.
const searched = (rows: number, columns: number) =>
  rows * columns < 3000 && (columns < 9 || columns % 3 === 2);
const sorted = (rows: number, columns: number) => rows < 200 || columns < 2;
const multiplied = (rows: number, columns: number) => rows <= 1000 && columns < 5000;
// Of more nodes they are cut to some 130.
const graphs = (rows: number, columns: number) => rows <= 1000 && columns < 300;
const affordable: Readonly<Partial<Record<string, (rows: number, columns: number) => boolean>>> = {
  partitionZeroRadius: searched,
  // Sorts of a block or more a row, one after the other.
  uldLoss: sorted,
  uldSequenceLoss: sorted,
  gldLoss: sorted,
  infiGFusionLoss: sorted,
  coactivationGraph: sorted,
  coactivationGraphBackward: sorted,
  coactivationFeatures: sorted,
  coactivationFeaturesBackward: sorted,
  batchCorrelation: multiplied,
  classCorrelation: multiplied,
  headForces: multiplied,
  attentionLogitStats: (rows) => rows <= 1000,
  // A block a class, and ten products of either kind.
  headConflict: searched,
  multiLevelKd: searched,
  // A warp for every entry of both matrices, and all rows with all rows.
  gwSecondLowerBound: searched,
  gwThirdLowerBound: (rows, columns) => searched(rows, columns) && columns < 130,
  gwObjective: graphs,
  entropicGW: graphs,
  // What no line separates takes a thousand steps.
  separate: (rows) => rows < 200,
};
/** Whether a call of that size ends soon in the build for the CPU. */
export const isAffordable = ({ name }: OpRecord, rows: number, columns: number): boolean =>
  affordable[name]?.(rows, columns) ?? true;

const changes: Readonly<Partial<Record<Kind, (row: Numbers, at: number) => void>>> = {
  ties: (row) => {
    row.forEach((x, j) => (row[j] = Math.round(2 * x) / 2));
  },
  constant: (row, at) => row.fill(1.25 - (at % 5)),
  // One row each; the others show that it stays there.
  'no class': (row, at) => {
    if (at === 0) row.fill(-Infinity);
  },
  'no number': (row, at) => {
    if (at < 2) row[row.length >> 1] = at === 0 ? NaN : Infinity;
  },
};

export function deviceSample(
  record: OpRecord,
  width: number,
  rows: number,
  seed: number,
  optional: 'some' | 'all' = 'some',
): DeviceSample {
  const chosen = kinds[seed % kinds.length];
  const kind = unsettled[record.name]?.includes(chosen) ? 'plain' : chosen;
  const letters = lettersOf(record);
  const sizes: Record<string, number | number[]> = {};
  // Logits of sequences: so many of so many positions.
  const sequences = letters.some((letter) => 'tlu'.includes(letter));
  // Points of lines or nodes of graphs, of which the two sides of a call may have other numbers.
  const points =
    letters.every((letter) => 'nm'.includes(letter)) &&
    record.inputs.every(({ kind }) => kind === 'real');
  // Clouds of points, seen along few directions.
  const clouds = letters.includes('e');
  // Weights of layers, or one logit a row.
  const flat = letters.every((letter) => 'nl'.includes(letter));
  // Queries with as many keys, which some hide, or with a long row of them.
  const attends = record.name === 'attentionLogitStats';
  const keys = attends && seed % 4 < 2;
  for (const letter of letters)
    if (flat) sizes[letter] = letter === 'n' ? rows * width : Math.max(1, rows >> 1);
    else if (points && letters.length > 1)
      sizes[letter] = letter === 'n' && seed % 4 > 0 ? width + rows : width;
    else if (clouds)
      sizes[letter] = letter === 'n' ? width : letter === 'p' ? rows : letter === 'd' ? 5 : 3;
    else if (letter === '*') sizes[letter] = [sequences ? 2 : letters.length > 1 ? rows : width];
    else if (letter === 'n') sizes[letter] = rows;
    else if (attends) sizes[letter] = letter === 'c' ? (keys ? 6 : width) : keys ? width : rows;
    // Sequences, or nodes of a second graph.
    else if (letter === 'b') sizes[letter] = letters.includes('a') ? rows + 1 : 2;
    // Positions, or points of a line.
    else if (letter === 't' || letter === 'l')
      sizes[letter] = letters.includes('n') ? Math.min(rows >> 1, 9) : rows >> 1;
    else if (letter === 'u') sizes[letter] = (rows >> 1) + 1;
    else if (letter === 'v') sizes[letter] = width + 2;
    // Outer sizes of a product.
    else if (letter === 'i' || letter === 'q') sizes[letter] = rows + 1;
    // Features beside classes.
    else sizes[letter] = letter !== 'c' && letters.includes('c') ? 6 : width;
  const spec: Spec = {
    sizes,
    seed,
    options: seed % 5 === 0 ? 'default' : 'sampled',
    // Of attention: both scales or neither.
    optional: !attends ? optional : seed % 3 ? 'all' : 'none',
    ignored: seed % 3 !== 0,
    ...(keys && { given: { causal: false } }),
    values: kind === 'masked' || kind === 'wide' ? kind : 'plain',
  };
  const made = makeSample(record, spec);
  const { method } = made.options;
  // Nodes are assigned to as many others, without weights.
  const sample =
    method === 'assignment'
      ? makeSample(record, {
          ...spec,
          sizes: { ...sizes, n: width },
          optional: 'none',
          given: { method },
        })
      : made;
  const change = changes[kind];
  if (change)
    for (const { name, dims, domain } of record.inputs) {
      const isChanged = hasClasses(dims) || points || clouds;
      if (domain !== 'any' || !isChanged || !(name in sample.inputs)) continue;
      const { data, shape } = sample.inputs[name];
      const columns = shape.at(-1)!;
      for (let at = 0; at * columns < data.length; at++)
        change(data.subarray(at * columns, (at + 1) * columns), at);
    }
  // Graphs are refused where the divergence has no meaning.
  if (letters.includes('a') && sample.options.loss === 'kl')
    for (const { data } of Object.values(sample.inputs))
      data.forEach((x, i) => (data[i] = Math.abs(x) || 0.25));
  // alignDistil refuses a weight below 0 in the modes that use it.
  const { klCoef } = sample.options;
  const options = typeof klCoef === 'number' ? { klCoef: Math.abs(klCoef) } : {};
  return { ...sample, options: { ...sample.options, ...options }, kind };
}
