import { checkNumber, checkOptions } from './arguments.js';
import { inBackground } from './background.js';
import { conditionNumber } from './condition.js';
import {
  sphericalLayerScores,
  sphericalLayerStabilize,
  sphericalLayerStep,
  sphericalLayerTopK,
  sphericalLayerWeight,
  type SphericalLayerState,
} from './factored.js';
import { isRefusal, named, renamed } from './layer-errors.js';
import { LayerFactors } from './layer-factors.js';
import { readLayer, writeLayer } from './layer-file.js';
import {
  layerName as name,
  mostConditionOf,
  settingsOf,
  stepOptionsOf,
  type RandomLayerOptions,
  type Settings,
  type SphericalOutputLayerOptions,
} from './layer-options.js';
import { randomWeights } from './layer-weights.js';
import type { FileProgress } from './safetensors.js';
import type { RealArray, Targets, Tensor } from './types.js';

/** Of one minibatch, before the update. */
export interface SphericalLayerResult<A extends RealArray = RealArray> {
  loss: number;
  /** `[n, d]`; rows that are ignored have 0. */
  gradHidden: A;
}

export type { FileProgress, RandomLayerOptions, SphericalOutputLayerOptions };

const stepLater = inBackground(sphericalLayerStep);
const stabilizeLater = inBackground(sphericalLayerStabilize);

/**
 * The output layer of a classifier with a spherical loss, trained exactly by gradient descent at a cost that does not depend on the
 * number of classes D: a step on n hidden rows of d dimensions takes `O(n d^2 + n^2 d + n^3)`, or `O(n d^2 + d^3)` for n > d.
 *
 * The weights `W` `[D, d]` are held as `V U + 1 omega^T`, with `Q = W^T W` and `wbar = W^T 1`; a step reads and writes only the rows
 * of V of its targets. V has the caller's type, the `d^2` factors are float64, and steps of a few rows enter them some at a time.
 * Every `stabilizePeriod` steps the singular values of U are brought back into a range, in one sweep over V. A bias is a column of
 * ones in the hidden rows.
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
  #factors: LayerFactors<A> | undefined;
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
    this.#factors = new LayerFactors(state, sizes);
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
    return SphericalOutputLayer.create<RealArray>(randomWeights(options), options) as never;
  }

  /** Steps that were made. */
  get steps(): number {
    return this.#steps;
  }

  /** The factors as they are now, in the layer's own arrays, which later steps change: to look at, not to write to. */
  get state(): SphericalLayerState<A> {
    return this.#use('state', false).state;
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
    const factors = this.#use('step', true);
    const options = this.#stepOptions(learningRate);
    let result;
    try {
      result = sphericalLayerStep(...factors.stepArguments(hidden, targets, options, out));
    } catch (error) {
      throw this.#failed('step', error);
    }
    this.#steps += 1;
    if (this.#isDue(factors, result.condition)) this.#stabilize('step', factors);
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
    const factors = this.#use('stepAsync', true);
    const options = this.#stepOptions(learningRate);
    this.#writer = 'stepAsync';
    try {
      const result = await stepLater(...factors.stepArguments(hidden, targets, options, out));
      this.#steps += 1;
      if (this.#isDue(factors, result.condition))
        await stabilizeLater(...factors.stabilizeArguments(this.#range));
      return { loss: result.loss, gradHidden: result.gradHidden };
    } catch (error) {
      throw this.#failed('stepAsync', error);
    } finally {
      this.#writer = undefined;
    }
  }

  /** Loss and gradient of a minibatch as {@link step} returns them, without an update. */
  forward(hidden: Tensor<A>, targets: Targets, out?: { gradHidden?: A }): SphericalLayerResult<A> {
    const factors = this.#use('forward', false);
    const options = this.#stepOptions(0);
    const { loss, gradHidden } = named('forward', () =>
      sphericalLayerStep(...factors.stepArguments(hidden, targets, options, out)),
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
    const { V, U, omega } = this.#use('scores', false).tensors;
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
    const { V, U, omega } = this.#use('topK', false).tensors;
    return named('topK', () => sphericalLayerTopK(V, U, omega, hidden, { k }));
  }

  /** Row `i` of W `[d]`. */
  row(i: number): A {
    const factors = this.#use('row', false);
    const d = this.dimensions;
    checkNumber(
      `${name}.row`,
      'i',
      i,
      `an integer in [0, ${this.classes - 1}]`,
      (x) => Number.isInteger(x) && x >= 0 && x < this.classes,
    );
    const { V, U, omega } = factors.tensors;
    const own = { data: V.data.subarray(i * d, (i + 1) * d) as A, shape: [1, d] };
    return named('row', () => sphericalLayerWeight(own, U, omega).weight);
  }

  /** W `[D, d]`, in a new array or in `out`. */
  weight(out?: A): A {
    const { V, U, omega } = this.#use('weight', false).tensors;
    if (out === V.data)
      throw new RangeError(`${name}.weight: out is the layer's own V, expected other memory`);
    const options = out && { out: { weight: out } };
    return named('weight', () => sphericalLayerWeight(V, U, omega, options).weight);
  }

  /**
   * Condition number of U, the largest by the smallest singular value, to 0.1 %: 1 after the start. Rounding in V is multiplied by it.
   * Takes some thirty products of matrices of d^2 numbers.
   */
  condition(): number {
    const { U, inverseU } = this.#use('condition', false).state;
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
    const { state } = this.#use('save', false);
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
    this.#factors = undefined;
  }

  /** The factors, for a method that may have them now. */
  #use(method: string, writes: boolean): LayerFactors<A> {
    if (this.#broken)
      throw new Error(`${name}.${method}: memory ran out within a step; load the layer again`);
    if (!this.#factors) throw new Error(`${name}.${method}: the layer was disposed of`);
    if (this.#writer !== undefined)
      throw new Error(`${name}.${method}: ${this.#writer} is pending; wait for its promise`);
    if (writes && this.#readers > 0)
      throw new Error(`${name}.${method}: save is pending; wait for its promise`);
    return this.#factors;
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

  get #range() {
    const [low, high] = this.#settings.singularRange;
    return { low, high };
  }

  /** After the period, and before U is so ill-conditioned that rounding in V counts. Bounds are loose where something waits. */
  #isDue(factors: LayerFactors<A>, condition: number): boolean {
    const { stabilizePeriod } = this.#settings;
    if (stabilizePeriod === 0) return false;
    if (this.#steps % stabilizePeriod === 0) return true;
    const most = mostConditionOf(this.#settings, this.dimensions);
    return condition > most && factors.measure() > most;
  }

  #stabilize(method: string, factors: LayerFactors<A>): number {
    try {
      return sphericalLayerStabilize(...factors.stabilizeArguments(this.#range)).fixed;
    } catch (error) {
      throw this.#failed(method, error);
    }
  }

  #stepOptions(learningRate: number): SphericalOutputLayerOptions & { learningRate: number } {
    checkNumber(
      `${name}.step`,
      'learningRate',
      learningRate,
      'a finite number >= 0',
      (x) => x >= 0 && x < Infinity,
    );
    return { ...this.#options, learningRate };
  }
}
