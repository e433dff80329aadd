// What a spherical output layer gives beside its steps, and what it refuses.
import {
  getNumThreads,
  setNumThreads,
  SphericalOutputLayer,
  topK,
  type SphericalLoss,
} from 'logitcore';
import { afterEach, describe, expect, test } from 'vitest';
import { copyOf, DenseLayer, distance, tensor, typed, values } from './support/layer.js';
import { Random } from './support/random.js';

describe('scores', () => {
  const random = new Random(2);
  const layer = SphericalOutputLayer.create(
    tensor(Float32Array.from(values(random, 5000 * 9, 1)), 9),
  );
  const hidden = tensor(Float32Array.from(values(random, 27, 1)), 9);
  for (let step = 0; step < 3; step++) layer.step(hidden, Int32Array.of(7, 7, 4999), 0.5);
  const W = layer.weight();
  test('rows, logits and scores are those of W', () => {
    for (const i of [0, 7, 1500, 4999])
      expect(distance(layer.row(i), W.subarray(9 * i, 9 * i + 9))).toBeLessThan(1e-7);
    const logits = new DenseLayer(W, 9).logits(hidden.data);
    const all = layer.logits(hidden);
    expect(distance(all, logits)).toBeLessThan(1e-6);
    const ids = Int32Array.of(4999, 0, 7, 7);
    const some = layer.scores(hidden, ids);
    for (let i = 0; i < 3; i++)
      ids.forEach((id, j) => {
        expect(some[4 * i + j]).toBe(all[5000 * i + id]);
      });
    expect(layer.scores(hidden, new Int32Array(0))).toHaveLength(0);
  });
  test('the largest over all classes are those of all logits', () => {
    const all = tensor(layer.logits(hidden), 5000);
    for (const k of [1, 5, 40, 1023, 1024, 1025, 3000, 5000]) {
      const expected = topK(all, { k });
      const got = layer.topK(hidden, k);
      expect(got.indices).toEqual(expected.indices);
      expect(got.values).toEqual(expected.values);
    }
  });
  test('equal values go by class, NaN rows as topK has them', () => {
    const rows = Float64Array.from({ length: 3000 * 2 }, (_, at) => Math.floor(at / 2) % 3);
    rows[2 * 2047] = NaN;
    const ties = SphericalOutputLayer.create(tensor(rows, 2));
    const h = tensor(Float64Array.of(1, 1, -1, 0, NaN, 0), 2);
    const all = tensor(ties.logits(h), 3000);
    for (const k of [1, 7, 999, 1500, 3000]) {
      expect(ties.topK(h, k)).toEqual(topK(all, { k }));
    }
  });
  test('more hidden rows than are taken at once', () => {
    const many = tensor(Float32Array.from(values(new Random(8), 300 * 9, 1)), 9);
    const all = tensor(layer.logits(many), 5000);
    expect(layer.topK(many, 6)).toEqual(topK(all, { k: 6 }));
  });
});

describe('the condition number', () => {
  test('is that of the singular values, and a stabilisation brings it down', () => {
    const random = new Random(7);
    const layer = SphericalOutputLayer.create(tensor(values(random, 60, 1), 6), {
      loss: 'mse',
      stabilizePeriod: 0,
    });
    // One row: U is 1 but for 1 - 2 rate |h|^2 along h.
    const h = Float64Array.of(1, 0, 2, 0, 0, 2);
    layer.step(tensor(h, 6), Int32Array.of(3), (1 - 1 / 50) / 18);
    expect(Math.abs(layer.condition() / 50 - 1)).toBeLessThan(1e-3);
    const W = layer.weight();
    expect(layer.stabilize()).toBe(1);
    expect(Math.abs(layer.condition() - 1)).toBeLessThan(1e-3);
    expect(distance(layer.weight(), W)).toBeLessThan(1e-14);
    expect(layer.stabilize()).toBe(0);
  });
});

describe('random weights', () => {
  test('have the spread that was asked for, and come from the seed', () => {
    const options = { classes: 400, dimensions: 50, seed: 3, stabilizePeriod: 0 } as const;
    const { V } = SphericalOutputLayer.random(options).state;
    const spread = Math.sqrt(V.reduce((sum, x) => sum + x * x, 0) / V.length);
    expect(Math.abs(spread * Math.sqrt(50) - 1)).toBeLessThan(0.02);
    expect(Math.abs(V.reduce((sum, x) => sum + x, 0) / V.length)).toBeLessThan(0.005);
    expect(SphericalOutputLayer.random(options).state.V).toEqual(V);
    expect(SphericalOutputLayer.random({ ...options, seed: 4 }).state.V).not.toEqual(V);
    const double = SphericalOutputLayer.random({
      ...options,
      dtype: 'float64',
      standardDeviation: 2,
    });
    expect(double.state.V).toBeInstanceOf(Float64Array);
    expect(
      distance(
        double.state.V,
        V.map((x) => x * 2 * Math.sqrt(50)),
      ),
    ).toBeLessThan(1e-5);
  });
});

describe('whose array V is', () => {
  test("the caller's, or with copy one of its own", () => {
    const W = tensor(Float32Array.from(values(new Random(1), 20, 1)), 4);
    const kept = W.data.slice();
    expect(SphericalOutputLayer.create(W).state.V).toBe(W.data);
    expect(W.data).toEqual(kept);
    const own = SphericalOutputLayer.create(W, { copy: true });
    own.step(tensor(Float32Array.of(1, 2, 3, 4), 4), Int32Array.of(0), 0.1);
    expect(W.data).toEqual(kept);
    const out = new Float32Array(20);
    expect(own.weight(out)).toBe(out);
    expect(() => own.weight(own.state.V)).toThrow(
      /^SphericalOutputLayer\.weight: out is the layer's own V/,
    );
  });
});

describe('the same bits', () => {
  const threads = getNumThreads();
  afterEach(() => {
    setNumThreads(threads);
  });
  const train = async (later: boolean): Promise<number[][]> => {
    const random = new Random(6);
    const layer = SphericalOutputLayer.random({
      classes: 3000,
      dimensions: 70,
      stabilizePeriod: 4,
      singularRange: [0.99, 1.01],
    });
    const seen: number[][] = [];
    for (let step = 0; step < 9; step++) {
      const hidden = tensor(Float32Array.from(values(random, 33 * 70, 1)), 70);
      const targets = Int32Array.from({ length: 33 }, () => random.integer(0, 2999));
      const { loss, gradHidden } = later
        ? await layer.stepAsync(hidden, targets, 2)
        : layer.step(hidden, targets, 2);
      seen.push([loss], Array.from(gradHidden));
    }
    const h = tensor(Float32Array.from(values(random, 3 * 70, 1)), 70);
    const { values: best, indices } = layer.topK(h, 20);
    return [...seen, ...copyOf(layer.state), Array.from(best), Array.from(indices)];
  };
  test('for any number of threads, at once and in the background', async () => {
    setNumThreads(1);
    const expected = await train(false);
    for (const count of [1, 2, 3, 7]) {
      setNumThreads(count);
      expect(await train(count === 3)).toEqual(expected);
    }
  });
});

describe('a step that diverges', () => {
  const make = (loss: SphericalLoss, double = false) =>
    SphericalOutputLayer.create(tensor(typed(values(new Random(9), 60, 0.5), double), 6), { loss });
  const batch = (double = false) =>
    [tensor(typed(values(new Random(4), 18, 1), double), 6), Int32Array.of(1, 9, 1)] as const;
  for (const double of [false, true])
    test(`says step and learning rate and changes nothing, ${double ? 'float64' : 'float32'}`, () => {
      const layer = make('mse', double);
      const [hidden, targets] = batch(double);
      layer.step(hidden, targets, 0.01);
      const before = copyOf(layer.state);
      expect(() => layer.step(hidden, targets, 1e200)).toThrow(RangeError);
      expect(() => layer.step(hidden, targets, 1e200)).toThrow(
        /^SphericalOutputLayer\.step: step 2 diverges at learning rate 1e\+200: .*nothing was updated$/,
      );
      expect(copyOf(layer.state)).toEqual(before);
      expect(layer.steps).toBe(1);
      layer.step(hidden, targets, 0.01);
      expect(layer.steps).toBe(2);
    });
  test('is seen before numbers are lost, step by step', () => {
    for (const double of [false, true]) {
      const layer = make('mse', double);
      const [hidden, targets] = batch(double);
      let thrown: unknown;
      for (let step = 0; step < 2000 && thrown === undefined; step++)
        try {
          expect(Number.isFinite(layer.step(hidden, targets, 3).loss)).toBe(true);
        } catch (error) {
          thrown = error;
        }
      expect(String(thrown)).toMatch(
        /RangeError: SphericalOutputLayer\.step: step \d+ diverges at learning rate 3/,
      );
      expect(copyOf(layer.state).flat().every(Number.isFinite)).toBe(true);
      expect([...layer.weight()].every(Number.isFinite)).toBe(true);
    }
  });
  test('and one whose hidden rows are no numbers', () => {
    const layer = make('z');
    const [hidden, targets] = batch();
    hidden.data[7] = NaN;
    const before = copyOf(layer.state);
    expect(() => layer.step(hidden, targets, 0.1)).toThrow(/step 1 diverges .* the loss is NaN/);
    expect(copyOf(layer.state)).toEqual(before);
    expect(layer.forward(hidden, targets).loss).toBeNaN();
  });
  test('in stepAsync too', async () => {
    const layer = make('mse');
    const before = copyOf(layer.state);
    await expect(layer.stepAsync(...batch(), 1e200)).rejects.toThrow(
      /^SphericalOutputLayer\.stepAsync: step 1 diverges/,
    );
    expect(copyOf(layer.state)).toEqual(before);
    await layer.stepAsync(...batch(), 0.01);
  });
});

describe('what is refused', () => {
  const W = () => tensor(new Float32Array(20).fill(0.5), 4);
  const layer = SphericalOutputLayer.create(W());
  const hidden = tensor(new Float32Array(8).fill(1), 4);
  const targets = Int32Array.of(0, 1);
  const wrong = (value: unknown) => value as never;
  const cases: [string, () => unknown, typeof TypeError, RegExp][] = [
    [
      'no W',
      () => SphericalOutputLayer.create(wrong(undefined)),
      TypeError,
      /SphericalOutputLayer\.create: W/,
    ],
    [
      'W of integers',
      () => SphericalOutputLayer.create(wrong({ data: new Int32Array(4), shape: [2, 2] })),
      TypeError,
      /create: W must be a Float32Array or Float64Array, got Int32Array/,
    ],
    [
      'W of one dimension',
      () => SphericalOutputLayer.create({ data: new Float32Array(4), shape: [4] }),
      RangeError,
      /create: W must have 2 dimensions/,
    ],
    [
      'no classes',
      () => SphericalOutputLayer.create({ data: new Float32Array(0), shape: [0, 4] }),
      RangeError,
      /create: W has no/,
    ],
    [
      'an unknown loss',
      () => SphericalOutputLayer.create(W(), { loss: wrong('hinge') }),
      RangeError,
      /options\.loss is 'hinge', expected one of 'z', 'mse'/,
    ],
    [
      'a sharpness of 0',
      () => SphericalOutputLayer.create(W(), { a: 0 }),
      RangeError,
      /options\.a is 0, expected a finite number > 0/,
    ],
    [
      'epsilon 0 of spherical',
      () => SphericalOutputLayer.create(W(), { loss: 'spherical', epsilon: 0 }),
      RangeError,
      /options\.epsilon is 0/,
    ],
    [
      'reduction none',
      () => SphericalOutputLayer.create(W(), { reduction: wrong('none') }),
      RangeError,
      /options\.reduction/,
    ],
    [
      'a negative decay',
      () => SphericalOutputLayer.create(W(), { weightDecay: -1 }),
      RangeError,
      /options\.weightDecay is -1/,
    ],
    [
      'a period of half a step',
      () => SphericalOutputLayer.create(W(), { stabilizePeriod: 0.5 }),
      RangeError,
      /options\.stabilizePeriod is 0.5, expected an integer >= 0/,
    ],
    [
      'a range of one number',
      () => SphericalOutputLayer.create(W(), { singularRange: wrong([1]) }),
      TypeError,
      /options\.singularRange must be two numbers/,
    ],
    [
      'a range without 1',
      () => SphericalOutputLayer.create(W(), { singularRange: [2, 3] }),
      RangeError,
      /options\.singularRange\[0\] is 2/,
    ],
    [
      'options that are a string',
      () => SphericalOutputLayer.create(W(), wrong('z')),
      TypeError,
      /options must be an object/,
    ],
    [
      'no classes of random',
      () => SphericalOutputLayer.random({ classes: 0, dimensions: 4 }),
      RangeError,
      /SphericalOutputLayer\.random: options\.classes is 0, expected a positive integer/,
    ],
    [
      'a word for a seed',
      () => SphericalOutputLayer.random({ classes: 2, dimensions: 4, seed: wrong('1') }),
      TypeError,
      /random: options\.seed must be a number/,
    ],
    [
      'another dtype',
      () =>
        SphericalOutputLayer.random({
          classes: 2,
          dimensions: 4,
          dtype: wrong('float16'),
        }),
      RangeError,
      /random: options\.dtype is 'float16'/,
    ],
    [
      'hidden of another type',
      () => layer.step(wrong(tensor(new Float64Array(8), 4)), targets, 0.1),
      TypeError,
      /SphericalOutputLayer\.step: hidden must be a Float32Array like V, got Float64Array/,
    ],
    [
      'hidden of another width',
      () => layer.step(tensor(new Float32Array(6), 3), targets, 0.1),
      RangeError,
      /step: hidden has size d 3, expected 4/,
    ],
    [
      'too few targets',
      () => layer.step(hidden, Int32Array.of(1), 0.1),
      RangeError,
      /step: targets has size n 1, expected 2/,
    ],
    [
      'a target out of range',
      () => layer.step(hidden, Int32Array.of(1, 5), 0.1),
      RangeError,
      /step: targets\[1\] is 5, expected 0\.\.4 or ignoreIndex \(-100\)/,
    ],
    [
      'no learning rate',
      () => layer.step(hidden, targets, wrong(undefined)),
      TypeError,
      /step: learningRate is missing/,
    ],
    [
      'a negative learning rate',
      () => layer.step(hidden, targets, -1),
      RangeError,
      /step: learningRate is -1, expected a finite number >= 0/,
    ],
    [
      'a decay that leaves nothing',
      () => SphericalOutputLayer.create(W(), { weightDecay: 1 }).step(hidden, targets, 1),
      RangeError,
      /learningRate \* options\.weightDecay is 1, expected less than 1/,
    ],
    [
      'a row beyond the last',
      () => layer.row(5),
      RangeError,
      /row: i is 5, expected an integer in \[0, 4\]/,
    ],
    [
      'a class beyond the last',
      () => layer.scores(hidden, Int32Array.of(5)),
      RangeError,
      /scores: classes\[0\] is 5, expected 0\.\.4/,
    ],
    [
      'more than all classes',
      () => layer.topK(hidden, 6),
      RangeError,
      /topK: options\.k is 6, expected an integer in \[1, 5\]/,
    ],
    [
      'too short an array for W',
      () => layer.weight(new Float32Array(3)),
      RangeError,
      /weight: options\.out\.weight has 3 values, expected 20/,
    ],
  ];
  for (const [what, make, type, message] of cases)
    test(what, () => {
      expect(make).toThrow(type);
      expect(make).toThrow(message);
    });
  test('any use after dispose', async () => {
    const gone = SphericalOutputLayer.create(W());
    gone.dispose();
    gone.dispose();
    const message = /^SphericalOutputLayer\.\w+: the layer was disposed of$/;
    for (const use of [
      () => gone.step(hidden, targets, 0.1),
      () => gone.forward(hidden, targets),
      () => gone.scores(hidden, targets),
      () => gone.logits(hidden),
      () => gone.topK(hidden, 1),
      () => gone.row(0),
      () => gone.weight(),
      () => gone.condition(),
      () => gone.stabilize(),
      () => gone.state,
    ])
      expect(use).toThrow(message);
    await expect(gone.stepAsync(hidden, targets, 0.1)).rejects.toThrow(message);
    await expect(gone.save('nowhere')).rejects.toThrow(message);
  });
  test('any use while a step is pending', async () => {
    const busy = SphericalOutputLayer.create(W());
    const pending = busy.stepAsync(hidden, targets, 0.1);
    const message = /stepAsync is pending/;
    expect(() => busy.step(hidden, targets, 0.1)).toThrow(message);
    expect(() => busy.forward(hidden, targets)).toThrow(message);
    expect(() => busy.row(0)).toThrow(message);
    expect(() => {
      busy.dispose();
    }).toThrow(message);
    await expect(busy.stepAsync(hidden, targets, 0.1)).rejects.toThrow(message);
    await pending;
    busy.step(hidden, targets, 0.1);
    expect(busy.steps).toBe(2);
  });
});
