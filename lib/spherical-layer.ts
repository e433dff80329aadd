import { checkChoice, checkNumber, checkOptions } from './arguments.js';
import { inBackground } from './background.js';
import { conditionNumber } from './condition.js';
import {
  sphericalLayerScores,
  sphericalLayerStabilize,
  sphericalLayerStep,
  sphericalLayerTopK,
  sphericalLayerWeight,
} from './factored.js';
import { normalValues } from './normal.js';
import { readLayer, writeLayer } from './layer-file.js';
import {
  layerName,
  settingsOf,
  stepOptionsOf,
  type RandomLayerOptions,
  type Settings,
  type SphericalLayerState,
  type SphericalOutputLayerOptions,
} from './layer-options.js';
import type { FileProgress } from './safetensors.js';
import type { RealArray, Targets, Tensor } from './types.js';

/** Of one minibatch, before the update. */
export interface SphericalLayerResult<A extends RealArray = RealArray> {
  loss: number;
  /** `[n, d]`; rows that are ignored have 0. */
  gradHidden: A;
}

export type { RandomLayerOptions, SphericalLayerState, SphericalOutputLayerOptions };
export type { FileProgress };

const name = layerName;
const stepLater = inBackground(sphericalLayerStep);
const stabilizeLater = inBackground(sphericalLayerStabilize);

/** Errors of the native ops by the name of the method, and of its argument: W becomes V. */
function renamed(method: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const message = error.message.replace(/^sphericalLayer\w+: /, `${name}.${method}: `);
  error.message = method === 'create' ? message.replace(/\bV\b/g, 'W') : message;
  return error;
}
function named<R>(method: string, run: () => R): R {
  try {
    return run();
  } catch (error) {
    throw renamed(method, error);
  }
}

const isRefusal = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof RangeError;

/**
 * The output layer of a classifier with a spherical loss, trained exactly by gradient descent at a cost that does not depend on the
 * number of classes D: a step on n hidden rows of d dimensions takes `O(n d^2 + n^2 d + n^3)`, or `O(n d^2 + d^3)` for n > d.
 *
 * The weights `W` `[D, d]` are held as `V U + 1 omega^T`, with `Q = W^T W` and `wbar = W^T 1`; a step reads and writes only the rows
 * of V of its targets. V has the caller's type, the `d^2` factors are float64. Every `stabilizePeriod` steps the singular values of
 * U are brought back into a range, in one sweep over V. A bias is a column of ones in the hidden rows.
 *
 * Source: Vincent, de Brebisson and Bouthillier 2015, arXiv 1412.7091; for all spherical losses their arXiv 1606.08061.
 */
export class SphericalOutputLayer<A extends RealArray = RealArray> {
  /** D, the rows of W. */
  readonly classes: number;
  /** d, the columns of W. */
  readonly dimensions: number;
  readonly #options: SphericalOutputLayerOptions;
  readonly #settings: Settings;
  #state: SphericalLayerState<A> | undefined;
  #steps = 0;
  /** The method under way that writes the state. */
  #writer: string | undefined;
  /** Methods under way that only read it. */
  #readers = 0;
  #broken = false;

  private constructor(
    state: SphericalLayerState<A>,
    sizes: readonly [number, number],
    options: SphericalOutputLayerOptions,
    steps: number,
  ) {
    checkOptions(name, options);
    this.#settings = settingsOf(options);
    this.#options = stepOptionsOf(options);
    [this.classes, this.dimensions] = sizes;
    this.#state = state;
    this.#steps = steps;
    // The loss's options are checked where they are used, on no rows.
    const none = { data: state.V.slice(0, 0) as A, shape: [0, this.dimensions] };
    this.forward(none, new Int32Array(0));
  }

  /**
   * A layer that starts from given weights. It takes over their array, which then is V and must not be used otherwise: of W there
   * are never two copies. With `copy` the array stays the caller's.
   * @param W `[D, d]`
   * @throws TypeError or RangeError for a wrong type, shape or option
   */
  static create<A extends RealArray>(
    W: Tensor<A>,
    options: SphericalOutputLayerOptions & { copy?: boolean } = {},
  ): SphericalOutputLayer<A> {
    checkOptions(name, options);
    const data = (W as { readonly data?: A } | undefined)?.data;
    const out = options.copy === true || !data ? {} : { weight: data };
    const start = named('create', () =>
      sphericalLayerWeight(W, undefined, undefined, { gram: true, out }),
    );
    const [classes, d] = 'shape' in W ? W.shape : W.dims;
    const identity = () => Float64Array.from({ length: d * d }, (_, i) => (i % (d + 1) ? 0 : 1));
    const state = {
      V: start.weight,
      U: identity(),
      inverseU: identity(),
      omega: new Float64Array(d),
      Q: start.Q,
      wbar: start.wbar,
    };
    return new SphericalOutputLayer<A>(state, [classes, d], options, 0);
  }

  /**
   * A layer with normally distributed weights, drawn where they will stay.
   * @throws TypeError or RangeError for sizes that are no positive integers, or a wrong option
   */
  static random<const Type extends 'float32' | 'float64' = 'float32'>(
    options: RandomLayerOptions<Type>,
  ): SphericalOutputLayer<Type extends 'float64' ? Float64Array : Float32Array> {
    checkOptions(`${name}.random`, options);
    const { classes, dimensions, seed = 0, dtype = 'float32', standardDeviation } = options;
    const size = (key: string, value: unknown) =>
      checkNumber(
        `${name}.random`,
        `options.${key}`,
        value,
        'a positive integer',
        (x) => Number.isInteger(x) && x > 0,
      );
    size('classes', classes);
    size('dimensions', dimensions);
    checkNumber(`${name}.random`, 'options.seed', seed, 'an integer', Number.isSafeInteger);
    checkChoice(`${name}.random`, 'options.dtype', dtype, ['float32', 'float64']);
    const spread = standardDeviation ?? 1 / Math.sqrt(dimensions);
    checkNumber(
      `${name}.random`,
      'options.standardDeviation',
      spread,
      'a finite number >= 0',
      (x) => x >= 0 && x < Infinity,
    );
    const length = classes * dimensions;
    const data = normalValues(
      dtype === 'float64' ? new Float64Array(length) : new Float32Array(length),
      spread,
      seed,
    );
    return SphericalOutputLayer.create<RealArray>(
      { data, shape: [classes, dimensions] },
      options,
    ) as never;
  }

  /** Steps that were made. */
  get steps(): number {
    return this.#steps;
  }

  /** The factors, the layer's own arrays. */
  get state(): SphericalLayerState<A> {
    return this.#use('state', false);
  }

  /**
   * Loss and gradient of a minibatch, then one step of gradient descent on W.
   * @param hidden `[n, d]`, of the weights' type
   * @param targets `[n]`: 0..D-1 or ignoreIndex; classes may repeat
   * @param learningRate at least 0
   * @returns `loss` and `gradHidden` `[n, d]`, both before the update and with the factor of the reduction
   * @throws TypeError or RangeError for a wrong type, shape or target, and RangeError for a step that diverges: then nothing was changed
   */
  step(
    hidden: Tensor<A>,
    targets: Targets,
    learningRate: number,
    out?: { gradHidden?: A },
  ): SphericalLayerResult<A> {
    const state = this.#use('step', true);
    let result;
    try {
      result = sphericalLayerStep(
        ...this.#stepArguments(state, hidden, targets, learningRate, out),
      );
    } catch (error) {
      throw this.#failed('step', error);
    }
    this.#steps += 1;
    if (this.#isDue()) this.#stabilize('step', state);
    return { loss: result.loss, gradHidden: result.gradHidden };
  }

  /**
   * {@link step} on a background thread, with the same bits. Until the promise settles every other use of the layer is refused, and
   * the arrays given must not be changed.
   */
  async stepAsync(
    hidden: Tensor<A>,
    targets: Targets,
    learningRate: number,
    out?: { gradHidden?: A },
  ): Promise<SphericalLayerResult<A>> {
    const state = this.#use('stepAsync', true);
    this.#writer = 'stepAsync';
    try {
      const result = await stepLater(
        ...this.#stepArguments(state, hidden, targets, learningRate, out),
      );
      this.#steps += 1;
      if (this.#isDue()) {
        const { V, U, omega, Q, wbar } = this.#tensors(state);
        await stabilizeLater(V, U, omega, Q, wbar, this.#stabilizeOptions(state));
      }
      return { loss: result.loss, gradHidden: result.gradHidden };
    } catch (error) {
      throw this.#failed('stepAsync', error);
    } finally {
      this.#writer = undefined;
    }
  }

  /** Loss and gradient of a minibatch as {@link step} returns them, without an update. */
  forward(hidden: Tensor<A>, targets: Targets, out?: { gradHidden?: A }): SphericalLayerResult<A> {
    const state = this.#use('forward', false);
    const { loss, gradHidden } = named('forward', () =>
      sphericalLayerStep(...this.#stepArguments(state, hidden, targets, 0, out)),
    );
    return { loss, gradHidden };
  }

  /**
   * Logits of some classes.
   * @param hidden `[n, d]`
   * @param classIds `[m]`, the same for all rows
   * @returns `[n, m]`
   */
  scores(hidden: Tensor<A>, classIds: Int32Array, out?: A): A {
    const { V, U, omega } = this.#tensors(this.#use('scores', false));
    return named(
      'scores',
      () =>
        sphericalLayerScores(V, U, omega, hidden, classIds, out && { out: { scores: out } }).scores,
    );
  }

  /** All logits `[n, D]`, for evaluation on small layers: this takes `O(n D d)`. */
  logits(hidden: Tensor<A>, out?: A): A {
    this.#use('logits', false);
    return this.scores(
      hidden,
      Int32Array.from({ length: this.classes }, (_, i) => i),
      out,
    );
  }

  /**
   * The k largest logits of every hidden row over all classes, exactly, without storing the others: `values` and `indices` `[n, k]`,
   * in descending order with NaN first and equal values by class, as {@link topK} orders them.
   */
  topK(hidden: Tensor<A>, k: number): { values: A; indices: Int32Array } {
    const { V, U, omega } = this.#tensors(this.#use('topK', false));
    return named('topK', () => sphericalLayerTopK(V, U, omega, hidden, { k }));
  }

  /** Row `i` of W `[d]`. */
  row(i: number): A {
    const state = this.#use('row', false);
    const d = this.dimensions;
    checkNumber(
      `${name}.row`,
      'i',
      i,
      `an integer in [0, ${this.classes - 1}]`,
      (x) => Number.isInteger(x) && x >= 0 && x < this.classes,
    );
    const V = { data: state.V.subarray(i * d, (i + 1) * d) as A, shape: [1, d] };
    const { U, omega } = this.#tensors(state);
    return named('row', () => sphericalLayerWeight(V, U, omega).weight);
  }

  /** W `[D, d]`, in a new array or in `out`. */
  weight(out?: A): A {
    const state = this.#use('weight', false);
    const { V, U, omega } = this.#tensors(state);
    if (out === state.V)
      throw new RangeError(`${name}.weight: out is the layer's own V, expected other memory`);
    const options = out && { out: { weight: out } };
    return named('weight', () => sphericalLayerWeight(V, U, omega, options).weight);
  }

  /**
   * Condition number of U, the largest by the smallest singular value, to 0.1 %: 1 after the start. Rounding in V is multiplied by it.
   * Takes some thirty products of matrices of d^2 numbers.
   */
  condition(): number {
    const { U, inverseU } = this.#use('condition', false);
    return conditionNumber(U, inverseU, this.dimensions);
  }

  /** Stabilises now, whatever the period: `O(D d r)` for r singular values out of range. Returns r. */
  stabilize(): number {
    return this.#stabilize('stabilize', this.#use('stabilize', true));
  }

  /**
   * Writes the layer with its options and step counter in the safetensors format: float32 or float64 `V`, float64 `U`, `inverseU`,
   * `Q`, `omega` and `wbar`. The file is complete or not there: it is written beside its place, flushed and renamed. Until the
   * promise settles, steps are refused.
   */
  async save(path: string, options: { onProgress?: FileProgress } = {}): Promise<void> {
    const state = this.#use('save', false);
    this.#readers += 1;
    try {
      const settings = { ...this.#options, ...this.#settings };
      await writeLayer(
        path,
        { state, shape: [this.classes, this.dimensions], options: settings, steps: this.#steps },
        options.onProgress,
      );
    } finally {
      this.#readers -= 1;
    }
  }

  /**
   * Reads what {@link save} wrote; training goes on with the same bits.
   * @throws RangeError for a file that is damaged or holds something else, TypeError or RangeError for options out of range
   */
  static async load(
    path: string,
    options: { onProgress?: FileProgress } = {},
  ): Promise<SphericalOutputLayer> {
    const { state, shape, options: settings, steps } = await readLayer(path, options.onProgress);
    return new SphericalOutputLayer(state, shape, settings, steps);
  }

  /** Lets go of all memory. Any later use throws. */
  dispose(): void {
    if (this.#writer !== undefined || this.#readers > 0) this.#use('dispose', true);
    this.#state = undefined;
  }

  /** The state, for a method that may have it now. */
  #use(method: string, writes: boolean): SphericalLayerState<A> {
    if (this.#broken)
      throw new Error(`${name}.${method}: memory ran out within a step; load the layer again`);
    if (!this.#state) throw new Error(`${name}.${method}: the layer was disposed of`);
    if (this.#writer !== undefined)
      throw new Error(`${name}.${method}: ${this.#writer} is pending; wait for its promise`);
    if (writes && this.#readers > 0)
      throw new Error(`${name}.${method}: save is pending; wait for its promise`);
    return this.#state;
  }

  /** What a step threw. Memory that runs out may leave half a step. */
  #failed(method: string, error: unknown): unknown {
    if (!isRefusal(error)) this.#broken = true;
    if (error instanceof RangeError)
      error.message = error.message.replace(
        /^sphericalLayerStep: diverges/,
        `${name}.${method}: step ${this.#steps + 1} diverges`,
      );
    return renamed(method, error);
  }

  #isDue(): boolean {
    const { stabilizePeriod } = this.#settings;
    return stabilizePeriod > 0 && this.#steps % stabilizePeriod === 0;
  }

  #stabilize(method: string, state: SphericalLayerState<A>): number {
    const { V, U, omega, Q, wbar } = this.#tensors(state);
    try {
      return sphericalLayerStabilize(V, U, omega, Q, wbar, this.#stabilizeOptions(state)).fixed;
    } catch (error) {
      throw this.#failed(method, error);
    }
  }

  #stabilizeOptions(state: SphericalLayerState<A>) {
    const [low, high] = this.#settings.singularRange;
    return { low, high, out: { ...state } };
  }

  #tensors({ V, U, inverseU, omega, Q, wbar }: SphericalLayerState<A>) {
    const d = this.dimensions;
    const square = (data: Float64Array) => ({ data, shape: [d, d] });
    return {
      V: { data: V, shape: [this.classes, d] },
      U: square(U),
      inverseU: square(inverseU),
      omega,
      Q: square(Q),
      wbar,
    };
  }

  #stepArguments(
    state: SphericalLayerState<A>,
    hidden: Tensor<A>,
    targets: Targets,
    learningRate: number,
    out: { gradHidden?: A } | undefined,
  ): Parameters<typeof sphericalLayerStep<A>> {
    checkNumber(
      `${name}.step`,
      'learningRate',
      learningRate,
      'a finite number >= 0',
      (x) => x >= 0 && x < Infinity,
    );
    const { V, U, inverseU, omega, Q, wbar } = this.#tensors(state);
    const options = { ...this.#options, learningRate, out: { ...state, ...out } };
    return [V, U, inverseU, omega, Q, wbar, hidden, targets, options];
  }
}
