/** Rows of several blocks of the softmax sweeps (4096 logits each), laid out so that each way through a block is taken. */
import { crossEntropy, logSoftmax, softmax } from 'logitcore';
import { describe, expect, test } from 'vitest';
import * as reference from './reference.js';
import { close } from './support/compare.js';
import { Random } from './support/random.js';

const block = 4096;
const columns = 3 * block + 37;
const random = new Random(5);
const noise = Array.from({ length: columns }, () => random.between(-3, 3));

/** What logit j of a row is. */
const rows: Record<string, (j: number) => number> = {
  'plain noise': (j) => noise[j],
  'rising by less than a block can bear': (j) => noise[j] + j / 1000,
  'rising by more than a block can bear': (j) => noise[j] + j / 40,
  falling: (j) => noise[j] - j / 300,
  'first block masked': (j) => (j < block ? -Infinity : noise[j]),
  'second block masked': (j) => (j >= block && j < 2 * block ? -Infinity : noise[j]),
  'last block masked': (j) => (j >= 3 * block ? -Infinity : noise[j]),
  'one class left': (j) => (j === 2 * block + 5 ? 3 : -Infinity),
  'two classes left, ten apart': (j) => (j === 5 ? -7 : j === 2 * block + 5 ? 3 : -Infinity),
  'all equal': () => 1.5,
  'equal maxima in two blocks': (j) => (j === block + 9 || j === 2 * block + 9 ? 40 : noise[j]),
  'logits around 1e6': (j) => 1e6 + Math.round(noise[j] * 4),
  'a late jump to 1e5': (j) => (j > 2 * block ? 1e5 : 0) + noise[j],
};
for (const at of [0, block - 1, block, block + 17, 3 * block, columns - 1])
  for (const lead of [8, 12, 30, 60])
    rows[`a lead of ${lead} at ${at}`] = (j) => (j === at ? lead : noise[j]);

const expectNear = (
  actual: ArrayLike<number>,
  wanted: ArrayLike<number>,
  double: boolean,
): void => {
  close(actual, wanted, double ? 1e-11 : 2e-5, double ? 1e-13 : 1e-7);
};

for (const Type of [Float32Array, Float64Array] as const)
  describe(Type.name, () => {
    const double = Type === Float64Array;
    for (const [name, logit] of Object.entries(rows))
      test(name, () => {
        // Rows before and after it, whose results are written while its exponentials are computed and the other way round.
        const shape = [3, columns];
        const data = new Type(3 * columns);
        for (let j = 0; j < columns; j++) {
          data[j] = data[2 * columns + j] = noise[j];
          data[columns + j] = logit(j);
        }
        const middle = Array.from(data.subarray(columns, 2 * columns));
        const largest = Math.max(...middle);
        const top = middle.indexOf(largest);
        const targets = Int32Array.of(7, top, columns - 1);
        const log = logSoftmax({ data, shape }).out;
        expectNear(log, reference.logSoftmax(data, columns), double);
        const soft = softmax({ data, shape }).out;
        expectNear(soft, reference.softmax(data, columns), double);
        const options = { grad: true, reduction: 'none' } as const;
        const { loss, gradLogits } = crossEntropy({ data, shape }, targets, options);
        // A confident row keeps all digits of its loss, and of its gradient at the target.
        const others = middle.reduce(
          (sum, x, j) => (j === top ? sum : sum + Math.exp(x - largest)),
          0,
        );
        const exact = (actual: number, wanted: number) => {
          const error = Math.abs(actual - wanted);
          expect(error).toBeLessThanOrEqual((double ? 1e-12 : 3e-6) * Math.abs(wanted));
        };
        exact(loss[1], Math.log1p(others));
        exact(gradLogits[columns + top], -others / (1 + others));
        const { grad } = reference.crossEntropy(data, columns, targets);
        grad[columns + top] = gradLogits[columns + top];
        expectNear(gradLogits, grad, double);

        // In place gives the same bits.
        const own = data.slice();
        softmax({ data: own, shape }, { out: { out: own } });
        expect(own).toEqual(soft);
        own.set(data);
        logSoftmax({ data: own, shape }, { out: { out: own } });
        expect(own).toEqual(log);
        own.set(data);
        crossEntropy({ data: own, shape }, targets, { ...options, out: { gradLogits: own } });
        expect(own).toEqual(gradLogits);
      });
  });
