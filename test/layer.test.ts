// Steps of the factored output layer against those of the dense layer that it stands for.
import {
  SphericalOutputLayer,
  type SphericalLoss,
  type SphericalOutputLayerOptions,
} from 'logitcore';
import { describe, expect, test } from 'vitest';
import { DenseLayer, distance, tensor, typed, values } from './support/layer.js';
import { Random } from './support/random.js';

const losses = ['z', 'mse', 'taylor', 'spherical'] as const satisfies SphericalLoss[];
const rates: Record<SphericalLoss, number> = { z: 0.5, mse: 0.05, taylor: 0.5, spherical: 0.5 };

// With a small epsilon the dense layer itself is chaotic at such a rate: for 1e-3, W moved by 1e-13 is off by 0.5 after 200 steps; for
// 0.1, W moved by 1e-7 after 60 000.
const smooth = (loss: SphericalLoss, epsilon = 0.1): SphericalOutputLayerOptions =>
  loss === 'spherical' ? { loss, epsilon } : { loss };

interface Run {
  readonly D: number;
  readonly d: number;
  readonly n: number;
  readonly steps: number;
  readonly rate: number;
  readonly double: boolean;
  readonly options: SphericalOutputLayerOptions;
}

/** Both layers through the same minibatches; targets repeat, and a tenth is ignored. */
function run({ D, d, n, steps, rate, double, options }: Run) {
  const random = new Random(D + 100 * d + 7 * n);
  const W = values(random, D * d, 1 / Math.sqrt(d));
  const dense = new DenseLayer(W, d, options);
  const layer = SphericalOutputLayer.create(tensor(typed(W, double), d), {
    ...options,
    copy: true,
  });
  let loss = 0;
  let gradient = 0;
  for (let step = 0; step < steps; step++) {
    const hidden = values(random, n * d, 1 / Math.sqrt(d));
    const targets = Int32Array.from({ length: n }, () =>
      random.uniform() < 0.1
        ? (options.ignoreIndex ?? -100)
        : random.integer(0, Math.min(D, 9) - 1),
    );
    const expected = dense.step(hidden, targets, rate);
    const got = layer.step(tensor(typed(hidden, double), d), targets, rate);
    loss = Math.max(loss, distance([got.loss], [expected.loss]));
    gradient = Math.max(gradient, distance(got.gradHidden, expected.gradHidden));
  }
  return { layer, dense, loss, gradient, weight: distance(layer.weight(), dense.W) };
}

/** How far Q, wbar and U U^-1 are from W^T W, W^T 1 and the identity. */
function drift(layer: SphericalOutputLayer) {
  const { classes: D, dimensions: d, state } = layer;
  const W = layer.weight();
  const Q = new Float64Array(d * d);
  const wbar = new Float64Array(d);
  const product = new Float64Array(d * d);
  const identity = Float64Array.from({ length: d * d }, (_, at) => (at % (d + 1) ? 0 : 1));
  for (let i = 0; i < d; i++)
    for (let j = 0; j < d; j++) {
      for (let k = 0; k < D; k++) Q[i * d + j] += W[k * d + i] * W[k * d + j];
      for (let k = 0; k < d; k++)
        product[i * d + j] += state.U[i * d + k] * state.inverseU[k * d + j];
    }
  for (let k = 0; k < D * d; k++) wbar[k % d] += W[k];
  return {
    Q: distance(state.Q, Q),
    wbar: distance(state.wbar, wbar),
    inverse: distance(product, identity),
  };
}

describe('steps are those of the dense layer', () => {
  for (const loss of losses)
    for (const n of [1, 3, 32])
      for (const [what, extra] of [
        ['plain', {}],
        ['sum, weight decay', { reduction: 'sum', weightDecay: 0.02 }],
        [
          'ignoreIndex 0, stabilised every 7',
          { ignoreIndex: 0, stabilizePeriod: 7, singularRange: [0.97, 1.03] },
        ],
      ] as [string, SphericalOutputLayerOptions][])
        test(`${loss}, ${n} rows, ${what}`, () => {
          const rate = rates[loss] / (extra.reduction === 'sum' ? Math.max(1, n / 3) : 1);
          const options = { ...smooth(loss), ...extra };
          const apart = run({ D: 40, d: 12, n, steps: 60, rate, double: true, options });
          expect(apart.loss).toBeLessThan(1e-12);
          expect(apart.gradient).toBeLessThan(1e-12);
          expect(apart.weight).toBeLessThan(1e-12);
          const { Q, wbar, inverse } = drift(apart.layer);
          expect(Math.max(Q, wbar)).toBeLessThan(1e-12);
          expect(inverse).toBeLessThan(1e-12);
        });
  for (const loss of losses)
    test(`${loss}, float32, 1000 steps`, () => {
      const options = { ...smooth(loss), stabilizePeriod: 50 };
      const apart = run({
        D: 60,
        d: 16,
        n: 8,
        steps: 1000,
        rate: rates[loss] / 4,
        double: false,
        options,
      });
      expect(apart.weight).toBeLessThan(1e-4);
      expect(apart.loss).toBeLessThan(1e-4);
    });
  test('more classes than a piece of V, more dimensions than a tile', () => {
    const options = { loss: 'z', stabilizePeriod: 3, singularRange: [0.999, 1.001] } as const;
    const apart = run({ D: 2500, d: 37, n: 50, steps: 7, rate: 5, double: true, options });
    expect(apart.weight).toBeLessThan(1e-12);
    expect(drift(apart.layer).Q).toBeLessThan(1e-12);
  });
  test('gradients by the hidden rows are derivatives of the loss', () => {
    for (const loss of losses) {
      const random = new Random(3);
      const layer = SphericalOutputLayer.create(tensor(values(random, 20 * 4, 0.5), 4), { loss });
      const hidden = values(random, 12, 1);
      const targets = Int32Array.of(3, -100, 19);
      const { gradHidden } = layer.forward(tensor(hidden, 4), targets);
      const numeric = hidden.map((x, i) => {
        const at = (step: number) => {
          const moved = hidden.slice();
          moved[i] = x + step;
          return layer.forward(tensor(moved, 4), targets).loss;
        };
        return (at(1e-6) - at(-1e-6)) / 2e-6;
      });
      expect(distance(gradHidden, numeric)).toBeLessThan(1e-8);
    }
  });
});

describe('a long run', () => {
  // LOGITCORE_LAYER_STEPS=200000 is the run of days that the defaults stand for.
  const steps = Number(process.env.LOGITCORE_LAYER_STEPS ?? 4000);
  for (const loss of losses)
    test(`${loss}, ${steps} steps in float32`, () => {
      const options = { ...smooth(loss, 1), weightDecay: 1e-3 };
      const { layer, weight } = run({
        D: 50,
        d: 8,
        n: 4,
        steps,
        rate: rates[loss] / 2,
        double: false,
        options,
      });
      expect(weight).toBeLessThan(1e-3);
      const { Q, wbar, inverse } = drift(layer);
      expect(Math.max(Q, wbar)).toBeLessThan(1e-3);
      expect(inverse).toBeLessThan(1e-9);
      expect(layer.condition()).toBeLessThan(1e3);
    });
});

describe('a singular factor', () => {
  // With one row, the factor of U along h is 1 - 2 rate |h|^2 under 'mse'.
  const hidden = Float64Array.of(1, 1, 0, 0);
  for (const [what, factor] of [
    ['exactly', 0],
    ['nearly', 1e-13],
    ['somewhat', 1e-4],
    ['negative', -1e-5],
  ] as const)
    for (const double of [true, false])
      test(`${what}, ${double ? 'float64' : 'float32'}: W is written out, and steps go on`, () => {
        const random = new Random(5);
        const W = values(random, 40, 0.5);
        const layer = SphericalOutputLayer.create(tensor(typed(W, double), 4), {
          loss: 'mse',
          copy: true,
        });
        const dense = new DenseLayer(W, 4, { loss: 'mse' });
        for (let step = 0; step < 5; step++) {
          const h = step === 2 ? hidden : values(random, 4, 0.4);
          const rate = step === 2 ? (1 - factor) / 4 : 0.1;
          const target = Int32Array.of(step);
          dense.step(h, target, rate);
          layer.step(tensor(typed(h, double), 4), target, rate);
          expect(distance(layer.weight(), dense.W)).toBeLessThan(double ? 1e-13 : 1e-6);
          if (step === 2) expect(layer.condition()).toBeCloseTo(1, 3);
        }
        const { Q, wbar, inverse } = drift(layer);
        expect(Math.max(Q, wbar)).toBeLessThan(double ? 1e-13 : 1e-6);
        // A float32 layer has U^-1 to float32.
        expect(inverse).toBeLessThan(double ? 1e-13 : 1e-7);
      });
  test('of more rows than dimensions', () => {
    // 2 rate H^T H is 1 in its first place.
    const hidden = new Float64Array(24);
    [0, 0, 1, 2, 3, 3].forEach((axis, i) => {
      hidden[4 * i + axis] = axis === 3 ? 0.5 : 1;
    });
    const targets = Int32Array.of(1, 8, 1, 0, 3, 3);
    const W = values(new Random(5), 40, 0.5);
    const layer = SphericalOutputLayer.create(tensor(W.slice(), 4), {
      loss: 'mse',
      reduction: 'sum',
    });
    const dense = new DenseLayer(W, 4, { loss: 'mse', reduction: 'sum' });
    for (const rate of [0.1, 0.25, 0.1]) {
      dense.step(hidden, targets, rate);
      layer.step(tensor(hidden, 4), targets, rate);
      expect(distance(layer.weight(), dense.W)).toBeLessThan(1e-13);
      if (rate === 0.25) expect(layer.condition()).toBeCloseTo(1, 3);
    }
    expect(drift(layer).Q).toBeLessThan(1e-13);
  });
});

describe('ignored rows', () => {
  test('alone change nothing but for the decay', () => {
    const layer = SphericalOutputLayer.random({ classes: 9, dimensions: 3, weightDecay: 0.5 });
    const W = layer.weight();
    const nothing = tensor(new Float32Array(6).fill(NaN), 3);
    const { loss, gradHidden } = layer.step(nothing, Int32Array.of(-100, -100), 0.1);
    expect(loss).toBe(0);
    expect([...gradHidden]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(
      distance(
        layer.weight(),
        W.map((x) => 0.95 * x),
      ),
    ).toBeLessThan(1e-7);
  });
});
