/** Students of one teacher, each trained with another loss on the same images for the same time. */
import * as tf from '@tensorflow/tfjs';
import type { DigitSet } from './mnist.js';
import {
  createNetwork,
  evaluate,
  losses,
  stepsOf,
  train,
  type BatchLoss,
  type Network,
} from './training.js';

export const studentUnits = 16;
const epochs = 5;
const learningRate = 4e-3;

export interface Method {
  readonly name: string;
  readonly heads: number;
  readonly loss: (teacher: (images: tf.Tensor2D) => tf.Tensor2D) => BatchLoss;
}

const { crossEntropy, klDiv, standardizedKlDiv, dhkdLoss, gldLoss } = losses;
const weighted = (a: number, x: tf.Tensor, b: number, y: tf.Tensor): tf.Tensor =>
  tf.add(tf.mul(x, a), tf.mul(y, b));

/**
 * Weights as in the papers' own settings where they have any. Of the two of the two-head method (1 and 0.1) the smaller: so few
 * shared features cannot serve two heads of equal weight.
 */
export const methods: readonly Method[] = [
  {
    name: 'hard labels',
    heads: 1,
    loss:
      () =>
      ([student], labels) =>
        crossEntropy(student, labels),
  },
  {
    name: 'KD',
    heads: 1,
    loss:
      (teacher) =>
      ([student], labels, images) =>
        weighted(
          0.1,
          crossEntropy(student, labels),
          0.9,
          klDiv(student, teacher(images), { temperature: 4 }),
        ),
  },
  {
    name: 'standardised KD',
    heads: 1,
    loss:
      (teacher) =>
      ([student], labels, images) =>
        weighted(
          0.1,
          crossEntropy(student, labels),
          9,
          standardizedKlDiv(student, teacher(images), { temperature: 2 }),
        ),
  },
  {
    name: 'two heads, BinaryKL',
    heads: 2,
    loss:
      (teacher) =>
      ([student, auxiliary], labels, images) =>
        dhkdLoss(student, auxiliary, teacher(images), labels, { temperature: 2, alpha: 0.1 }),
  },
  {
    name: 'GLD',
    heads: 1,
    loss:
      (teacher) =>
      ([student], labels, images) =>
        weighted(
          1,
          crossEntropy(student, labels),
          0.1,
          gldLoss(student, teacher(images), { topK: 5, transform: 'standardize' }),
        ),
  },
];

export interface Result {
  readonly method: string;
  /** Held-out accuracy of each seed. */
  readonly accuracies: readonly number[];
}

export const studentSteps = (digits: DigitSet): number => epochs * stepsOf(digits);

/** `onStep` is called after every step of every student. */
export function distil(
  teacher: Network,
  training: DigitSet,
  test: { images: tf.Tensor2D; labels: Int32Array },
  seeds: readonly number[],
  onStep: (method: string, seed: number) => void,
): Result[] {
  const teach = (images: tf.Tensor2D): tf.Tensor2D => teacher.logits(images)[0];
  return methods.map(({ name, heads, loss }) => ({
    method: name,
    accuracies: seeds.map((seed) => {
      // Students of one seed start from the same weights and see the same batches.
      const network = createNetwork(studentUnits, seed, heads);
      train({
        network,
        digits: training,
        loss: loss(teach),
        epochs,
        learningRate,
        seed: seed + 1000,
        onStep: () => {
          onStep(name, seed);
        },
      });
      const { accuracy } = evaluate(network, test.images, test.labels);
      tf.dispose(network.variables);
      return accuracy;
    }),
  }));
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, x) => sum + x, 0) / values.length;

/** Sample standard deviation; 0 for one value. */
export function spread(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, x) => sum + (x - centre) ** 2, 0) / (values.length - 1));
}

/** Lines that say where the order of the accuracies is not the one the papers report. */
export function compareWithPapers(results: readonly Result[]): string[] {
  const of = (name: string): readonly number[] =>
    results.find(({ method }) => method === name)!.accuracies;
  const claims: readonly [better: string, worse: string, source: string][] = [
    ['KD', 'hard labels', 'Hinton et al. 2015'],
    ['standardised KD', 'KD', 'Sun et al. 2024'],
    ['two heads, BinaryKL', 'hard labels', 'Yang et al. 2024'],
    ['GLD', 'hard labels', 'Wang et al. 2025'],
  ];
  return claims.map(([better, worse, source]) => {
    const differences = of(better).map((x, i) => 100 * (x - of(worse)[i]));
    const gain = mean(differences);
    // Two standard errors of the paired differences; one seed has none.
    const error = (2 * spread(differences)) / Math.sqrt(differences.length);
    const clear = differences.length > 1 && Math.abs(gain) > error;
    const verdict = !clear
      ? 'no clear difference here'
      : gain > 0
        ? 'holds here'
        : 'does not hold here';
    return `${better} above ${worse} (${source}): ${verdict}, ${gain >= 0 ? '+' : ''}${gain.toFixed(2)} points${
      differences.length > 1 ? ` ± ${error.toFixed(2)}` : ' of one seed'
    }`;
  });
}
