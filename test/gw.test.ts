// What iterates, and what is put together from calls: pieces, progress, resumption, convergence.
import {
  coactivationFeatures,
  coactivationGraph,
  entropicGW,
  gldLoss,
  gwBruteForce,
} from 'logitcore';
import { gwObjective, gwSortApprox } from 'logitcore';
import * as later from 'logitcore/promises';
import { describe, expect, test } from 'vitest';
import { Random } from './support/random.js';

type Real = Float32Array | Float64Array;

function matrix<A extends Real>(
  Type: new (length: number) => A,
  shape: readonly number[],
  seed: number,
): { data: A; shape: readonly number[] } {
  const random = new Random(seed);
  const data = new Type(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) data[i] = Math.fround(random.between(0, 2));
  return { data, shape };
}

const settings = { epsilon: 0.3, outerIterations: 9, innerIterations: 30, grad: true } as const;

describe('entropicGW in pieces', () => {
  for (const Type of [Float32Array, Float64Array])
    for (const loss of ['square', 'kl'] as const)
      test(`${Type.name}, ${loss}: the same bits, and progress`, async () => {
        const [C, D] = [matrix<Real>(Type, [5, 5], 1), matrix<Real>(Type, [7, 7], 2)];
        for (let i = 0; i < D.data.length; i++) D.data[i] += 0.125;
        const p = new Type([1, 2, 3, 1, 0]);
        const whole = entropicGW(C, D, { ...settings, loss, p });
        const seen: number[] = [];
        const pieces = await later.entropicGW(C, D, {
          ...settings,
          loss,
          p,
          onProgress: ({ iteration, change, value }) => {
            seen.push(iteration);
            expect(change).toBeGreaterThan(0);
            expect(value).toBeGreaterThan(0);
          },
        });
        expect(pieces).toEqual(whole);
        expect(seen).toEqual(Array.from({ length: whole.iterations }, (_, i) => i + 1));
        const direct = entropicGW(C, D, { ...settings, loss, p, onProgress: () => undefined });
        expect(direct).toEqual(whole);
        const plan = new Type(35);
        const given = await later.entropicGW(C, D, {
          ...settings,
          loss,
          p,
          out: { plan },
          onProgress: () => undefined,
        });
        expect(given.plan).toBe(plan);
        expect(given).toEqual(whole);
      });
  test('a returned plan goes on where it stopped', () => {
    const [C, D] = [matrix(Float64Array, [6, 6], 3), matrix(Float64Array, [4, 4], 4)];
    const options = { ...settings, tol: 0 };
    const whole = entropicGW(C, D, options);
    const first = entropicGW(C, D, { ...options, outerIterations: 4 });
    const second = entropicGW(C, D, { ...options, outerIterations: 5, initPlan: first.plan });
    expect(second.plan).toEqual(whole.plan);
    expect(second.gradC).toEqual(whole.gradC);
    const shaped = { data: first.plan, shape: [6, 4] };
    expect(entropicGW(C, D, { ...options, outerIterations: 5, initPlan: shaped }).plan).toEqual(
      whole.plan,
    );
  });
  test('an aborted signal stops it between pieces', async () => {
    const [C, D] = [matrix(Float32Array, [5, 5], 5), matrix(Float32Array, [5, 5], 6)];
    const controller = new AbortController();
    const { signal } = controller;
    let calls = 0;
    const run = later.entropicGW(C, D, {
      ...settings,
      tol: 0,
      signal,
      onProgress: () => {
        calls += 1;
        if (calls === 3) controller.abort(new Error('enough'));
      },
    });
    await expect(run).rejects.toThrow('enough');
    expect(calls).toBe(3);
  });
  test('errors are those of the single call', async () => {
    const [C, D] = [matrix(Float32Array, [3, 3], 7), matrix(Float32Array, [3, 3], 8)];
    const bad: object[] = [
      { epsilon: 0 },
      { outerIterations: 0 },
      { outerIterations: 1.5 },
      { innerIterations: 0 },
      { innerIterations: 2.5 },
      { p: new Float32Array([1, -1, 1]) },
      { p: new Float32Array(3) },
      { q: new Float32Array(2) },
      { initPlan: new Float32Array(8) },
      { out: { plan: new Float64Array(9) } },
    ];
    for (const options of bad) {
      const message = (run: () => unknown): string => {
        try {
          run();
        } catch (error) {
          return String(error);
        }
        return 'none';
      };
      const single = message(() => entropicGW(C, D, options as never));
      const onProgress = () => undefined;
      expect(single).toContain('entropicGW');
      expect(message(() => entropicGW(C, D, { ...options, onProgress } as never))).toBe(single);
      await expect(later.entropicGW(C, D, { ...options, onProgress } as never)).rejects.toThrow(
        single.replace(/^\w+: /, ''),
      );
    }
    await expect(later.entropicGW(C, D, { onProgress: 1 as never })).rejects.toThrow(TypeError);
  });
  test('NaN ends it', () => {
    const C = matrix(Float32Array, [4, 4], 9);
    C.data[5] = NaN;
    const result = entropicGW(C, matrix(Float32Array, [4, 4], 10));
    expect(result.iterations).toBe(1);
    expect(result.converged).toBe(false);
    expect(result.plan.every(Number.isNaN)).toBe(true);
  });
});

test('gradients of entropicGW are those of its objective at convergence', () => {
  const [C, D] = [matrix(Float64Array, [4, 4], 11), matrix(Float64Array, [5, 5], 12)];
  for (const loss of ['square', 'kl'] as const) {
    if (loss === 'kl') for (let i = 0; i < D.data.length; i++) D.data[i] += 0.5;
    const options = {
      loss,
      epsilon: 1,
      outerIterations: 2000,
      innerIterations: 2000,
      tol: 1e-14,
      innerTol: 1e-14,
    };
    const { gradC, gradD, converged } = entropicGW(C, D, { ...options, grad: true });
    expect(converged).toBe(true);
    for (const [at, grad] of [
      [C.data, gradC],
      [D.data, gradD],
    ] as const)
      for (let i = 0; i < at.length; i++) {
        const x = at[i];
        at[i] = x + 1e-5;
        const high = entropicGW(C, D, options).objective;
        at[i] = x - 1e-5;
        const low = entropicGW(C, D, options).objective;
        at[i] = x;
        expect(Math.abs(grad[i] - (high - low) / 2e-5)).toBeLessThan(1e-7);
      }
  }
});

test('a constant far above the differences costs no digits', () => {
  const [C, D, plan] = [
    matrix(Float64Array, [4, 4], 13),
    matrix(Float64Array, [3, 3], 14),
    matrix(Float64Array, [4, 3], 15),
  ];
  const plain = gwObjective(C, D, plan, { grad: true });
  for (const x of [C.data, D.data]) for (let i = 0; i < x.length; i++) x[i] += 2 ** 26;
  const moved = gwObjective(C, D, plan, { grad: true });
  expect(Math.abs(moved.value / plain.value - 1)).toBeLessThan(1e-9);
  moved.gradC.forEach((g, i) => {
    expect(Math.abs(g - plain.gradC[i])).toBeLessThan(1e-6);
  });
});

test('the bounds of gwSortApprox hold the distance of order 1', () => {
  for (let seed = 0; seed < 60; seed++) {
    const n = 2 + (seed % 5);
    const [C, D] = [
      matrix(Float64Array, [n, n], 100 + seed),
      matrix(Float64Array, [n, n], 200 + seed),
    ];
    const { lower, upper, value } = gwSortApprox(C, D);
    const best = gwBruteForce(C, D).value;
    expect(lower).toBeLessThanOrEqual(best + 1e-12);
    expect(upper).toBeGreaterThanOrEqual(best - 1e-12);
    expect(value).toBeCloseTo(n * lower, 12);
  }
});

describe('gldLoss', () => {
  const logits = (shape: readonly number[], seed: number) => {
    const result = matrix(Float32Array, shape, seed);
    for (let i = 0; i < result.data.length; i++) result.data[i] = 6 * result.data[i] - 6;
    return result;
  };
  for (const transform of ['none', 'softmax', 'standardize'] as const)
    for (const nodes of ['rank', 'vocab'] as const) {
      const options = { topK: 6, transform, nodes, grad: true, teacherGrad: true } as const;
      test(`${nodes}, ${transform}: equal inputs give exactly 0`, () => {
        const x = logits([2, 9, 40], 1);
        const same = { data: x.data.slice(), shape: x.shape };
        const { loss, gradStudent, gradTeacher } = gldLoss(x, same, options);
        expect(loss).toBe(0);
        expect(gradStudent.every((g) => g === 0) && gradTeacher.every((g) => g === 0)).toBe(true);
      });
      test(`${nodes}, ${transform}: it is gwSortApprox of the graphs`, () => {
        const [s, t] = [logits([7, 40], 2), logits([5, 33], 3)];
        const graphs = [s, t].map((x) => {
          const wide = { data: Float64Array.from(x.data), shape: x.shape };
          const { graph } = coactivationGraph(wide, options);
          const n = Math.sqrt(graph.length);
          return { data: graph, shape: [n, n] };
        });
        const { value } = gwSortApprox(graphs[0], graphs[1]);
        const { loss } = gldLoss(s, t, options);
        expect(Math.abs(loss / value - 1)).toBeLessThan(1e-6);
      });
      test(`${nodes}, ${transform}: features are row means of the graph`, () => {
        const x = { data: Float64Array.from(logits([2, 7, 20], 4).data), shape: [2, 7, 20] };
        const { graph } = coactivationGraph(x, options);
        const { features } = coactivationFeatures(x, options);
        const n = Math.sqrt(graph.length / 2);
        features.forEach((f, i) => {
          const mean = graph.subarray(i * n, (i + 1) * n).reduce((a, b) => a + b, 0) / n;
          expect(f).toBeCloseTo(mean, 9);
        });
      });
      test(`${nodes}, ${transform}: what is masked is not read`, () => {
        const [s, t] = [logits([2, 4, 12], 5), logits([2, 3, 9], 6)];
        const masks = {
          studentMask: new Uint8Array([1, 0, 1, 1, 0, 0, 0, 0]),
          teacherMask: new Uint8Array([1, 1, 0, 1, 1, 1]),
        };
        const clean = gldLoss(s, t, { ...options, ...masks });
        for (let j = 12; j < 24; j++) s.data[j] = NaN;
        for (let j = 48; j < 96; j++) s.data[j] = -Infinity;
        for (let j = 18; j < 27; j++) t.data[j] = NaN;
        expect(gldLoss(s, t, { ...options, ...masks })).toEqual(clean);
        expect(clean.gradStudent.subarray(48).every((g) => g === 0)).toBe(true);
        const none = gldLoss(s, t, { ...options, studentMask: new Int32Array(8) });
        expect(none.loss).toBeNaN();
        expect(none.gradStudent.every((g) => g === 0)).toBe(true);
      });
    }
  test('NaN makes its own sequence NaN', () => {
    const [s, t] = [logits([3, 4, 12], 7), logits([3, 5, 9], 8)];
    const options = { reduction: 'none', topK: 3, grad: true } as const;
    const clean = gldLoss(s, t, options);
    s.data[48] = NaN;
    t.data.fill(-Infinity, 90, 99);
    const { loss } = gldLoss(s, t, options);
    expect(loss[0]).toBe(clean.loss[0]);
    expect(loss[1]).toBeNaN();
    expect(loss[2]).toBeNaN();
  });
  test('logits near 1e4 keep the difference of the features', () => {
    const [s, t] = [logits([6, 50], 9), logits([6, 50], 10)];
    for (const x of [s.data, t.data])
      for (let i = 0; i < x.length; i++) x[i] = Math.fround(x[i] + 1e4);
    const wide = (x: { data: Float32Array; shape: readonly number[] }) => ({
      data: Float64Array.from(x.data),
      shape: x.shape,
    });
    const [a, b] = [gldLoss(s, t).loss, gldLoss(wide(s), wide(t)).loss];
    expect(a).toBe(b);
  });
});
