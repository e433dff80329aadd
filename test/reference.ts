/**
 * Plain float64 versions of the headline ops, one row at a time, straight from the formulas. The tests and the
 * benchmark compare against these, so they favour being obviously right over being fast.
 */

type Row = ArrayLike<number>;

export type Reduction = 'mean' | 'sum' | 'none';

/** `grad` is each row's own gradient, that is, the gradient of the sum of the row losses. */
export interface LossReference {
  loss: Float64Array;
  grad: Float64Array;
}

function rowsOf(length: number, columns: number): number {
  if (columns <= 0 || length % columns !== 0)
    throw new RangeError(`${length} values are no whole rows of ${columns}`);
  return length / columns;
}

/** max, and log Σ exp(x/T) split as the shifted sum, of one row. */
function rowStatistics(
  data: Row,
  start: number,
  columns: number,
  temperature: number,
): { max: number; logSum: number } {
  let max = -Infinity;
  for (let j = 0; j < columns; j++) max = Math.max(max, data[start + j]);
  let sum = 0;
  for (let j = 0; j < columns; j++) sum += Math.exp((data[start + j] - max) / temperature);
  return { max, logSum: Math.log(sum) };
}

export function logSoftmax(data: Row, columns: number, temperature = 1): Float64Array {
  const out = new Float64Array(data.length);
  for (let row = 0; row < rowsOf(data.length, columns); row++) {
    const start = row * columns;
    const { max, logSum } = rowStatistics(data, start, columns, temperature);
    for (let j = 0; j < columns; j++)
      out[start + j] = (data[start + j] - max) / temperature - logSum;
  }
  return out;
}

export function softmax(data: Row, columns: number, temperature = 1): Float64Array {
  return logSoftmax(data, columns, temperature).map(Math.exp);
}

export function logSumExp(data: Row, columns: number, temperature = 1): Float64Array {
  const out = new Float64Array(rowsOf(data.length, columns));
  for (let row = 0; row < out.length; row++) {
    const { max, logSum } = rowStatistics(data, row * columns, columns, temperature);
    out[row] = max / temperature + logSum;
  }
  return out;
}

/** Entropy of softmax(x/T) by row. */
export function entropy(data: Row, columns: number, temperature = 1): Float64Array {
  const logProbs = logSoftmax(data, columns, temperature);
  const out = new Float64Array(rowsOf(data.length, columns));
  for (let i = 0; i < logProbs.length; i++) {
    const row = Math.floor(i / columns);
    const probability = Math.exp(logProbs[i]);
    if (probability > 0) out[row] -= probability * logProbs[i];
  }
  return out;
}

/** −log softmax(x/T) at the target, with label smoothing; ignored rows give 0. */
export function crossEntropy(
  data: Row,
  columns: number,
  targets: ArrayLike<number>,
  { temperature = 1, labelSmoothing = 0, ignoreIndex = -100 } = {},
): LossReference {
  const logProbs = logSoftmax(data, columns, temperature);
  const loss = new Float64Array(rowsOf(data.length, columns));
  const grad = new Float64Array(data.length);
  for (let row = 0; row < loss.length; row++) {
    const target = targets[row];
    if (target === ignoreIndex) continue;
    for (let j = 0; j < columns; j++) {
      const i = row * columns + j;
      const wanted = (j === target ? 1 - labelSmoothing : 0) + labelSmoothing / columns;
      if (wanted > 0) loss[row] -= wanted * logProbs[i];
      grad[i] = (Math.exp(logProbs[i]) - wanted) / temperature;
    }
  }
  return { loss, grad };
}

/** Forward KL(teacher || student) by row, times T², and its gradient in the student. */
export function klDiv(
  student: Row,
  teacher: Row,
  columns: number,
  { temperature = 1, scaleByT2 = true } = {},
): LossReference {
  const logQ = logSoftmax(student, columns, temperature);
  const logP = logSoftmax(teacher, columns, temperature);
  const scale = scaleByT2 ? temperature * temperature : 1;
  const loss = new Float64Array(rowsOf(student.length, columns));
  const grad = new Float64Array(student.length);
  for (let i = 0; i < grad.length; i++) {
    const p = Math.exp(logP[i]);
    if (p > 0) loss[Math.floor(i / columns)] += scale * p * (logP[i] - logQ[i]);
    grad[i] = (scale / temperature) * (Math.exp(logQ[i]) - p);
  }
  return { loss, grad };
}

/** T² KL(softmax(teacher / T) || softmax(student / T)) of rows standardised by their sample deviation (Sun et al. 2024). */
export function standardizedKlDiv(
  student: Row,
  teacher: Row,
  columns: number,
  { temperature = 2, eps = 1e-7 } = {},
): LossReference {
  const standardize = (data: Row) => {
    const out = new Float64Array(data.length);
    const deviations = new Float64Array(rowsOf(data.length, columns));
    for (let start = 0, row = 0; start < data.length; start += columns, row++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += data[start + j];
      const mean = sum / columns;
      let squares = 0;
      for (let j = 0; j < columns; j++) squares += (data[start + j] - mean) ** 2;
      deviations[row] = Math.sqrt(squares / (columns - 1));
      for (let j = 0; j < columns; j++)
        out[start + j] = (data[start + j] - mean) / (deviations[row] + eps);
    }
    return { out, deviations };
  };
  const { out: z, deviations } = standardize(student);
  const { loss, grad } = klDiv(z, standardize(teacher).out, columns, { temperature });
  // Through z = (x - mean) / (sd + eps); the gradient by z sums to 0 in every row.
  for (let start = 0, row = 0; start < grad.length; start += columns, row++) {
    const deviation = deviations[row];
    let along = 0;
    for (let j = 0; j < columns; j++) along += grad[start + j] * z[start + j];
    const tilt = (along * (deviation + eps)) / (deviation * (columns - 1));
    for (let j = 0; j < columns; j++)
      grad[start + j] = (grad[start + j] - tilt * z[start + j]) / (deviation + eps);
  }
  return { loss, grad };
}

/** The Z-loss of de Brébisson and Vincent: softplus(a(b − z))/a of the target's standardised logit z. */
export function zLoss(
  data: Row,
  columns: number,
  targets: ArrayLike<number>,
  { a = 1, b = 0, epsilon = 1e-12 } = {},
): LossReference {
  const loss = new Float64Array(rowsOf(data.length, columns));
  const grad = new Float64Array(data.length);
  for (let row = 0; row < loss.length; row++) {
    const start = row * columns;
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += data[start + j];
    const mean = sum / columns;
    let squares = 0;
    for (let j = 0; j < columns; j++) squares += (data[start + j] - mean) ** 2;
    const deviation = Math.sqrt(squares / columns);
    const spread = deviation + epsilon;
    const z = deviation === 0 ? 0 : (data[start + targets[row]] - mean) / spread;
    const margin = a * (b - z);
    loss[row] = (Math.max(margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)))) / a;
    if (deviation === 0) continue;
    const slope = -1 / (1 + Math.exp(-margin));
    for (let j = 0; j < columns; j++) {
      const own = j === targets[row] ? 1 : 0;
      const centred = data[start + j] - mean;
      grad[start + j] =
        (slope / spread) * (own - 1 / columns - (z * centred) / (columns * deviation));
    }
  }
  return { loss, grad };
}

/** The k largest of each row, descending; of equal values the one with the lower index comes first. */
export function topK(
  data: Row,
  columns: number,
  k: number,
): { values: Float64Array; indices: Int32Array } {
  const rows = rowsOf(data.length, columns);
  const values = new Float64Array(rows * k);
  const indices = new Int32Array(rows * k);
  for (let row = 0; row < rows; row++) {
    const order = Array.from({ length: columns }, (_, j) => j);
    order.sort(
      (left, right) => data[row * columns + right] - data[row * columns + left] || left - right,
    );
    for (let i = 0; i < k; i++) {
      indices[row * k + i] = order[i]!;
      values[row * k + i] = data[row * columns + order[i]]!;
    }
  }
  return { values, indices };
}

/** Reduces row losses; `mean` divides by `count` (all rows unless said otherwise). */
export function reduce(
  loss: Float64Array,
  reduction: Reduction,
  count = loss.length,
): number | Float64Array {
  if (reduction === 'none') return loss;
  const sum = loss.reduce((total, value) => total + value, 0);
  return reduction === 'sum' ? sum : count === 0 ? 0 : sum / count;
}
