/** The layers below the output layer: embeddings of the last words, side by side, and one hidden layer over them. */
import { matmul, type Tensor } from 'logitcore';
import { normals, randomGenerator } from '../bench/inputs.js';

export interface NetworkSize {
  /** Word types. */
  readonly types: number;
  /** Words read before each prediction. */
  readonly context: number;
  /** Numbers a word type is embedded as. */
  readonly embedding: number;
  /** Numbers handed to the output layer: hidden units, and last a constant 1 that takes the place of a bias there. */
  readonly dimensions: number;
}

export interface Gradients {
  /** `[context * embedding + 1, units]` */
  readonly weights: Float32Array;
  /** The embeddings that the batch touched, each once, and their gradients `[touched.length, embedding]`. */
  readonly touched: Int32Array;
  readonly embeddings: Float32Array;
}

/**
 * Adagrad (Duchi et al. 2011): every number has its own rate, which falls with the squares of its gradients, so that rare words
 * learn in few steps what frequent ones learn in many. The scale of the loss cancels, which lets both output layers use it alike.
 */
function adagrad(
  values: Float32Array,
  squares: Float32Array,
  offset: number,
  gradient: Float32Array,
  rate: number,
): void {
  for (let i = 0; i < gradient.length; i++) {
    const g = gradient[i];
    if (g === 0) continue; // 0 / 0 for a number that never had a gradient
    squares[offset + i] += g * g;
    values[offset + i] -= (rate * g) / Math.sqrt(squares[offset + i]);
  }
}

export class HiddenLayers {
  /** `[types, embedding]` */
  readonly embeddings: Float32Array;
  /** `[context * embedding + 1, units]`; the last row is the bias. */
  readonly weights: Float32Array;
  /** Sums of squared gradients, laid out like the two above. */
  readonly embeddingSquares: Float32Array;
  readonly weightSquares: Float32Array;
  private readonly units: number;
  private readonly inputs: number;
  /** Where in the current batch's gradients a touched type stands; -1 between batches. */
  private readonly slots: Int32Array;
  private input: Tensor<Float32Array> | undefined;
  private hidden: Float32Array | undefined;

  constructor(
    readonly size: NetworkSize,
    seed: number,
  ) {
    const { types, context, embedding, dimensions } = size;
    this.units = dimensions - 1;
    this.inputs = context * embedding + 1;
    const random = randomGenerator(seed);
    this.embeddings = normals(types * embedding, random);
    this.weights = normals(this.inputs * this.units, random, Math.sqrt(1 / this.inputs));
    this.weights.fill(0, (this.inputs - 1) * this.units);
    this.embeddingSquares = new Float32Array(this.embeddings.length);
    this.weightSquares = new Float32Array(this.weights.length);
    this.slots = new Int32Array(types).fill(-1);
  }

  /**
   * @param contexts word types `[n, context]`
   * @returns tanh of the hidden layer, and a last column of ones `[n, dimensions]`
   */
  forward(contexts: Int32Array): Tensor<Float32Array> {
    const { embeddings, inputs, units } = this;
    const { context, embedding, dimensions } = this.size;
    const n = contexts.length / context;
    const input = new Float32Array(n * inputs);
    for (let row = 0; row < n; row++) {
      let at = row * inputs;
      for (let word = 0; word < context; word++) {
        const from = contexts[row * context + word] * embedding;
        for (let j = 0; j < embedding; j++) input[at++] = embeddings[from + j];
      }
      input[at] = 1;
    }
    this.input = { data: input, shape: [n, inputs] };
    const { out } = matmul(this.input, { data: this.weights, shape: [inputs, units] });
    const hidden = new Float32Array(n * dimensions);
    for (let row = 0; row < n; row++) {
      for (let j = 0; j < units; j++)
        hidden[row * dimensions + j] = Math.tanh(out[row * units + j]);
      hidden[row * dimensions + units] = 1;
    }
    this.hidden = hidden;
    return { data: hidden, shape: [n, dimensions] };
  }

  /**
   * Gradients of the last forward call's batch.
   * @param contexts those of that call
   * @param gradHidden gradient with respect to its result `[n, dimensions]`
   */
  backward(contexts: Int32Array, gradHidden: Float32Array): Gradients {
    const { hidden, input, units, inputs } = this;
    if (!hidden || !input) throw new Error('backward needs a forward call');
    const { dimensions } = this.size;
    const n = hidden.length / dimensions;
    const inner = new Float32Array(n * units);
    for (let row = 0; row < n; row++)
      for (let j = 0; j < units; j++) {
        const value = hidden[row * dimensions + j];
        inner[row * units + j] = gradHidden[row * dimensions + j] * (1 - value * value);
      }
    const gradient = { data: inner, shape: [n, units] };
    const { out: weights } = matmul(input, gradient, { transposeA: true });
    const { out: gradInput } = matmul(
      gradient,
      { data: this.weights, shape: [inputs, units] },
      { transposeB: true },
    );
    return { weights, ...this.gather(contexts, gradInput) };
  }

  /** Adds up the gradients of words that occur more than once in the batch. */
  private gather(contexts: Int32Array, gradInput: Float32Array) {
    const { slots, inputs } = this;
    const { context, embedding } = this.size;
    const touched: number[] = [];
    const sums = new Float32Array(contexts.length * embedding);
    contexts.forEach((type, i) => {
      if (slots[type] < 0) {
        slots[type] = touched.length;
        touched.push(type);
      }
      const to = slots[type] * embedding;
      const from = Math.floor(i / context) * inputs + (i % context) * embedding;
      for (let j = 0; j < embedding; j++) sums[to + j] += gradInput[from + j];
    });
    for (const type of touched) slots[type] = -1;
    return {
      touched: Int32Array.from(touched),
      embeddings: sums.subarray(0, touched.length * embedding),
    };
  }

  /** All that training changes, by name; views, not copies. */
  state() {
    const { types, embedding } = this.size;
    const table = [types, embedding];
    const layer = [this.inputs, this.units];
    return {
      embeddings: { data: this.embeddings, shape: table },
      embeddingSquares: { data: this.embeddingSquares, shape: table },
      weights: { data: this.weights, shape: layer },
      weightSquares: { data: this.weightSquares, shape: layer },
    };
  }

  /** Takes over copies of what {@link state} gave. */
  restore(saved: Readonly<Record<string, { data: Float32Array }>>): void {
    for (const [name, { data }] of Object.entries(this.state())) {
      const from = saved[name] as { data: Float32Array } | undefined;
      if (from?.data.length !== data.length)
        throw new RangeError(
          `${name} should have ${data.length} numbers, not ${from?.data.length}`,
        );
      data.set(from.data);
    }
  }

  update({ weights, touched, embeddings }: Gradients, rate: number): void {
    const { embedding } = this.size;
    adagrad(this.weights, this.weightSquares, 0, weights, rate);
    touched.forEach((type, slot) => {
      const gradient = embeddings.subarray(slot * embedding, (slot + 1) * embedding);
      adagrad(this.embeddings, this.embeddingSquares, type * embedding, gradient, rate);
    });
  }
}
