/** What is measured: one list of shapes and of ops for the benchmark, its plots and its tables. */

export interface Shape {
  readonly rows: number;
  readonly columns: number;
}

/** Classifiers, ImageNet, and the vocabularies of Llama 2, GPT-2 and Llama 3; the last is one very long row. */
export const shapes: readonly Shape[] = [
  { rows: 4096, columns: 10 },
  { rows: 1024, columns: 1000 },
  { rows: 64, columns: 32000 },
  { rows: 32, columns: 50257 },
  { rows: 16, columns: 128256 },
  { rows: 1, columns: 1_000_000 },
];

/** Shapes of the table of all ops. */
export const genericShapes: readonly Shape[] = [
  { rows: 4096, columns: 10 },
  { rows: 64, columns: 4096 },
];

export const formatShape = ({ rows, columns }: Shape): string => `[${rows},${columns}]`;

export function parseShape(text: string): Shape {
  const [rows, columns, ...rest] = text
    .replace(/[[\]\s]/g, '')
    .split(/[,x]/)
    .map(Number);
  const isSize = (size: number | undefined): size is number => Number.isInteger(size) && size! > 0;
  if (!isSize(rows) || !isSize(columns) || rest.length > 0)
    throw new RangeError(`a shape is ROWSxCOLUMNS, such as 64x32000, not '${text}'`);
  return { rows, columns };
}

export const headlineNames = [
  'logSoftmax',
  'softmax',
  'crossEntropy',
  'crossEntropy+grad',
  'klDiv+grad',
  'standardizedKlDiv+grad',
  'zLoss+grad',
  'topK',
  'entropy',
] as const;
export type HeadlineName = (typeof headlineNames)[number];

/** Bytes that must move for each logit: 4 for every array of the logits' size that is read or written. */
export const bytesPerLogit: Readonly<Record<HeadlineName, number>> = {
  logSoftmax: 8,
  softmax: 8,
  crossEntropy: 4,
  'crossEntropy+grad': 8,
  'klDiv+grad': 12,
  'standardizedKlDiv+grad': 12,
  'zLoss+grad': 8,
  topK: 4,
  entropy: 4,
};

/** 2^x of a sum of exponentials: one fma for the argument, floor, difference, six fma, the exponent's addition. */
const exponential = 17;

/**
 * Floating-point operations for each logit, a fused multiply-add counted as two: what logitcore's kernels execute. The roofline
 * gives every contestant this work, so that points of one op stand above each other.
 */
export const flopsPerLogit: Readonly<Record<HeadlineName, number>> = {
  logSoftmax: exponential + 2 + 3,
  softmax: exponential + 2 + 1,
  crossEntropy: exponential + 2,
  'crossEntropy+grad': exponential + 2 + 1,
  'klDiv+grad': 2 * (exponential + 2) + 8,
  'standardizedKlDiv+grad': 2 * (exponential + 6) + 12,
  'zLoss+grad': 7,
  topK: 1,
  entropy: exponential + 2 + 3,
};

/** memcpy reads and writes every byte. */
export const memcpyBytesPerLogit = 8;

export const topKSize = (columns: number): number => Math.min(10, columns);

/**
 * Largest difference from the float64 reference, over the largest reference value of the array, that a result may
 * show to be timed. Rivals that sum long rows in one float32 need the wider one.
 */
export const tolerance = { own: 1e-5, rival: 2e-3 } as const;

/** A rival slower than this for one run takes part in fewer rounds. */
export const slowRunMs = 60;

/** Elements of one call in the sweep that shows from which size on the native call is worth it. */
export const crossoverShapes: readonly Shape[] = [
  { rows: 1, columns: 4 },
  { rows: 1, columns: 10 },
  { rows: 4, columns: 10 },
  { rows: 10, columns: 10 },
  { rows: 32, columns: 10 },
  { rows: 100, columns: 10 },
  { rows: 32, columns: 100 },
  { rows: 100, columns: 100 },
  { rows: 32, columns: 1000 },
  { rows: 100, columns: 1000 },
];

/** Options without which an op cannot be called: the records have no default for them. */
export const requiredOptions: Readonly<Record<string, Record<string, unknown>>> = {
  topK: { k: 10 },
  sphericalLayerTopK: { k: 10 },
  finiteDifferenceJvp: { step: 0.1 },
  activationRadius: { activation: 'tanh' },
};

/** Sizes that the records of some ops do not say: one step for the whole tensor, in a table of the usual widths. */
export const requiredSizes: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  elasticFakeQuantize: { g: 1, B: 7 },
  elasticFakeQuantizeBackward: { g: 1, B: 7 },
  affineFakeQuantize: { g: 1 },
  affineFakeQuantizeBackward: { g: 1 },
  matmul: { i: 256, j: 256, p: 256, q: 256 },
};
