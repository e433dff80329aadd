/** What the records of some ops do not say: sizes, options and inputs of theirs that belong together. */
import type { Random } from './random.js';
import type { ArrayValue } from './samples.js';

export interface Rule {
  /** In place of the options' defaults: what keeps samples small, or an op that iterates quick. */
  readonly defaults?: Readonly<Record<string, unknown>>;
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

const topK = 3;
const fewNodes: Rule = { defaults: { topK }, options: { topK: () => topK } };

/** Gradients of as many nodes as the logits have. */
const nodesOfRanks: Rule = {
  sizes: { g: ({ c }) => [Math.min(topK, c[0])] },
  defaults: { topK },
  options: { topK: () => topK, nodes: () => 'rank', size: () => undefined },
};

/** Numbers in -1..1 without a visible order, of exact operations: Math.cos has other last bits in other engines. */
const wave = (i: number): number => ((37 * i + 5) % 23) / 11 - 1;

/** A square matrix near `diagonal`, the same for the same size. */
const square =
  (diagonal: number, spread: number): NonNullable<Rule['inputs']>[string] =>
  ([d, columns]) => ({
    data: Float64Array.from({ length: d * columns }, (_, at) => {
      const [i, j] = [Math.floor(at / columns), at % columns];
      return (i === j ? diagonal : 0) + (spread * wave(i) * wave(j)) / d;
    }),
    shape: [d, columns],
  });

/** Factors that a layer may have: Q is positive definite, U invertible. */
const layer: Rule = {
  inputs: {
    U: square(1, 0.3),
    inverseU: square(1, -0.3),
    Q: square(3, 0.5),
    omega: (shape) => ({
      data: Float64Array.from({ length: shape[0] }, (_, i) => wave(i + 7) / 8),
      shape,
    }),
    wbar: (shape) => ({
      data: Float64Array.from({ length: shape[0] }, (_, i) => wave(i) / 8),
      shape,
    }),
  },
};
const layerStep: Rule = {
  ...layer,
  defaults: { learningRate: 0.01 },
  options: {
    learningRate: (random) => random.between(0, 0.05),
    weightDecay: (random) => random.between(0, 0.5),
  },
};

export const rules: Readonly<Partial<Record<string, Rule>>> = {
  elasticFakeQuantize: stepTable,
  elasticFakeQuantizeBackward: stepTable,
  affineFakeQuantize: { sizes: groups },
  affineFakeQuantizeBackward: { sizes: groups },
  coactivationGraph: nodesOfRanks,
  coactivationGraphBackward: nodesOfRanks,
  coactivationFeatures: nodesOfRanks,
  coactivationFeaturesBackward: nodesOfRanks,
  sphericalLayerStep: layerStep,
  sphericalLayerStabilize: layer,
  sphericalLayerWeight: layer,
  sphericalLayerScores: layer,
  sphericalLayerTopK: layer,
  // All permutations are tried.
  gwBruteForce: { sizes: { a: (_, seed) => [1 + (seed % 7)] } },
  slicedGW: { sizes: { q: ({ d, e }) => [Math.max(d[0], e[0])] } },
  gldLoss: fewNodes,
  infiGFusionLoss: fewNodes,
  entropicGW: { defaults: { epsilon: 0.5, outerIterations: 5, innerIterations: 20 } },
  weightMoments: layers,
  wdrLoss: layers,
  neuralCollapse: everyClass,
  // Transposed, other sizes would have to agree, and with beta the result depends on what `out` held; test/matrix.test.ts has both.
  matmul: {
    sizes: { p: ({ j }) => j },
    options: { transposeA: () => false, transposeB: () => false, beta: () => 0 },
  },
};
