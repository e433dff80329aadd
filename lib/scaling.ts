import {
  checkChoice,
  checkNumber,
  checkNumbers,
  checkOptions,
  kindOf,
  type Numbers,
} from './arguments.js';

// A few numbers a run or a model: double precision here, no arrays worth a kernel.

const positive = (value: number) => value > 0 && value < Infinity;

export interface LrSensitivityOptions {
  /** Loss at initialisation: what a diverged run counts as. */
  initialLoss: number;
  /** Ranges of learning rates `[low, high]`, ends included; default `[[3e-4, 3e-1]]`. */
  ranges?: readonly (readonly [number, number])[];
}

/** What {@link lrSensitivity} returns. */
export interface LrSensitivity {
  /** That of the range with the smallest. */
  sensitivity: number;
  /** The smallest loss in that range, at most initialLoss. */
  bestLoss: number;
  /** Its index in `learningRates`, the lowest on ties. */
  bestIndex: number;
  /** Learning rates in that range. */
  count: number;
}

/**
 * Learning-rate sensitivity: the mean over the learning rates of a range of `min(loss, initialLoss) - best`, `best` the smallest such
 * loss (Wortsman et al. 2023, arXiv 2309.14322). A flat curve has 0. Of several ranges the smallest counts.
 *
 * A loss of NaN or Infinity counts as initialLoss. Range ends have a relative slack of 1e-5, so that 3e-4 in float32 is inside.
 * @param learningRates one a run
 * @param losses final loss of each run
 * @throws TypeError or RangeError for wrong types or lengths, empty input, a missing initialLoss, a learning rate that is not positive
 * or a range without any
 */
export function lrSensitivity(
  learningRates: Numbers,
  losses: Numbers,
  options: LrSensitivityOptions,
): LrSensitivity {
  const op = 'lrSensitivity';
  checkNumbers(op, 'learningRates', learningRates);
  checkNumbers(op, 'losses', losses, learningRates.length);
  if (learningRates.length === 0)
    throw new RangeError(`${op}: learningRates is empty, expected at least one value`);
  checkOptions(op, options);
  const initial = checkNumber(op, 'options.initialLoss', options.initialLoss);
  const ranges = checkRanges(op, options.ranges);
  learningRates.forEach((rate, i) =>
    checkNumber(op, `learningRates[${i}]`, rate, 'a finite number > 0', positive),
  );
  const clipped = Float64Array.from(losses, (loss, i) => {
    if (loss === -Infinity)
      throw new RangeError(`${op}: losses[${i}] is -Infinity, expected a number, NaN or Infinity`);
    return loss < initial ? loss : initial;
  });
  let best: LrSensitivity | undefined;
  for (const [low, high] of ranges) {
    let count = 0;
    let bestIndex = -1;
    for (let i = 0; i < clipped.length; i += 1) {
      if (!within(learningRates[i], low, high)) continue;
      count += 1;
      if (bestIndex < 0 || clipped[i] < clipped[bestIndex]) bestIndex = i;
    }
    if (count === 0)
      throw new RangeError(`${op}: no learning rate is in the range [${low}, ${high}]`);
    const bestLoss = clipped[bestIndex];
    let sum = 0;
    for (let i = 0; i < clipped.length; i += 1)
      if (within(learningRates[i], low, high)) sum += clipped[i] - bestLoss;
    const sensitivity = sum / count;
    if (!best || sensitivity < best.sensitivity) best = { sensitivity, bestLoss, bestIndex, count };
  }
  return best!;
}

const within = (rate: number, low: number, high: number) =>
  rate >= low * (1 - 1e-5) && rate <= high * (1 + 1e-5);

function checkRanges(op: string, ranges: unknown): readonly (readonly [number, number])[] {
  if (ranges === undefined) return [[3e-4, 3e-1]];
  if (!Array.isArray(ranges))
    throw new TypeError(
      `${op}: options.ranges must be an array of [low, high], got ${kindOf(ranges)}`,
    );
  if (ranges.length === 0)
    throw new RangeError(`${op}: options.ranges is empty, expected at least one [low, high]`);
  return ranges.map((range: unknown, i) => {
    if (!Array.isArray(range))
      throw new TypeError(`${op}: options.ranges[${i}] must be [low, high], got ${kindOf(range)}`);
    if (range.length !== 2)
      throw new RangeError(
        `${op}: options.ranges[${i}] has ${range.length} values, expected [low, high]`,
      );
    const low = checkNumber(
      op,
      `options.ranges[${i}][0]`,
      range[0],
      'a finite number > 0',
      positive,
    );
    const high = checkNumber(
      op,
      `options.ranges[${i}][1]`,
      range[1],
      `a finite number >= ${low}`,
      (value) => value >= low && value < Infinity,
    );
    return [low, high] as const;
  });
}

export interface MuParamRulesOptions {
  /** Inputs of the layer. */
  fanIn: number;
  /** Inputs of the same layer in the model the learning rate was tuned on; default 256. */
  baseFanIn?: number;
  /** Size of an attention head; default 64. */
  headDim?: number;
  /** The base learning rate; default 1, which gives factors. */
  learningRate?: number;
  /** How much of muParam to take; default 'standard', none of it. */
  variant?: 'standard' | 'simple' | 'intermediate' | 'full';
}

/** What {@link muParamRules} returns. */
export interface MuParamRules {
  /** Learning rate of linear layers. */
  linearLearningRate: number;
  /** Standard deviation of the output head's weights at initialisation. */
  headInitStd: number;
  /** Factor of the attention logits. */
  attentionScale: number;
  /** Standard deviation of the query weights at initialisation. */
  queryInitStd: number;
}

/**
 * The rules of muParam and its simplifications (Wortsman et al. 2023, arXiv 2309.14322): 'simple' multiplies the learning rate of
 * linear layers by `baseFanIn / fanIn`, 'intermediate' also sets the head's deviation to `sqrt(baseFanIn) / fanIn`, 'full' also
 * the attention scale to `1 / headDim` and query weights to 0. 'standard': deviations `1 / sqrt(fanIn)`, scale `1 / sqrt(headDim)`.
 * @throws TypeError or RangeError for a missing fanIn, a number that is not positive or an unknown variant
 */
export function muParamRules(options: MuParamRulesOptions): MuParamRules {
  const op = 'muParamRules';
  checkOptions(op, options);
  const number = (name: string, value: unknown) =>
    checkNumber(op, `options.${name}`, value, 'a finite number > 0', positive);
  const fanIn = number('fanIn', options.fanIn);
  const baseFanIn = number('baseFanIn', options.baseFanIn ?? 256);
  const headDim = number('headDim', options.headDim ?? 64);
  const learningRate = number('learningRate', options.learningRate ?? 1);
  const variants = ['standard', 'simple', 'intermediate', 'full'] as const;
  const level = variants.indexOf(
    checkChoice(op, 'options.variant', options.variant ?? 'standard', variants),
  );
  return {
    linearLearningRate: level >= 1 ? (learningRate * baseFanIn) / fanIn : learningRate,
    headInitStd: level >= 2 ? Math.sqrt(baseFanIn) / fanIn : 1 / Math.sqrt(fanIn),
    attentionScale: level >= 3 ? 1 / headDim : 1 / Math.sqrt(headDim),
    queryInitStd: level >= 3 ? 0 : 1 / Math.sqrt(fanIn),
  };
}

/** Options of {@link fitScalingTrend}. */
export interface ScalingTrendOptions {
  /** Degree of the polynomial in log10(size), an integer in [0, 8]; default 2. */
  degree?: number;
  /** Sizes to predict at. */
  at?: Numbers;
  /** Value whose crossing is sought. */
  threshold?: number;
}

/** A fitted trend; `predictions` and `crossing` are there if `at` and `threshold` were given. */
export interface ScalingTrend {
  /** `coefficients[k]` multiplies `log10(size)^k`; their sum is `log10(value)`. */
  coefficients: Float64Array;
  /** Root mean square of the residuals, in decades. */
  residualRms: number;
  predictions?: Float64Array;
  /** The smallest size beyond the largest fitted one where the curve has the value `threshold`; Infinity if it never has. */
  crossing?: number;
}

/**
 * Least-squares fit of `log10(value)` by a polynomial in `log10(size)`, to see a threshold coming at larger sizes: the maximum
 * attention logit against parameters at one learning rate, say (Wortsman et al. 2023, arXiv 2309.14322; the axes are read off its
 * figure).
 * @param sizes positive, `degree + 1` different ones at least
 * @param values positive
 * @throws TypeError or RangeError for wrong types or lengths, too few points, or a size, value or threshold that is not positive
 */
export function fitScalingTrend(
  sizes: Numbers,
  values: Numbers,
  options: ScalingTrendOptions = {},
): ScalingTrend {
  const op = 'fitScalingTrend';
  checkNumbers(op, 'sizes', sizes);
  checkNumbers(op, 'values', values, sizes.length);
  checkOptions(op, options);
  const isDegree = (value: number) => Number.isInteger(value) && value >= 0 && value <= 8;
  const degree = checkNumber(
    op,
    'options.degree',
    options.degree ?? 2,
    'an integer in [0, 8]',
    isDegree,
  );
  const logs = (name: string, numbers: Numbers) =>
    Float64Array.from(numbers, (value, i) =>
      Math.log10(checkNumber(op, `${name}[${i}]`, value, 'a finite number > 0', positive)),
    );
  const u = logs('sizes', sizes);
  const y = logs('values', values);
  const different = new Set(u).size;
  if (different <= degree)
    throw new RangeError(
      `${op}: sizes has ${different} different values, expected at least ${degree + 1} for degree ${degree}`,
    );
  if (options.at !== undefined) checkNumbers(op, 'options.at', options.at);
  const at = options.at && logs('options.at', options.at);
  const { threshold } = options;
  if (threshold !== undefined)
    checkNumber(op, 'options.threshold', threshold, 'a finite number > 0', positive);

  // Centred and scaled to [-1, 1]: powers of log10(size) itself are nearly parallel.
  let low = Infinity;
  let high = -Infinity;
  for (const value of u) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const centre = (low + high) / 2;
  const spread = high > low ? (high - low) / 2 : 1;
  const local = leastSquares(
    u.map((value) => (value - centre) / spread),
    y,
    degree,
  );
  const curve = (value: number) => evaluate(local, (value - centre) / spread);
  let squares = 0;
  for (let i = 0; i < u.length; i += 1) squares += (curve(u[i]) - y[i]) ** 2;
  const result: ScalingTrend = {
    coefficients: expand(local, centre, spread),
    residualRms: Math.sqrt(squares / u.length),
  };
  if (at) result.predictions = at.map((value) => 10 ** curve(value));
  if (threshold !== undefined) {
    const shifted = Float64Array.from(local);
    shifted[0] -= Math.log10(threshold);
    const root = rootsAbove(shifted, (high - centre) / spread).at(0);
    result.crossing = root === undefined ? Infinity : 10 ** (centre + spread * root);
  }
  return result;
}

function evaluate(coefficients: Float64Array, x: number): number {
  let sum = 0;
  for (let k = coefficients.length - 1; k >= 0; k -= 1) sum = sum * x + coefficients[k];
  return sum;
}

// Householder's QR of the Vandermonde matrix, column by column.
function leastSquares(x: Float64Array, y: Float64Array, degree: number): Float64Array {
  const n = x.length;
  const columns = Array.from({ length: degree + 1 }, (_, k) => x.map((value) => value ** k));
  const rest = Float64Array.from(y);
  const diagonal = new Float64Array(degree + 1);
  for (let k = 0; k <= degree; k += 1) {
    const v = columns[k];
    let square = 0;
    for (let i = k; i < n; i += 1) square += v[i] * v[i];
    diagonal[k] = v[k] > 0 ? -Math.sqrt(square) : Math.sqrt(square);
    v[k] -= diagonal[k];
    const half = diagonal[k] * v[k];
    for (const target of [...columns.slice(k + 1), rest]) {
      let dot = 0;
      for (let i = k; i < n; i += 1) dot += v[i] * target[i];
      for (let i = k; i < n; i += 1) target[i] += (dot / half) * v[i];
    }
  }
  const solution = new Float64Array(degree + 1);
  for (let k = degree; k >= 0; k -= 1) {
    let sum = rest[k];
    for (let j = k + 1; j <= degree; j += 1) sum -= columns[j][k] * solution[j];
    solution[k] = sum / diagonal[k];
  }
  return solution;
}

// The polynomial in (x - centre) / spread as one in x.
function expand(local: Float64Array, centre: number, spread: number): Float64Array {
  const result = new Float64Array(local.length);
  for (let k = local.length - 1; k >= 0; k -= 1) {
    for (let j = local.length - 1; j >= 0; j -= 1)
      result[j] = ((j > 0 ? result[j - 1] : 0) - centre * result[j]) / spread;
    result[0] += local[k];
  }
  return result;
}

// All roots beyond `low` in ascending order: one at most in each piece between roots of the derivative.
function rootsAbove(coefficients: Float64Array, low: number): number[] {
  let degree = coefficients.length - 1;
  while (degree > 0 && coefficients[degree] === 0) degree -= 1;
  if (degree === 0) return [];
  const p = coefficients.subarray(0, degree + 1);
  let bound = 0;
  for (let k = 0; k < degree; k += 1) bound = Math.max(bound, Math.abs(p[k] / p[degree]));
  const turns = rootsAbove(
    Float64Array.from({ length: degree }, (_, k) => (k + 1) * p[k + 1]),
    low,
  );
  const roots: number[] = [];
  let left = low;
  for (const right of [...turns, Math.max(low, bound) + 1]) {
    const atLeft = evaluate(p, left);
    const atRight = evaluate(p, right);
    if (atRight === 0) roots.push(right);
    else if (atLeft !== 0 && atLeft < 0 !== atRight < 0)
      roots.push(bisect(p, left, right, atLeft < 0));
    left = right;
  }
  return roots;
}

function bisect(p: Float64Array, left: number, right: number, rising: boolean): number {
  for (;;) {
    const middle = (left + right) / 2;
    if (middle <= left || middle >= right) return right;
    if (evaluate(p, middle) < 0 === rising) left = middle;
    else right = middle;
  }
}
