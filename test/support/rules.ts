/** What the records of some ops do not say: sizes, options and inputs of theirs that belong together. */
import type { Random } from './random.js';
import type { ArrayValue } from './samples.js';

export interface Rule {
  /** Sizes by letter, from those before it. */
  readonly sizes?: Readonly<
    Partial<
      Record<string, (sizes: Record<string, readonly number[]>, seed: number) => readonly number[]>
    >
  >;
  readonly options?: Readonly<Partial<Record<string, (random: Random) => unknown>>>;
  /** Inputs by name, from their shape and the length of the first input. */
  readonly inputs?: Readonly<
    Partial<Record<string, (shape: readonly number[], length: number) => ArrayValue>>
  >;
}

const widths = [2, 3, 4, 5, 6, 7, 8];

/** One step for all of x, or one a slice of its first dimension. */
const groups: NonNullable<Rule['sizes']> = {
  g: (sizes, seed) => (seed % 2 ? sizes.m : [1]),
};

/** A table of steps has a column for each width of the list. */
const stepTable: Rule = {
  sizes: { ...groups, B: () => [widths.length] },
  options: { bits: (random) => random.pick(widths) },
  inputs: { bitList: (shape) => ({ data: Float64Array.from(widths), shape }) },
};

/** Layers that cover all weights: all but the last have one in `l` of them. */
const layers: Rule = {
  inputs: {
    segments: (shape, length) => ({
      data: Int32Array.from({ length: shape[0] }, (_, i) =>
        Math.floor((i * length) / (shape[0] - 1)),
      ),
      shape,
    }),
  },
};

/** A row of each class at least. */
const classesOf = (rows: number): number => Math.max(1, Math.min(5, rows));
const everyClass: Rule = {
  sizes: { c: ({ n }) => [classesOf(n[0])] },
  inputs: {
    targets: (shape) => ({
      data: Int32Array.from({ length: shape[0] }, (_, i) => i % classesOf(shape[0])),
      shape,
    }),
  },
};

export const rules: Readonly<Partial<Record<string, Rule>>> = {
  elasticFakeQuantize: stepTable,
  elasticFakeQuantizeBackward: stepTable,
  affineFakeQuantize: { sizes: groups },
  affineFakeQuantizeBackward: { sizes: groups },
  weightMoments: layers,
  wdrLoss: layers,
  neuralCollapse: everyClass,
};
