/** Two models that differ in their output layer alone. */
import { crossEntropy, matmul, SphericalOutputLayer, type Tensor } from 'logitcore';
import { normals, randomGenerator } from '../bench/inputs.js';
import { readTensors, writeTensors } from './words-checkpoint.js';
import type { Quality } from './words-measure.js';
import { HiddenLayers, type NetworkSize } from './words-network.js';
import type { Batch } from './words-text.js';

export type Kind = 'z-loss' | 'softmax';
export const kinds: readonly Kind[] = ['z-loss', 'softmax'];

/** How a model learns. Rates are those at the start; all fall linearly to 0 over the time a model is given. */
export type Recipe = {
  /** Of Adagrad in the layers below. */
  readonly hiddenRate: number;
  /** Of stochastic gradient descent in the output layer, for the mean loss of a batch. */
  readonly outputRate: number;
} & (
  | { readonly kind: 'softmax' }
  /** Sharpness and offset of the Z-loss. */
  | { readonly kind: 'z-loss'; readonly a: number; readonly b: number }
);

export interface OutputLayer {
  /**
   * Updates the weight by one step of gradient descent.
   * @returns loss and gradient with respect to `hidden` `[n, dimensions]`, both before the update
   */
  step(
    hidden: Tensor<Float32Array>,
    targets: Int32Array,
    rate: number,
  ): { loss: number; gradHidden: Float32Array };
  /** `[types, dimensions]` */
  weight(): Tensor<Float32Array>;
  save(file: string): Promise<void>;
  dispose(): void;
}

/** Log-softmax, every score and every row of the weight in every step. */
class SoftmaxOutput implements OutputLayer {
  private scores = new Float32Array(0);

  constructor(private readonly matrix: { data: Float32Array; shape: readonly number[] }) {}

  step(hidden: Tensor<Float32Array>, targets: Int32Array, rate: number) {
    const { matrix } = this;
    const shape = [targets.length, matrix.shape[0]];
    const length = shape[0] * shape[1];
    if (this.scores.length !== length) this.scores = new Float32Array(length);
    // The gradient takes the place of the scores: at 24 000 classes another array would be another sweep of memory.
    const scores = { data: this.scores, shape };
    matmul(hidden, matrix, { transposeB: true, out: { out: this.scores } });
    const { loss } = crossEntropy(scores, targets, {
      grad: true,
      out: { gradLogits: this.scores },
    });
    const { out: gradHidden } = matmul(scores, matrix);
    matmul(scores, hidden, { transposeA: true, alpha: -rate, beta: 1, out: { out: matrix.data } });
    return { loss, gradHidden };
  }

  weight() {
    return this.matrix;
  }

  save(file: string): Promise<void> {
    return writeTensors(file, { weight: this.matrix });
  }

  static async load(file: string): Promise<SoftmaxOutput> {
    const { weight } = await readTensors(file, ['weight']);
    return new SoftmaxOutput(weight);
  }

  dispose(): void {
    this.scores = new Float32Array(0);
  }
}

/** Z-loss; a step costs the same for any number of classes. */
class ZLossOutput implements OutputLayer {
  constructor(private readonly layer: SphericalOutputLayer<Float32Array>) {}

  step(hidden: Tensor<Float32Array>, targets: Int32Array, rate: number) {
    return this.layer.step(hidden, targets, rate);
  }

  weight() {
    const { layer } = this;
    return { data: layer.weight(), shape: [layer.classes, layer.dimensions] };
  }

  save(file: string): Promise<void> {
    return this.layer.save(file);
  }

  static async load(file: string): Promise<ZLossOutput> {
    const layer = await SphericalOutputLayer.load(file);
    return new ZLossOutput(layer as SphericalOutputLayer<Float32Array>);
  }

  dispose(): void {
    this.layer.dispose();
  }
}

function createOutput(recipe: Recipe, { types, dimensions }: NetworkSize, seed: number) {
  // Small, as is usual below a softmax. The Z-loss does not see the scale, only how fast a step changes it.
  const data = normals(types * dimensions, randomGenerator(seed), 0.1 / Math.sqrt(dimensions));
  const weight = { data, shape: [types, dimensions] };
  if (recipe.kind === 'softmax') return new SoftmaxOutput(weight);
  const { a, b } = recipe;
  return new ZLossOutput(SphericalOutputLayer.create(weight, { loss: 'z', a, b }));
}

/** Quality on a sample of held-out words at some time of the training. */
export interface Point extends Quality {
  readonly seconds: number;
  readonly updates: number;
}

/** What a model has come to, apart from its weights. */
export interface Progress {
  updates: number;
  /** Time spent in training, without measurements. */
  seconds: number;
  /** Mean loss of about the last hundred batches. */
  loss: number;
  curve: Point[];
}

export class Model {
  private constructor(
    readonly recipe: Recipe,
    readonly hidden: HiddenLayers,
    readonly output: OutputLayer,
    readonly progress: Progress,
  ) {}

  static create(recipe: Recipe, size: NetworkSize, seed: number): Model {
    const progress = { updates: 0, seconds: 0, loss: NaN, curve: [] };
    const hidden = new HiddenLayers(size, seed);
    return new Model(recipe, hidden, createOutput(recipe, size, seed + 1), progress);
  }

  /** `share`: how much of the model's time is over, 0..1. */
  step({ contexts, targets }: Batch, share: number): void {
    const { hidden, output, recipe, progress } = this;
    const left = Math.max(0, 1 - share);
    const features = hidden.forward(contexts);
    const { loss, gradHidden } = output.step(features, targets, recipe.outputRate * left);
    hidden.update(hidden.backward(contexts, gradHidden), recipe.hiddenRate * left);
    progress.updates++;
    progress.loss = Number.isNaN(progress.loss) ? loss : 0.99 * progress.loss + 0.01 * loss;
  }

  /** Writes `<stem>-hidden.safetensors` and `<stem>-output.safetensors`. */
  async save(stem: string): Promise<void> {
    await writeTensors(`${stem}-hidden.safetensors`, this.hidden.state());
    await this.output.save(`${stem}-output.safetensors`);
  }

  static async load(
    stem: string,
    recipe: Recipe,
    size: NetworkSize,
    progress: Progress,
  ): Promise<Model> {
    const hidden = new HiddenLayers(size, 0);
    const names = Object.keys(hidden.state());
    hidden.restore(await readTensors(`${stem}-hidden.safetensors`, names));
    const file = `${stem}-output.safetensors`;
    const output =
      recipe.kind === 'softmax' ? await SoftmaxOutput.load(file) : await ZLossOutput.load(file);
    return new Model(recipe, hidden, output, progress);
  }
}
