/** A spherical output layer beside the dense layer it stands for. */
import {
  SphericalOutputLayer,
  type SphericalLayerState,
  type SphericalOutputLayerOptions,
} from 'logitcore';
import type { Result } from './invoke.js';
import type { Random } from './random.js';

type Real = Float32Array | Float64Array;
interface Matrix<T> {
  readonly data: T;
  readonly shape: readonly number[];
}

/** A case of the sheet: steps on W, one for each leading index of hidden `[k, n, d]` and targets `[k, n]`. */
export function runSphericalLayer(
  W: Matrix<Real>,
  hidden: Matrix<Real>,
  targets: Matrix<Int32Array>,
  options: SphericalOutputLayerOptions & { learningRate: number },
): Result {
  const { learningRate, ...others } = options;
  const layer = SphericalOutputLayer.create(W, { ...others, copy: true });
  const [k, n, d] = hidden.shape;
  const gradHidden = hidden.data.slice();
  const losses =
    W.data.slice(0, 0).constructor === Float64Array ? new Float64Array(k) : new Float32Array(k);
  for (let step = 0; step < k; step++) {
    const [from, to] = [step * n * d, (step + 1) * n * d];
    const result = layer.step(
      { data: hidden.data.subarray(from, to), shape: [n, d] },
      targets.data.subarray(step * n, (step + 1) * n),
      learningRate,
    );
    losses[step] = result.loss;
    gradHidden.set(result.gradHidden, from);
  }
  return { losses, gradHidden, W: layer.weight() };
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** Loss of one row of logits and its gradient, as the sheet writes them out. */
function lossOf(
  o: Float64Array,
  c: number,
  options: SphericalOutputLayerOptions,
): { loss: number; grad: Float64Array } {
  const { loss = 'z', a = 1, b = 0, targetValue: y = 1 } = options;
  const epsilon = options.epsilon ?? (loss === 'z' ? 1e-12 : 1e-3);
  const D = o.length;
  const sum = (f: (x: number) => number) => o.reduce((total, x) => total + f(x), 0);
  const t = o[c];
  if (loss === 'mse') {
    const grad = o.map((x, k) => 2 * (x - (k === c ? y : 0)));
    return { loss: grad.reduce((total, g) => total + (g * g) / 4, 0), grad };
  }
  if (loss === 'taylor') {
    const all = sum((x) => 1 + x + (x * x) / 2);
    const own = 1 + t + (t * t) / 2;
    const grad = o.map((x, k) => (1 + x) / all - (k === c ? (1 + t) / own : 0));
    return { loss: Math.log(all / own), grad };
  }
  if (loss === 'spherical') {
    const all = sum((x) => x * x + epsilon);
    const own = t * t + epsilon;
    const grad = o.map((x, k) => (2 * x) / all - (k === c ? (2 * t) / own : 0));
    return { loss: Math.log(all / own), grad };
  }
  const mean = sum((x) => x) / D;
  const sigma = Math.sqrt(sum((x) => (x - mean) ** 2) / D);
  if (sigma === 0) return { loss: softplus(a * b) / a, grad: new Float64Array(D) };
  const z = (t - mean) / (sigma + epsilon);
  const slope = -1 / (1 + Math.exp(a * (z - b)));
  const grad = o.map(
    (x, k) =>
      (slope / (sigma + epsilon)) * ((k === c ? 1 : 0) - 1 / D - (z * (x - mean)) / (D * sigma)),
  );
  return { loss: softplus(a * (b - z)) / a, grad };
}

/** The same layer with all of W in float64 and every logit computed. */
export class DenseLayer {
  readonly W: Float64Array;
  readonly D: number;
  readonly d: number;

  constructor(
    W: ArrayLike<number>,
    d: number,
    readonly options: SphericalOutputLayerOptions = {},
  ) {
    this.W = Float64Array.from(W);
    this.d = d;
    this.D = W.length / d;
  }

  logits(hidden: Real): Float64Array {
    const { W, D, d } = this;
    const n = hidden.length / d;
    const out = new Float64Array(n * D);
    for (let i = 0; i < n; i++)
      for (let k = 0; k < D; k++) {
        let dot = 0;
        for (let j = 0; j < d; j++) dot += W[k * d + j] * hidden[i * d + j];
        out[i * D + k] = dot;
      }
    return out;
  }

  step(
    hidden: Real,
    targets: Int32Array,
    rate: number,
  ): { loss: number; gradHidden: Float64Array } {
    const { W, D, d, options } = this;
    const { ignoreIndex = -100, reduction = 'mean', weightDecay = 0 } = options;
    const logits = this.logits(hidden);
    const kept = targets.reduce((count, target) => count + (target === ignoreIndex ? 0 : 1), 0);
    const scale = reduction === 'sum' ? 1 : kept === 0 ? 0 : 1 / kept;
    const gradHidden = new Float64Array(hidden.length);
    const change = new Float64Array(W.length);
    let total = 0;
    targets.forEach((target, i) => {
      if (target === ignoreIndex) return;
      const { loss, grad } = lossOf(logits.subarray(i * D, (i + 1) * D), target, options);
      total += scale * loss;
      for (let k = 0; k < D; k++)
        for (let j = 0; j < d; j++) {
          gradHidden[i * d + j] += scale * grad[k] * W[k * d + j];
          change[k * d + j] += scale * grad[k] * hidden[i * d + j];
        }
    });
    for (let at = 0; at < W.length; at++)
      W[at] = (1 - rate * weightDecay) * (W[at] - rate * change[at]);
    return { loss: total, gradHidden };
  }
}

/** `|a - b| / (1 + |b|)` at its largest; NaN if there is one. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const apart = Math.abs(a[i] - b[i]) / (1 + Math.abs(b[i]));
    if (!(apart <= most)) most = apart;
    if (Number.isNaN(apart)) return NaN;
  }
  return most;
}

/** Normal numbers that float32 holds. */
export const values = (random: Random, length: number, spread: number): Float64Array =>
  Float64Array.from({ length }, () => Math.fround(spread * random.normal()));
export const typed = (data: Float64Array, double: boolean) =>
  double ? data : Float32Array.from(data);
export const tensor = <A extends Float32Array | Float64Array>(data: A, d: number) => ({
  data,
  shape: [data.length / d, d],
});

/** Every number of a state. */
export const copyOf = ({ V, U, inverseU, omega, Q, wbar }: SphericalLayerState): number[][] =>
  [V, U, inverseU, omega, Q, wbar].map((array) => Array.from(array));
