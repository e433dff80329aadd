// The arrays of a spherical output layer, and the updates that wait to enter them.
import type { sphericalLayerStabilize } from './factored.js';
import {
  sphericalLayerStep,
  type SphericalLayerState,
  type SphericalLayerStepOptions,
} from './factored.js';
import type { RealArray, Targets, Tensor } from './types.js';

/** Rows of minibatches whose updates may wait: more make a flush rarer and every step slower. */
const waitingRows = 64;

type StepArguments<A extends RealArray> = Parameters<typeof sphericalLayerStep<A>>;

export class LayerFactors<A extends RealArray> {
  readonly #state: SphericalLayerState<A>;
  readonly #shape: readonly [classes: number, dimensions: number];
  readonly #delayed: Float64Array;
  /** Whether something may wait. */
  #behind = false;

  constructor(state: SphericalLayerState<A>, shape: readonly [number, number]) {
    this.#state = state;
    this.#shape = shape;
    const [, d] = shape;
    const copies = state.V instanceof Float32Array ? 3 * d * d : 0;
    const reals = (4 * waitingRows * d + copies) * state.V.BYTES_PER_ELEMENT;
    this.#delayed = new Float64Array(8 + d + 3 * waitingRows + Math.ceil(reals / 8));
  }

  /** The arrays, up to date. */
  get state(): SphericalLayerState<A> {
    this.flush();
    return this.#state;
  }

  /** The arrays with their shapes, up to date. */
  get tensors() {
    this.flush();
    return this.#tensors;
  }

  /** Lets all that waits enter the arrays. */
  flush(): void {
    if (this.#behind) this.measure();
  }

  /** The same, and returns the product of the Frobenius norms of U and its inverse. */
  measure(): number {
    const none = { data: this.#state.V.subarray(0, 0) as A, shape: [0, this.#shape[1]] };
    const options = { flush: true };
    const { condition } = sphericalLayerStep(
      ...this.stepArguments(none, new Int32Array(0), options),
    );
    this.#behind = false;
    return condition;
  }

  /** Of a step in place. */
  stepArguments(
    hidden: Tensor<A>,
    targets: Targets,
    options: Omit<SphericalLayerStepOptions<A>, 'delayed' | 'out'>,
    out?: { gradHidden?: A },
  ): StepArguments<A> {
    if (options.learningRate) this.#behind = true;
    const { V, U, inverseU, omega, Q, wbar } = this.#tensors;
    const delayed = this.#delayed;
    const memory = { delayed, out: { ...this.#state, delayed, ...out } };
    return [V, U, inverseU, omega, Q, wbar, hidden, targets, { ...options, ...memory }];
  }

  /** Of a stabilisation in place. What is kept of the factors beside them counts for nothing afterwards. */
  stabilizeArguments(range: {
    low: number;
    high: number;
  }): Parameters<typeof sphericalLayerStabilize<A>> {
    const { V, U, inverseU, omega, Q, wbar } = this.tensors;
    this.#delayed[0] = 0;
    return [V, U, omega, Q, wbar, { ...range, inverseU, out: { ...this.#state } }];
  }

  get #tensors() {
    const { V, U, inverseU, omega, Q, wbar } = this.#state;
    const [, d] = this.#shape;
    const square = (data: Float64Array) => ({ data, shape: [d, d] });
    return {
      V: { data: V, shape: this.#shape },
      U: square(U),
      inverseU: square(inverseU),
      omega,
      Q: square(Q),
      wbar,
    };
  }
}
