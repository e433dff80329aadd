// Updates that wait beside the factors of a layer: the state is that of the arrays and the memory together.
import {
  sphericalLayerStep,
  SphericalOutputLayer,
  type SphericalLayerState,
  type SphericalLayerStepOptions,
} from 'logitcore';
import { describe, expect, test } from 'vitest';
import { runScript } from './support/child.js';
import { copyOf, DenseLayer, distance, tensor, typed, values } from './support/layer.js';
import { levels } from './support/levels.js';
import { Random } from './support/random.js';

type Real = Float32Array | Float64Array;

const identity = (d: number) =>
  Float64Array.from({ length: d * d }, (_, at) => (at % (d + 1) ? 0 : 1));

/** Of random weights. */
function stateOf(classes: number, d: number, double: boolean): SphericalLayerState<Real> {
  const W = typed(values(new Random(classes + d), classes * d, 0.5), double);
  const { state } = SphericalOutputLayer.create<Real>(tensor(W, d));
  return { ...state, U: identity(d), inverseU: identity(d), omega: new Float64Array(d) };
}
const clone = (state: SphericalLayerState<Real>): SphericalLayerState<Real> =>
  structuredClone(state);

/** Numbers for `rows` rows to wait in. */
const memoryFor = (d: number, rows: number, double: boolean) =>
  new Float64Array(
    double ? 8 + d + rows * (4 * d + 3) : Math.ceil(8 + d + rows * (2 * d + 3) + 1.5 * d * d),
  );

function step(
  state: SphericalLayerState<Real>,
  hidden: Real,
  targets: Int32Array,
  options: SphericalLayerStepOptions<Real>,
) {
  const d = state.omega.length;
  const square = (data: Float64Array) => ({ data, shape: [d, d] });
  const { V, U, inverseU, omega, Q, wbar } = state;
  const { delayed } = options;
  const out = delayed ? { ...state, delayed } : state;
  return sphericalLayerStep<Real>(
    tensor(V, d),
    square(U),
    square(inverseU),
    omega,
    square(Q),
    wbar,
    tensor(hidden, d),
    targets,
    { ...options, out },
  );
}

/** How far the arrays are from W^T W, W^T 1 and an inverse, and W from `dense`. */
function apart(state: SphericalLayerState<Real>, dense: DenseLayer) {
  const { U, inverseU, omega, V } = state;
  const d = omega.length;
  const { W, D } = dense;
  const Q = new Float64Array(d * d);
  const product = new Float64Array(d * d);
  const weight = Float64Array.from(W, (_, at) => omega[at % d]);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < d; j++)
      for (let k = 0; k < Math.max(D, d); k++) {
        if (k < D) Q[i * d + j] += W[k * d + i] * W[k * d + j];
        if (k < d) product[i * d + j] += U[i * d + k] * inverseU[k * d + j];
        if (k < D) weight[k * d + j] += V[k * d + i] * U[i * d + j];
      }
  return {
    Q: distance(state.Q, Q),
    inverse: distance(product, identity(d)),
    W: distance(weight, W),
  };
}

describe('waiting rows', () => {
  for (const double of [false, true])
    for (const d of [5, 19])
      for (const room of [1, 7, 40])
        test(`${room} at most, ${d} dimensions, ${double ? 'float64' : 'float32'}`, () => {
          const random = new Random(room + d);
          const D = 23;
          const state = stateOf(D, d, double);
          const options = { loss: 'mse', weightDecay: 0.05, reduction: 'sum' } as const;
          const dense = new DenseLayer(state.V, d, options);
          const delayed = memoryFor(d, room, double);
          const most = double ? 1e-12 : 2e-5;
          let waited = 0;
          // More rows than may wait, more than dimensions, none at all; classes repeat within a batch and among those that wait.
          for (const n of [1, 3, 1, 0, 1, 30, 2, 8, 1, 1, 12, 3]) {
            const hidden = typed(values(random, n * d, 0.5 / Math.sqrt(d * (n || 1))), double);
            const targets = Int32Array.from({ length: n }, (_, i) =>
              i % 5 === 4 ? -100 : random.integer(0, 4),
            );
            const before = state.U.slice();
            const expected = dense.step(hidden, targets, 0.2);
            const got = step(state, hidden, targets, { ...options, learningRate: 0.2, delayed });
            expect(distance([got.loss], [expected.loss])).toBeLessThan(most);
            expect(distance(got.gradHidden, expected.gradHidden)).toBeLessThan(most);
            waited += distance(before, state.U) === 0 ? 1 : 0;
          }
          expect(waited).toBeGreaterThan(0);
          step(state, typed(new Float64Array(0), double), new Int32Array(0), {
            delayed,
            flush: true,
          });
          const { Q, inverse, W } = apart(state, dense);
          expect(Math.max(Q, inverse, W)).toBeLessThan(most);
        });
  test('a flush lets in what a step brought', () => {
    const state = stateOf(9, 4, true);
    const [plain, waiting] = [clone(state), clone(state)];
    const delayed = memoryFor(4, 3, true);
    const hidden = values(new Random(1), 8, 1);
    const targets = Int32Array.of(3, 3);
    step(plain, hidden, targets, { learningRate: 0.1 });
    step(waiting, hidden, targets, { learningRate: 0.1, delayed, flush: true });
    copyOf(waiting).forEach((array, i) => {
      expect(distance(array, copyOf(plain)[i])).toBeLessThan(1e-14);
    });
  });
});

describe('memory that holds anything', () => {
  const d = 4;
  const targets = Int32Array.of(2, 0);
  for (const double of [false, true]) {
    const hidden = typed(values(new Random(3), 2 * d, 1), double);
    const options = { learningRate: 0.1, loss: 'taylor' } as const;
    const once = (delayed: Float64Array) => {
      const state = stateOf(6, d, double);
      const { loss } = step(state, hidden, targets, { ...options, delayed, flush: true });
      return [[loss], ...copyOf(state)];
    };
    const mark = (() => {
      const delayed = memoryFor(d, 5, double);
      step(stateOf(6, d, double), hidden, targets, { ...options, delayed });
      return delayed[0];
    })();
    test(`is taken for empty without a mark, ${double ? 'float64' : 'float32'}`, () => {
      const expected = once(memoryFor(d, 5, double));
      const random = new Random(4);
      expect(once(memoryFor(d, 5, double).map(() => random.normal()))).toEqual(expected);
      const unmarked = memoryFor(d, 5, double).map(() => random.normal());
      unmarked.set([mark + 1, 3, 1]);
      expect(once(unmarked)).toEqual(expected);
      for (const count of [-1, 6, 0.5, NaN, 1e300]) {
        const forged = memoryFor(d, 5, double).fill(1);
        forged[0] = mark;
        forged[1] = count;
        expect(once(forged)).toEqual(expected);
      }
    });
    test(`and does no harm with one, ${double ? 'float64' : 'float32'}`, () => {
      for (const value of [1e300, -1, 1e9, NaN, 6]) {
        const forged = memoryFor(d, 5, double).fill(value);
        forged.set([mark, 5, 1]);
        const state = stateOf(6, d, double);
        try {
          step(state, hidden, targets, { ...options, delayed: forged, flush: true });
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
        expect(forged[0]).toBe(mark);
      }
    });
    test(`too short for a row is as none, ${double ? 'float64' : 'float32'}`, () => {
      const [with0, without] = [stateOf(6, d, double), stateOf(6, d, double)];
      for (let i = 0; i < 3; i++) {
        step(with0, hidden, targets, { ...options, delayed: new Float64Array(11) });
        step(without, hidden, targets, options);
      }
      expect(copyOf(with0)).toEqual(copyOf(without));
    });
  }
});

describe('a layer whose updates wait', () => {
  const d = 7;
  const make = (double: boolean, stabilizePeriod = 100) => {
    const W = typed(values(new Random(2), 30 * d, 0.5), double);
    return {
      layer: SphericalOutputLayer.create<Real>(tensor(W, d), {
        loss: 'mse',
        copy: true,
        stabilizePeriod,
      }),
      dense: new DenseLayer(W, d, { loss: 'mse' }),
    };
  };
  for (const double of [false, true])
    test(`shows all of them to whoever looks, ${double ? 'float64' : 'float32'}`, () => {
      const most = double ? 1e-12 : 1e-5;
      const random = new Random(8);
      const looks: ((layer: SphericalOutputLayer<Real>, dense: DenseLayer) => number)[] = [
        (layer, dense) => distance(layer.weight(), dense.W),
        (layer, dense) => distance(layer.row(3), dense.W.subarray(3 * d, 4 * d)),
        (layer, dense) => {
          const h = values(random, d, 1);
          return distance(layer.logits(tensor(typed(h, double), d)), dense.logits(h));
        },
        (layer, dense) => {
          const h = values(random, d, 1);
          const best = layer.topK(tensor(typed(h, double), d), 2).values;
          return distance(best, dense.logits(h).sort().reverse().subarray(0, 2));
        },
        ({ state }, dense) => {
          const { Q, inverse, W } = apart(state, dense);
          return Math.max(Q, inverse, W);
        },
        (layer, dense) => {
          layer.stabilize();
          return distance(layer.weight(), dense.W);
        },
        (layer) => (layer.condition() >= 0.999 ? 0 : 1),
      ];
      for (const look of looks) {
        const { layer, dense } = make(double);
        for (let i = 0; i < 9; i++) {
          const h = values(random, d, 0.4);
          const targets = Int32Array.of(i % 2 ? 3 : random.integer(0, 29));
          dense.step(h, targets, 0.2);
          layer.step(tensor(typed(h, double), d), targets, 0.2);
          if (i % 4 === 3) expect(look(layer, dense)).toBeLessThan(most);
        }
        expect(distance(layer.weight(), dense.W)).toBeLessThan(most);
      }
    });
  test('loses none where a step diverges or U is singular', () => {
    const { layer, dense } = make(true);
    const random = new Random(5);
    const unit = Float64Array.from({ length: d }, (_, j) => (j === 2 ? 1 : 0));
    for (let i = 0; i < 12; i++) {
      const h = i === 6 ? unit : values(random, d, 0.4);
      const rate = i === 6 ? 0.5 : 0.1;
      if (i === 4)
        expect(() => layer.step(tensor(h, d), Int32Array.of(1), 1e250)).toThrow(
          /step 5 diverges .*; nothing was updated/,
        );
      dense.step(h, Int32Array.of(i), rate);
      layer.step(tensor(h, d), Int32Array.of(i), rate);
    }
    expect(distance(layer.weight(), dense.W)).toBeLessThan(1e-12);
  });
  test('many steps without rows decay the weights', () => {
    const layer = SphericalOutputLayer.create(tensor(values(new Random(1), 12, 1), 3), {
      weightDecay: 1,
      stabilizePeriod: 0,
    });
    const W = layer.weight();
    for (let i = 0; i < 60; i++)
      layer.step(tensor(new Float64Array(3), 3), Int32Array.of(-100), 0.5);
    expect(
      distance(
        layer.weight().map((x) => x * 2 ** 60),
        W,
      ),
    ).toBeLessThan(1e-14);
  });
});

describe('float32 layers', () => {
  test('see the variance of logits far from 0', () => {
    // Logits around 1000 |h| with a spread of about |h|.
    const [D, d] = [200, 8];
    const random = new Random(6);
    const W = Float64Array.from(values(random, D * d, 1), (x) => Math.fround(x + 1000));
    const dense = new DenseLayer(W, d, { loss: 'z' });
    const layer = SphericalOutputLayer.create(tensor(Float32Array.from(W), d), { loss: 'z' });
    for (let i = 0; i < 30; i++) {
      const h = values(random, d, 1).map(Math.abs);
      const targets = Int32Array.of(random.integer(0, D - 1));
      const expected = dense.step(h, targets, 0.5);
      const got = layer.step(tensor(Float32Array.from(h), d), targets, 0.5);
      expect(distance([got.loss], [expected.loss])).toBeLessThan(2e-3);
      expect(distance(got.gradHidden, expected.gradHidden)).toBeLessThan(5e-3);
    }
  });
});

describe('hidden rows that resemble each other', () => {
  // Without a stabilisation before its time, U has a condition number of 1e10 after 100 steps, or of 4e3.
  for (const [loss, rate, noise, often] of [
    ['mse', 0.15, 0.2, true],
    ['taylor', 0.5, 0.02, false],
  ] as const)
    test(`are stabilised in time, ${loss}`, () => {
      const [D, d, n] = [13, 6, 16];
      const random = new Random(11);
      const layer = SphericalOutputLayer.create(
        tensor(Float32Array.from(values(random, D * d, 1 / Math.sqrt(d))), d),
        { loss },
      );
      const dense = new DenseLayer(layer.weight(), d, { loss });
      let shared = values(random, d, 1);
      let worst = 0;
      for (let i = 0; i < 300; i++) {
        if (often) shared = values(random, d, 2);
        const hidden = Float32Array.from({ length: n * d }, (_, at) =>
          Math.tanh(shared[at % d] + noise * random.normal()),
        );
        const targets = Int32Array.from({ length: n }, () => random.integer(0, D - 1));
        dense.step(hidden, targets, rate);
        layer.step(tensor(hidden, d), targets, rate);
        worst = Math.max(worst, layer.condition());
      }
      expect(worst).toBeLessThan(1200);
      expect(distance(layer.weight(), dense.W)).toBeLessThan(1e-3);
    });
});

describe('the same bits', () => {
  test('on every level and for any number of threads', async () => {
    const run = async (level: string, threads: number) => {
      const env = { LOGITCORE_ISA: level, LOGITCORE_NUM_THREADS: String(threads) };
      const { stdout } = await runScript('layer-run.ts', [], { env });
      return stdout;
    };
    const expected = await run(levels[0], 1);
    expect(expected).toMatch(/^[0-9a-f]{64}\n$/);
    expect(await run(levels[0], 3)).toBe(expected);
    for (const level of levels.slice(1)) expect(await run(level, 2)).toBe(expected);
  });
});
