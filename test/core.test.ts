// What the standard ops do at the edges, where libraries differ. Ops are called by name, with plain rows.
import { describe, expect, test } from 'vitest';
import { op, type Result } from './support/invoke.js';

type Real = typeof Float32Array | typeof Float64Array;

const rows = (Type: Real, ...lines: number[][]) => ({
  data: Type.from(lines.flat()),
  shape: [lines.length, lines[0].length],
});
const list = (value: unknown): number[] => Array.from(value as ArrayLike<number>);
const near = (got: unknown, expected: number[], digits = 5): void => {
  const numbers = typeof got === 'number' ? [got] : list(got);
  expect(numbers.length).toBe(expected.length);
  numbers.forEach((x, i) => {
    // toBeCloseTo has no notion of infinities and NaN.
    if (Number.isFinite(expected[i])) expect(x).toBeCloseTo(expected[i], digits);
    else expect(x).toBe(expected[i]);
  });
};
const loss = (name: string, ...args: unknown[]): Result => op(name)(...args);

for (const Type of [Float32Array, Float64Array] as const) {
  const inf = Infinity;
  const masked = rows(Type, [0, -inf, Math.log(3)]);

  describe(`softmax and log-sum-exp, ${Type.name}`, () => {
    test('a masked class has probability 0, the others share the rest', () => {
      expect(list(op('softmax')(masked).out)[1]).toBe(0);
      near(op('softmax')(masked).out, [0.25, 0, 0.75]);
      near(op('logSoftmax')(masked).out, [Math.log(0.25), -inf, Math.log(0.75)]);
      near(op('logSumExp')(masked).out, [Math.log(4)]);
    });
    test('a row without a class is NaN, its log-sum-exp -Infinity', () => {
      const none = rows(Type, [-inf, -inf], [0, 0]);
      near(op('softmax')(none).out, [NaN, NaN, 0.5, 0.5]);
      near(op('logSoftmax')(none).out, [NaN, NaN, -Math.LN2, -Math.LN2]);
      near(op('logSumExp')(none).out, [-inf, Math.LN2]);
    });
    test('+Infinity makes its row NaN, its log-sum-exp Infinity', () => {
      const row = rows(Type, [inf, 1], [1, 1]);
      near(op('softmax')(row).out, [NaN, NaN, 0.5, 0.5]);
      near(op('logSoftmax')(row).out, [NaN, NaN, -Math.LN2, -Math.LN2]);
      near(op('logSumExp')(row).out, [inf, 1 + Math.LN2]);
    });
    test('NaN stays in its row', () => {
      const row = rows(Type, [NaN, 1], [1, 1]);
      near(op('softmax')(row).out, [NaN, NaN, 0.5, 0.5]);
      near(op('logSumExp')(row).out, [NaN, 1 + Math.LN2]);
    });
    test('a row of one dimension has one log-sum-exp', () => {
      const { out } = op('logSumExp')(Type.of(0, 0, 0, 0));
      near(out, [Math.log(4)]);
    });
    test('a single class is certain', () => {
      near(op('softmax')(rows(Type, [3], [-1e4], [1e30])).out, [1, 1, 1]);
      near(op('logSoftmax')(rows(Type, [3], [-1e4], [1e30])).out, [0, 0, 0]);
    });
    test('logits of 1e4 keep their normaliser', () => {
      near(
        op('logSoftmax')(rows(Type, [1e4, 1e4, 1e4, 1e4])).out,
        Array<number>(4).fill(-Math.log(4)),
        6,
      );
      near(op('logSoftmax')(rows(Type, [1e4, 1e4 - 0.5]), { temperature: 0.01 }).out, [0, -50], 6);
      near(
        op('logSoftmax')(rows(Type, [-1e4, -1e4]), { temperature: 10 }).out,
        [-Math.LN2, -Math.LN2],
        6,
      );
    });
  });

  describe(`crossEntropy, ${Type.name}`, () => {
    const grad = true;
    test('a masked target costs Infinity and has a finite gradient', () => {
      const result = loss('crossEntropy', masked, Int32Array.of(1), { grad });
      expect(result.loss).toBe(inf);
      list(result.gradLogits).forEach((g) => {
        expect(Number.isFinite(g)).toBe(true);
      });
    });
    test('label smoothing on a masked class costs Infinity', () => {
      expect(loss('crossEntropy', masked, Int32Array.of(0), { labelSmoothing: 0.1 }).loss).toBe(
        inf,
      );
      expect(
        loss('crossEntropy', masked, Int32Array.of(0), { labelSmoothing: 0 }).loss,
      ).toBeCloseTo(Math.log(4), 5);
    });
    test('a softcap comes before the mask: -Infinity becomes -cap', () => {
      const capped = loss('crossEntropy', rows(Type, [0, -inf]), Int32Array.of(0), {
        logitSoftcap: 2,
        grad,
      });
      near(capped.loss, [Math.log1p(Math.exp(-2))]);
      near(capped.gradLogits, [1 / (1 + Math.exp(-2)) - 1, 0]);
    });
    test('a total weight of 0 gives loss and gradient 0', () => {
      const options = { weight: Type.of(0, 1, 1), grad, reduction: 'mean' };
      const result = loss(
        'crossEntropy',
        rows(Type, [1, 2, 3], [3, 2, 1]),
        Int32Array.of(0, 0),
        options,
      );
      expect(result.loss).toBe(0);
      near(result.gradLogits, [0, 0, 0, 0, 0, 0]);
    });
    test('the mean divides by the weights of the counted targets', () => {
      const weight = Type.of(1, 2, 4);
      const logits = rows(Type, [0, 0, 0], [0, 0, 0], [9, 9, 9]);
      const result = loss('crossEntropy', logits, Int32Array.of(1, 2, -100), { weight, grad });
      near(result.loss, [Math.log(3)]);
      near(result.gradLogits, [1 / 9, 1 / 9 - 1 / 3, 1 / 9, 2 / 9, 2 / 9, 2 / 9 - 2 / 3, 0, 0, 0]);
    });
    test('row weights enter no divisor and may be negative', () => {
      const options = { rowWeights: Type.of(1, -3), grad };
      const result = loss('crossEntropy', rows(Type, [0, 0], [0, 0]), Int32Array.of(0, 1), options);
      near(result.loss, [-Math.LN2]);
      near(result.gradLogits, [-0.25, 0.25, -0.75, 0.75]);
    });
    test('the z-loss is inside the loss and apart', () => {
      const result = loss('crossEntropy', rows(Type, [1, 1], [0, 0]), Int32Array.of(0, 1), {
        zLossWeight: 0.5,
      });
      const z = 0.25 * ((1 + Math.LN2) ** 2 + Math.LN2 ** 2);
      near(result.zLoss, [z]);
      near(result.loss, [Math.LN2 + z]);
      expect('zLoss' in loss('crossEntropy', masked, Int32Array.of(0))).toBe(false);
    });
    test('any ignoreIndex, also one that would be a class', () => {
      const logits = rows(Type, [0, 0], [5, 0]);
      near(loss('crossEntropy', logits, Int32Array.of(0, 1), { ignoreIndex: 1 }).loss, [Math.LN2]);
    });
    test('tied maxima share the gradient', () => {
      const result = loss('crossEntropy', rows(Type, [7, 7, 7, 7]), Int32Array.of(2), { grad });
      near(result.gradLogits, [0.25, 0.25, -0.75, 0.25], 6);
    });
  });

  describe(`other losses, ${Type.name}`, () => {
    test('focal loss with gamma below 1 on a certain row, and on a masked target', () => {
      const certain = loss('focalLoss', rows(Type, [0, -inf]), Int32Array.of(0), {
        gamma: 0.5,
        grad: true,
      });
      near(certain.loss, [0]);
      near(certain.gradLogits, [0, 0]);
      const hopeless = loss('focalLoss', rows(Type, [-inf, 0]), Int32Array.of(0), {
        gamma: 0.5,
        grad: true,
      });
      expect(hopeless.loss).toBe(inf);
      list(hopeless.gradLogits).forEach((g) => {
        expect(Number.isFinite(g)).toBe(true);
      });
    });
    test('gatherLogProbs gives 0 in ignored rows', () => {
      const result = op('gatherLogProbs')(rows(Type, [0, 0], [NaN, 1]), Int32Array.of(1, -100));
      near(result.logProbs, [-Math.LN2, 0]);
      near(result.logSumExp, [Math.LN2, 0]);
    });
    test('nllLoss takes -Infinity for what it is', () => {
      expect(loss('nllLoss', rows(Type, [-inf, 0]), Int32Array.of(0)).loss).toBe(inf);
      near(loss('nllLoss', rows(Type, [-inf, 0]), Int32Array.of(1)).loss, [0]);
    });
    test('soft cross-entropy with weight 0 on a masked class', () => {
      const result = loss('crossEntropySoft', masked, rows(Type, [0.5, 0, 0.5]), { grad: true });
      near(result.loss, [-0.5 * (Math.log(0.25) + Math.log(0.75))]);
      near(result.gradLogits, [-0.25, 0, 0.25]);
    });
    test('divergences: a class masked in both counts nothing, one masked in the second only costs Infinity', () => {
      near(loss('klDiv', masked, masked).loss, [0]);
      expect(loss('klDiv', masked, rows(Type, [0, 0, 0])).loss).toBe(inf);
      near(loss('klDiv', rows(Type, [0, 0, 0]), rows(Type, [0, -inf, 0])).loss, [Math.log(1.5)]);
      expect(
        loss('klDiv', rows(Type, [0, 0]), rows(Type, [0, -inf]), { direction: 'reverse' }).loss,
      ).toBe(inf);
      const halves = loss('jsDivergence', rows(Type, [0, -inf]), rows(Type, [-inf, 0]), {
        grad: true,
      });
      near(halves.loss, [Math.LN2]);
      near(halves.gradStudent, [0, 0]);
    });
    test('jsDivergence with beta 0 and 1 is the forward and the reverse divergence', () => {
      const [student, teacher] = [
        rows(Type, [1, 2, 3], [0, 1, 0]),
        rows(Type, [3, 1, 0], [2, 0, 1]),
      ];
      const options = { grad: true, gradTeacher: true };
      for (const [beta, direction] of [
        [0, 'forward'],
        [1, 'reverse'],
      ] as const) {
        const js = loss('jsDivergence', student, teacher, { ...options, beta });
        const kl = loss('klDiv', student, teacher, { ...options, direction });
        near(js.loss, [kl.loss as number]);
        near(js.gradStudent, list(kl.gradStudent));
        near(js.gradTeacher, list(kl.gradTeacher));
      }
    });
    test('entropy of a masked row, and of a single class', () => {
      near(op('entropy')(rows(Type, [0, -inf, 0])).entropy, [Math.LN2]);
      near(op('entropy')(rows(Type, [5])).entropy, [0]);
    });
    test('bceWithLogits is finite at large logits, and 0 where certain and right', () => {
      const logits = rows(Type, [1e4, -1e4, 88]);
      const result = loss('bceWithLogits', logits, rows(Type, [1, 0, 0]), {
        reduction: 'none',
        grad: true,
      });
      near(result.loss, [0, 0, 88]);
      near(result.gradLogits, [0, 0, 1]);
    });
    test('sigmoid focal loss keeps small gradients of confident logits', () => {
      const options = { gamma: 0, alpha: -1, reduction: 'none', grad: true };
      const result = loss('sigmoidFocalLoss', rows(Type, [-40, 40]), rows(Type, [0, 1]), options);
      const tiny = Math.exp(-40);
      list(result.loss).forEach((x) => {
        expect(Math.abs(x / tiny - 1)).toBeLessThan(1e-5);
      });
      expect(Math.abs(list(result.gradLogits)[1] / -tiny - 1)).toBeLessThan(1e-5);
    });
    test('topK: lower index first among equals, -0 equals 0, NaN above Infinity', () => {
      const top = op('topK')(Type.of(0, -0, inf, NaN, 0, -inf), { k: 6 });
      expect(list(top.indices)).toEqual([3, 2, 0, 1, 4, 5]);
      expect(list(top.values)).toEqual([NaN, inf, 0, -0, 0, -inf]);
      const tied = op('topK')(
        new Type(300).map((_, i) => (i % 3 === 0 ? 1 : 0)),
        { k: 103 },
      );
      const expected = [...Array.from({ length: 100 }, (_, i) => 3 * i), 1, 2, 4];
      expect(list(tied.indices)).toEqual(expected);
    });
  });
}
