// Distances between sorted rows, on a line and between graphs, against what they must equal.
import {
  gw1d,
  gwFirstLowerBound,
  gwSecondLowerBound,
  gwThirdLowerBound,
  slicedGW,
  uldLoss,
  uldSequenceLoss,
  wasserstein1d,
} from 'logitcore';
import { describe, expect, test } from 'vitest';
import { Random } from './support/random.js';

const reals = (length: number, random: Random): Float64Array =>
  Float64Array.from({ length }, () => random.bell());
const matrix = (n: number, random: Random) => ({ data: reals(n * n, random), shape: [n, n] });

/** All orders of 0..n-1. */
function* permutations(n: number): Generator<number[]> {
  if (n === 0) {
    yield [];
    return;
  }
  for (const rest of permutations(n - 1))
    for (let at = 0; at < n; at++) yield [...rest.slice(0, at), n - 1, ...rest.slice(at)];
}

describe('wasserstein1d', () => {
  test('is the best matching of equally many points', () => {
    const random = new Random(1);
    for (let n = 1; n <= 6; n++)
      for (const p of [1, 1.5, 2, 3]) {
        const [x, y] = [reals(n, random), reals(n, random)];
        let best = Infinity;
        for (const match of permutations(n)) {
          const cost = match.reduce((sum, j, i) => sum + Math.abs(x[i] - y[j]) ** p, 0) / n;
          best = Math.min(best, cost);
        }
        expect(wasserstein1d(x, y, { p }).value).toBeCloseTo(best, 12);
      }
  });
  test('a weight is a repetition, and 0 drops a point', () => {
    const random = new Random(2);
    const [x, y] = [reals(4, random), reals(7, random)];
    const weightsX = Float64Array.of(3, 0, 1, 2);
    const repeated = Float64Array.of(x[0], x[0], x[0], x[2], x[3], x[3]);
    for (const p of [1, 2]) {
      const plain = wasserstein1d(repeated, y, { p }).value;
      expect(wasserstein1d(x, y, { p, weightsX }).value).toBeCloseTo(plain, 12);
      const weightsY = new Float64Array(7).fill(0.25);
      expect(wasserstein1d(x, y, { p, weightsX, weightsY }).value).toBeCloseTo(plain, 12);
    }
  });
  test('a shift by d costs |d|^p, and many points keep their digits', () => {
    const random = new Random(3);
    const x = Float32Array.from({ length: 300_000 }, () => random.bell());
    const y = x.map((v) => Math.fround(v + 4096) - 4096 + 2);
    for (const p of [1, 2]) expect(wasserstein1d(x, y, { p }).value / 2 ** p).toBeCloseTo(1, 3);
    expect(wasserstein1d(x, x, { grad: true }).gradX.every((g) => g === 0)).toBe(true);
  });
});

describe('gw1d and slicedGW', () => {
  const direct = (x: Float64Array, y: Float64Array): number => {
    const n = x.length;
    let sum = 0;
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) sum += ((x[i] - x[j]) ** 2 - (y[i] - y[j]) ** 2) ** 2;
    return sum / (n * n);
  };
  test('is the double sum over the sorted points', () => {
    const random = new Random(4);
    for (const n of [1, 2, 5, 40]) {
      const [x, y] = [reals(n, random).map((v) => v + 1e4), reals(n, random)];
      const [up, against] = [x.slice().sort(), y.slice().sort()];
      const got = gw1d(x, y);
      const scale = Math.max(1, got.value);
      expect(got.valueIdentity / scale).toBeCloseTo(direct(up, against) / scale, 6);
      expect(got.valueAnti / scale).toBeCloseTo(direct(up, against.slice().reverse()) / scale, 6);
    }
  });
  test('is 0, with gradient 0, for a moved or mirrored copy', () => {
    const x = Float32Array.of(1, -2, 0.5, 7, 3);
    for (const y of [x, x.map((v) => v + 16), x.map((v) => -v)]) {
      const { value, gradX, gradY } = gw1d(x, y, { grad: true });
      expect(value).toBeLessThan(1e-24);
      for (const g of [...gradX, ...gradY]) expect(Math.abs(g)).toBeLessThan(1e-11);
    }
  });
  test('one direction of length 1 in one dimension is gw1d', () => {
    const random = new Random(6);
    const [x, y] = [reals(9, random), reals(9, random)];
    const cloud = (data: Float64Array) => ({ data, shape: [9, 1] });
    const directions = { data: Float64Array.of(1), shape: [1, 1] };
    const sliced = slicedGW(cloud(x), cloud(y), directions, { grad: true });
    const line = gw1d(x, y, { grad: true });
    expect(sliced.value).toBe(line.value);
    expect(sliced.gradX).toEqual(line.gradX);
  });
});

describe('lower bounds', () => {
  test('the assignment is the best permutation, and bounds are in order', () => {
    const random = new Random(7);
    for (let n = 1; n <= 6; n++)
      for (let round = 0; round < 4; round++) {
        const [C, D] = [matrix(n, random), matrix(n, random)];
        const third = gwThirdLowerBound(C, D, { method: 'assignment' });
        let best = Infinity;
        for (const match of permutations(n))
          best = Math.min(best, match.reduce((sum, j, i) => sum + third.cost[i * n + j], 0) / n);
        expect(third.value).toBeCloseTo(best, 12);
        const slack = 1e-12;
        const relaxed = gwThirdLowerBound(C, D).value;
        expect(relaxed).toBeLessThanOrEqual(third.value + slack);
        const first = gwFirstLowerBound(C, D, { eccentricity: 'mean' }).value;
        expect(first).toBeLessThanOrEqual(third.value + slack);
        expect(gwSecondLowerBound(C, D).value).toBeLessThanOrEqual(third.value + slack);
      }
  });
  test('a relabelled graph has bounds 0', () => {
    const random = new Random(8);
    const n = 60;
    const C = { data: reals(n * n, random).map(Math.fround), shape: [n, n] };
    const to = Array.from({ length: n }, (_, i) => (i * 7 + 3) % n);
    const D = {
      data: C.data.map((_, k) => C.data[to[Math.floor(k / n)] * n + to[k % n]]),
      shape: [n, n],
    };
    expect(gwThirdLowerBound(C, D, { method: 'assignment' }).value).toBe(0);
    expect(gwSecondLowerBound(C, D).value).toBe(0);
    expect(gwFirstLowerBound(C, D).value).toBeLessThan(1e-15);
  });
  test('NaN and infinite entries', () => {
    const C = { data: Float64Array.of(0, 1, 1, 0), shape: [2, 2] };
    const D = { data: Float64Array.of(0, NaN, 1, 0), shape: [2, 2] };
    const far = { data: Float64Array.of(0, Infinity, 1, 0), shape: [2, 2] };
    for (const method of ['relaxed', 'assignment'] as const) {
      expect(gwThirdLowerBound(C, D, { method }).value).toBeNaN();
      expect(gwThirdLowerBound(C, far, { method }).value).toBe(Infinity);
    }
  });
  test('costs next to the largest number, with infinite ones and without', () => {
    const n = 6;
    const graph = (entry: (k: number) => number) => ({
      data: Float64Array.from({ length: n * n }, (_, k) => (k % (n + 1) ? entry(k) : 0)),
      shape: [n, n],
    });
    const C = graph((k) => 3.2e102 * (1 + k / 100));
    const options = { method: 'assignment', order: 3 } as const;
    const far = graph((k) => (k < n ? 1e150 : 1e100));
    expect(gwThirdLowerBound(C, far, options).value).toBe(Infinity);
    const { value, cost } = gwThirdLowerBound(
      C,
      graph((k) => 1e100 * k),
      options,
    );
    const best = [...permutations(n)].map((match) =>
      match.reduce((sum, j, i) => sum + cost[i * n + j] / n, 0),
    );
    expect(value / Math.min(...best)).toBeCloseTo(1, 12);
  });
});

describe('uldLoss', () => {
  const row = (data: Float32Array) => ({ data, shape: [1, data.length] });
  const random = new Random(9);
  const student = Float32Array.from({ length: 10_000 }, () => 3 * random.bell());
  const teacher = Float32Array.from({ length: 9000 }, () => 4 * random.bell());

  test('the order of classes and masked classes change nothing', () => {
    const shuffled = student.map((_, i) => student[(i * 7) % student.length]);
    const padded = new Float32Array(12_000).fill(-Infinity);
    padded.set(student, 1500);
    const { loss } = uldLoss(row(student), row(teacher));
    expect(uldLoss(row(shuffled), row(teacher)).loss).toBe(loss);
    expect(uldLoss(row(padded), row(teacher)).loss).toBe(loss);
    expect(uldLoss(row(teacher), row(student)).loss).toBeCloseTo(loss, 12);
    expect(uldLoss(row(student), row(shuffled), { grad: true }).loss).toBe(0);
  });
  test('equal rows have loss and gradient exactly 0', () => {
    for (const transform of ['none', 'softmax', 'standardize'] as const)
      for (const topK of [0, 5, 100]) {
        const result = uldLoss(row(student), row(student), { transform, topK, grad: true });
        expect(result.loss).toBe(0);
        expect(result.gradStudent.every((g) => g === 0)).toBe(true);
      }
  });
  test('gradient rows of probabilities sum to 0', () => {
    for (const topK of [0, 50]) {
      const { gradStudent } = uldLoss(row(student), row(teacher), { topK, grad: true });
      expect(gradStudent.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 6);
    }
  });
  test('the gradient may be written over the student', () => {
    for (const topK of [0, 50]) {
      const own = student.slice();
      const { gradStudent } = uldLoss(row(student), row(teacher), { topK, grad: true });
      uldLoss(row(own), row(teacher), { topK, grad: true, out: { gradStudent: own } });
      expect(own).toEqual(gradStudent);
    }
  });
  test('rows without a number, and no rows that count', () => {
    const bad = { data: Float32Array.of(-Infinity, -Infinity, 1, NaN, 1, 2), shape: [3, 2] };
    const good = { data: new Float32Array(6), shape: [3, 2] };
    const { loss, gradStudent } = uldLoss(bad, good, { reduction: 'none', grad: true });
    expect([...loss].map(Number.isNaN)).toEqual([true, true, false]);
    expect([...gradStudent.slice(4)].every(Number.isFinite)).toBe(true);
    const none = uldLoss(bad, good, { mask: [0, 0, 0], grad: true });
    expect(none.loss).toBeNaN();
    expect(none.gradStudent.every((g) => g === 0)).toBe(true);
    expect(uldLoss(bad, good, { mask: [false, false, true] }).loss).toBeGreaterThan(0);
    expect(uldLoss(bad, good, { mask: [0, 0, 0], reduction: 'sum' }).loss).toBe(0);
  });
});

describe('uldSequenceLoss', () => {
  test('nothing to learn gives 0, and unread rows may hold anything', () => {
    const student = { data: new Float32Array(2 * 3 * 4).fill(NaN), shape: [2, 3, 4] };
    const teacher = { data: new Float32Array(2 * 2 * 5).fill(NaN), shape: [2, 2, 5] };
    const result = uldSequenceLoss(
      student,
      teacher,
      new Int32Array(6).fill(-100),
      new Int32Array(4).fill(-100),
      { grad: true },
    );
    expect(result).toMatchObject({ loss: 0, crossEntropy: 0, distillation: 0 });
    expect(result.gradStudent.every((g) => g === 0)).toBe(true);
  });
});
