/** A multilayer perceptron in TensorFlow.js and its training loop; the losses are handed in. */
import * as tf from '@tensorflow/tfjs';
import { createTfjsOps } from 'logitcore/tfjs';
import { randomGenerator } from '../bench/inputs.js';
import { pixels, shiftedBatch, shuffled, type DigitSet } from './mnist.js';

export const losses = createTfjsOps(tf);
export const classes = 10;
export const batchSize = 100;

export interface Network {
  /** Logits `[n, 10]` of each head. */
  readonly logits: (images: tf.Tensor2D) => tf.Tensor2D[];
  readonly variables: tf.Variable[];
}

/** One hidden layer, and `heads` linear output layers over it. */
export function createNetwork(hiddenUnits: number, seed: number, heads = 1): Network {
  const variables: tf.Variable[] = [];
  const layer = (inputs: number, outputs: number) => {
    const start = tf.randomNormal(
      [inputs, outputs],
      0,
      Math.sqrt(2 / inputs),
      'float32',
      seed * 101 + variables.length,
    );
    const weights = tf.variable(start);
    const bias = tf.variable(tf.zeros([outputs]));
    start.dispose();
    variables.push(weights, bias);
    return (x: tf.Tensor2D): tf.Tensor2D => tf.add(tf.matMul(x, weights as tf.Tensor2D), bias);
  };
  const hidden = layer(pixels, hiddenUnits);
  const outputs = Array.from({ length: heads }, () => layer(hiddenUnits, classes));
  return {
    logits: (images) => {
      const features = tf.relu(hidden(images));
      return outputs.map((output) => output(features));
    },
    variables,
  };
}

/** Mean loss, and the share of images whose largest logit of the first head is the label's. */
export function evaluate(network: Network, images: tf.Tensor2D, labels: Int32Array) {
  return tf.tidy(() => {
    const [logits] = network.logits(images);
    const guesses = tf.argMax(logits, 1).dataSync();
    const right = labels.filter((label, i) => label === guesses[i]).length;
    return {
      loss: losses.crossEntropy(logits, labels).dataSync()[0],
      accuracy: right / labels.length,
    };
  });
}

/** A scalar from the logits of each head, for one batch. */
export type BatchLoss = (
  logits: tf.Tensor2D[],
  labels: Int32Array,
  images: tf.Tensor2D,
) => tf.Tensor;

export interface Training {
  readonly network: Network;
  readonly digits: DigitSet;
  readonly loss: BatchLoss;
  readonly epochs: number;
  readonly learningRate: number;
  readonly seed: number;
  /** Mean loss of the epoch so far, after each step. */
  readonly onStep?: (loss: number) => void;
  /** Mean loss of the epoch. */
  readonly onEpoch?: (epoch: number, loss: number) => void;
}

export const stepsOf = ({ labels }: DigitSet): number => Math.floor(labels.length / batchSize);

export function train(training: Training): void {
  const { network, digits, loss, epochs, learningRate, seed, onStep, onEpoch } = training;
  // The schedule below sets the rate, which the types of tfjs keep to its subclasses.
  const optimizer = tf.train.adam(learningRate) as tf.AdamOptimizer & { learningRate: number };
  const random = randomGenerator(seed);
  const steps = stepsOf(digits);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    // Half a cosine from the full rate to nearly none.
    optimizer.learningRate = learningRate * 0.5 * (1 + Math.cos((Math.PI * (epoch - 1)) / epochs));
    const order = shuffled(digits.labels.length, random);
    let total = 0;
    for (let step = 0; step < steps; step++) {
      const rows = order.slice(step * batchSize, (step + 1) * batchSize);
      const labels = rows.map((row) => digits.labels[row]);
      total += tf.tidy(() => {
        const images = tf.tensor2d(shiftedBatch(digits, rows, random), [batchSize, pixels]);
        const cost = optimizer.minimize(
          () => loss(network.logits(images), labels, images) as tf.Scalar,
          true,
          network.variables,
        );
        return cost!.dataSync()[0];
      });
      onStep?.(total / (step + 1));
    }
    onEpoch?.(epoch, total / steps);
  }
  optimizer.dispose();
}
