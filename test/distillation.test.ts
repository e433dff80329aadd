// Distillation on standardised logits and with two heads, against the formulas in plain JavaScript and against each other.
import {
  batchCorrelation,
  binaryKlDiv,
  binaryKlNorm,
  classCorrelation,
  crossEntropy,
  curriculumTemperature,
  decoupledKd,
  dhkdLoss,
  gradAlign,
  headForces,
  klDiv,
  multiLevelKd,
  neuralCollapse,
  simplexEtf,
  standardizedKlDiv,
  standardizeLogits,
  standardizeLogitsBackward,
} from 'logitcore';
import { describe, expect, test } from 'vitest';
import { near } from './support/compare.js';
import { Random } from './support/random.js';

type Real = Float32Array | Float64Array;
const none = { reduction: 'none', grad: true } as const;
const tensor = <A extends Real>(data: A, c: number) => ({ data, shape: [data.length / c, c] });
const sum = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => a + b, 0);
const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  sum(Array.from(a, (x, i) => x * b[i]));

function close(got: ArrayLike<number>, expected: ArrayLike<number>, rtol: number, atol: number) {
  expect(got.length).toBe(expected.length);
  for (let i = 0; i < got.length; i++)
    if (!near(got[i], expected[i], rtol, atol))
      expect.fail(`[${i}] is ${got[i]}, expected ${expected[i]}`);
}

const normals = (random: Random, n: number, spread: number): Float64Array =>
  Float64Array.from({ length: n }, () => Math.fround(spread * random.normal()));

interface Standard {
  standardize: boolean;
  temperature: number;
  ddof: 0 | 1;
  eps: number;
}

/** Of one row: scaled logits, their unit, mean and deviation. */
function scaled(z: Float64Array, { standardize, temperature, ddof, eps }: Standard) {
  const alive = z.filter((x) => x !== -Infinity);
  const mean = standardize ? alive[0] + sum(alive.map((x) => x - alive[0])) / alive.length : 0;
  const squares = sum(alive.map((x) => (x - mean) ** 2));
  const sd = alive.length > ddof ? Math.sqrt(squares / (alive.length - ddof)) : 0;
  const unit = standardize ? (sd + eps) * temperature : temperature;
  return { x: z.map((v) => (v - mean) / unit), unit, mean, sd, count: alive.length };
}

/** Softmax and its logarithm over the classes that `keep` keeps. */
function softmaxOf(x: Float64Array, keep: (j: number) => boolean) {
  const top = x.reduce((most, v, j) => (keep(j) && v > most ? v : most), -Infinity);
  const total = x.reduce((s, v, j) => (keep(j) ? s + Math.exp(v - top) : s), 0);
  const log = x.map((v, j) => (keep(j) ? v - top - Math.log(total) : -Infinity));
  return { log, p: log.map((v) => Math.exp(v)) };
}

const divergence = (q: ReturnType<typeof softmaxOf>, p: ReturnType<typeof softmaxOf>): number =>
  q.p.reduce((s, v, j) => (v > 0 ? s + v * (q.log[j] - p.log[j]) : s), 0);

/** Through the z-score: `g` is the slope by the scaled logits. */
function throughScore(z: Float64Array, g: Float64Array, s: ReturnType<typeof scaled>, o: Standard) {
  if (!o.standardize) return g.map((v) => v / s.unit);
  const alive = (j: number) => z[j] !== -Infinity;
  const mean = g.reduce((t, v, j) => (alive(j) ? t + v : t), 0) / s.count;
  const along = g.reduce((t, v, j) => (alive(j) ? t + v * s.x[j] * o.temperature : t), 0);
  return g.map((v, j) => {
    if (!alive(j)) return 0;
    const u = s.sd === 0 ? 0 : (((z[j] - s.mean) / s.sd) * along) / (s.count - o.ddof);
    return (v - mean - u) / s.unit;
  });
}

function referenceKl(z: Float64Array, t: Float64Array, o: Standard) {
  const [s, teacher] = [scaled(z, o), scaled(t, o)];
  const all = () => true;
  const [p, q] = [softmaxOf(s.x, all), softmaxOf(teacher.x, all)];
  const square = o.temperature ** 2;
  const g = p.p.map((v, j) => square * (v - q.p[j]));
  return { loss: square * divergence(q, p), grad: throughScore(z, g, s, o) };
}

function referenceDkd(
  z: Float64Array,
  t: Float64Array,
  y: number,
  o: Standard,
  alpha: number,
  beta: number,
) {
  const [s, teacher] = [scaled(z, o), scaled(t, o)];
  const others = (j: number) => j !== y;
  const [p, q] = [softmaxOf(s.x, others), softmaxOf(teacher.x, others)];
  const restOf = (x: Float64Array) => {
    const top = x.reduce((most, v, j) => (j !== y && v > most ? v : most), -Infinity);
    return top + Math.log(x.reduce((a, v, j) => (j === y ? a : a + Math.exp(v - top)), 0));
  };
  const [a, b] = [s.x[y] - restOf(s.x), teacher.x[y] - restOf(teacher.x)];
  const softplus = (v: number) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
  const sigmoid = (v: number) => Math.exp(-softplus(-v));
  const square = o.temperature ** 2;
  const tckd =
    square *
    (sigmoid(b) * (softplus(-a) - softplus(-b)) + sigmoid(-b) * (softplus(a) - softplus(b)));
  const nckd = square * divergence(q, p);
  const g = z.map((_, j) =>
    j === y
      ? square * alpha * (sigmoid(a) - sigmoid(b))
      : square * (alpha * (sigmoid(b) - sigmoid(a)) * p.p[j] + beta * (p.p[j] - q.p[j])),
  );
  return { tckd, nckd, loss: alpha * tckd + beta * nckd, grad: throughScore(z, g, s, o) };
}

const settings: Standard[] = [
  { standardize: true, temperature: 2, ddof: 1, eps: 1e-7 },
  { standardize: true, temperature: 0.7, ddof: 0, eps: 1e-3 },
  { standardize: false, temperature: 4, ddof: 1, eps: 1e-7 },
];
const widths = [1, 2, 3, 7, 16, 17, 33, 100, 511, 1024, 1025, 4096, 4100, 9000];

describe('pairs of rows against the formulas', () => {
  for (const o of settings)
    for (const masked of [false, true])
      test(`standardizedKlDiv, ${JSON.stringify(o)}${masked ? ', masked' : ''}`, () => {
        for (const c of widths) {
          const random = new Random(c);
          const [z, t] = [normals(random, 3 * c, 3), normals(random, 3 * c, 4)];
          if (masked)
            for (let i = 0; i < z.length; i++)
              if (i % c > 0 && random.uniform() < 0.3) {
                t[i] = -Infinity;
                // A class that only the teacher masks has a term of 0.
                if (random.uniform() < 0.5) z[i] = -Infinity;
              }
          const { loss, gradStudent } = standardizedKlDiv(tensor(z, c), tensor(t, c), {
            ...o,
            ...none,
          });
          const narrow = standardizedKlDiv(
            tensor(Float32Array.from(z), c),
            tensor(Float32Array.from(t), c),
            { ...o, ...none },
          );
          for (let i = 0; i < 3; i++) {
            const [from, to] = [i * c, (i + 1) * c];
            const expected = referenceKl(z.slice(from, to), t.slice(from, to), o);
            close([loss[i]], [expected.loss], 1e-10, 1e-12);
            close(gradStudent.slice(from, to), expected.grad, 1e-8, 1e-10);
            close([narrow.loss[i]], [expected.loss], 2e-5, 2e-6);
            const scale = expected.grad.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
            // Two numbers have no z-score but their order: a gradient of eps is left.
            const rounding = scaled(z.slice(from, to), o);
            close(
              narrow.gradStudent.slice(from, to),
              expected.grad,
              2e-5,
              4e-6 * scale + (c < 3 ? (1e-6 * o.temperature) / (rounding.sd + o.eps) : 1e-7),
            );
          }
        }
      });
  for (const o of settings)
    test(`decoupledKd, ${JSON.stringify(o)}`, () => {
      for (const c of widths.filter((width) => width > 2)) {
        const random = new Random(c + 1);
        const [z, t] = [normals(random, 3 * c, 3), normals(random, 3 * c, 4)];
        const targets = Int32Array.of(0, c - 1, c >> 1);
        // One target far ahead, one far behind.
        t[0] = 60;
        z[2 * c - 1] = -50;
        if (c > 5) z[4] = t[4] = -Infinity;
        const options = { ...o, ...none, alpha: 0.5, beta: 3 };
        const result = decoupledKd(tensor(z, c), tensor(t, c), targets, options);
        const narrow = decoupledKd(
          tensor(Float32Array.from(z), c),
          tensor(Float32Array.from(t), c),
          targets,
          options,
        );
        for (let i = 0; i < 3; i++) {
          const [from, to] = [i * c, (i + 1) * c];
          const expected = referenceDkd(
            z.slice(from, to),
            t.slice(from, to),
            targets[i],
            o,
            0.5,
            3,
          );
          const scale = expected.grad.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
          close([result.tckd[i]], [expected.tckd], 1e-10, 1e-11);
          close([result.nckd[i]], [expected.nckd], 1e-10, 1e-11);
          close([result.loss[i]], [expected.loss], 1e-10, 1e-11);
          close(result.gradStudent.slice(from, to), expected.grad, 1e-8, 1e-10 * (1 + scale));
          close([narrow.loss[i]], [expected.loss], 2e-5, 2e-6);
          close(narrow.gradStudent.slice(from, to), expected.grad, 2e-5, 4e-6 * scale + 1e-7);
        }
      }
    });
});

describe('standardised logits', () => {
  test('keep their digits beside an offset, and constant rows have exactly no deviation', () => {
    const random = new Random(5);
    const data = Float32Array.from({ length: 1000 }, () => 8192 + random.normal());
    const { out, std, mean } = standardizeLogits(tensor(data, 1000), { ddof: 0 });
    const wide = standardizeLogits(tensor(Float64Array.from(data), 1000), { ddof: 0 });
    close(out, wide.out, 1e-5, 1e-6);
    close([std[0], mean[0]], [wide.std[0], wide.mean[0]], 1e-6, 0);
    expect(sum(wide.out)).toBeCloseTo(0, 9);
    expect(dot(wide.out, wide.out) / 1000).toBeCloseTo(1, 6);
    const flat = standardizeLogits(tensor(new Float32Array(1000).fill(0.1), 1000));
    expect(flat.std[0]).toBe(0);
    expect(flat.out.every((x) => x === 0)).toBe(true);
    const kd = standardizedKlDiv(
      tensor(new Float32Array(5000).fill(0.1), 5000),
      tensor(new Float32Array(5000).fill(-7.3), 5000),
      { grad: true },
    );
    expect(kd.loss).toBe(0);
    expect(kd.gradStudent.every((x) => x === 0)).toBe(true);
  });
  test('an outlier of 1e4 among equal numbers', () => {
    const data = new Float32Array(32_000).fill(0.1);
    data[77] = 1e4;
    const narrow = standardizeLogits(tensor(data, 32_000));
    const wide = standardizeLogits(tensor(Float64Array.from(data), 32_000));
    close(narrow.out, wide.out, 1e-6, 1e-7);
  });
  test('a student that is an affine map of its teacher has no loss and no gradient', () => {
    const random = new Random(6);
    const teacher = normals(random, 2 * 50, 3);
    const student = teacher.map((x) => 0.2 * x + 11);
    const { loss, gradStudent } = standardizedKlDiv(tensor(student, 50), tensor(teacher, 50), {
      grad: true,
    });
    expect(Math.abs(loss)).toBeLessThan(1e-12);
    close(gradStudent, new Float64Array(100), 0, 1e-6);
  });
  test('the gradient sums to 0 and is orthogonal to the deviations', () => {
    const random = new Random(7);
    const [z, t] = [normals(random, 300, 3), normals(random, 300, 3)];
    const { gradStudent } = standardizedKlDiv(tensor(z, 300), tensor(t, 300), { grad: true });
    const mean = sum(z) / 300;
    expect(Math.abs(sum(gradStudent))).toBeLessThan(1e-12);
    expect(
      Math.abs(
        dot(
          gradStudent,
          z.map((x) => x - mean),
        ),
      ),
    ).toBeLessThan(1e-6);
  });
  test('standardizedKlDiv is standardizeLogits, klDiv and standardizeLogitsBackward', () => {
    const random = new Random(8);
    const [z, t] = [normals(random, 200, 3), normals(random, 200, 3)];
    const [a, b] = [standardizeLogits(tensor(z, 100)), standardizeLogits(tensor(t, 100))];
    const plain = klDiv(tensor(a.out, 100), tensor(b.out, 100), { temperature: 2, grad: true });
    const fused = standardizedKlDiv(tensor(z, 100), tensor(t, 100), { grad: true });
    expect(fused.loss).toBeCloseTo(plain.loss, 12);
    const { gradLogits } = standardizeLogitsBackward(
      tensor(z, 100),
      tensor(plain.gradStudent, 100),
    );
    close(fused.gradStudent, gradLogits, 1e-9, 1e-12);
  });
  test('the derivative by the temperature is that of the loss', () => {
    const random = new Random(9);
    const [z, t] = [normals(random, 400, 3), normals(random, 400, 3)];
    t[5] = z[5] = t[9] = -Infinity;
    for (const standardize of [true, false])
      for (const reduction of ['mean', 'sum', 'none'] as const) {
        const at = (temperature: number): number => {
          const { loss } = standardizedKlDiv(tensor(z, 100), tensor(t, 100), {
            temperature,
            standardize,
            reduction,
          });
          return typeof loss === 'number' ? loss : sum(loss);
        };
        const { gradTemperature } = standardizedKlDiv(tensor(z, 100), tensor(t, 100), {
          temperature: 3,
          standardize,
          reduction,
          gradTemperature: true,
        });
        close([gradTemperature], [(at(3 + 1e-5) - at(3 - 1e-5)) / 2e-5], 1e-6, 1e-9);
      }
  });
  test('a confident pair keeps the difference of its probabilities', () => {
    const z = Float32Array.of(20, 0, 0.5, -1);
    const t = Float32Array.of(21, 0.2, 0, -1.5);
    const o = { standardize: false, temperature: 1, grad: true } as const;
    const narrow = standardizedKlDiv(tensor(z, 4), tensor(t, 4), o);
    const wide = standardizedKlDiv(
      tensor(Float64Array.from(z), 4),
      tensor(Float64Array.from(t), 4),
      o,
    );
    close(narrow.gradStudent, wide.gradStudent, 1e-5, 0);
  });
});

describe('decoupledKd', () => {
  test('is the whole divergence: KD = TCKD + (1 - q_y) NCKD', () => {
    const random = new Random(10);
    const [z, t] = [normals(random, 60, 2), normals(random, 60, 2)];
    const targets = Int32Array.of(3, 11, 0);
    for (const standardize of [false, true]) {
      const options = { temperature: 4, standardize, reduction: 'none' } as const;
      const { tckd, nckd } = decoupledKd(tensor(z, 20), tensor(t, 20), targets, options);
      const { loss } = standardizedKlDiv(tensor(z, 20), tensor(t, 20), options);
      for (let i = 0; i < 3; i++) {
        const q = softmaxOf(
          scaled(t.slice(20 * i, 20 * i + 20), { ...options, ddof: 1, eps: 1e-7 }).x,
          () => true,
        );
        expect(tckd[i] + (1 - q.p[targets[i]]) * nckd[i]).toBeCloseTo(loss[i], 10);
      }
    }
  });
  test('keeps what is left of targets that lead by 1e4', () => {
    const z = Float32Array.of(1e4, 1, 2, 0.5);
    const t = Float32Array.of(1e4, 2, 1, 0.25);
    const { loss, tckd, nckd, gradStudent } = decoupledKd(
      tensor(z, 4),
      tensor(t, 4),
      Int32Array.of(0),
      { grad: true },
    );
    const rest = klDiv(tensor(z.slice(1), 3), tensor(t.slice(1), 3), { temperature: 4 });
    expect(tckd).toBe(0);
    close([nckd, loss], [rest.loss, 8 * rest.loss], 1e-5, 0);
    expect(gradStudent[0]).toBe(0);
    expect(gradStudent[1]).not.toBe(0);
  });
});

describe('multiLevelKd', () => {
  test('is the sum of its levels', () => {
    const random = new Random(11);
    for (const [n, c] of [
      [6, 5],
      [3, 40],
      [1, 7],
    ]) {
      const [z, t] = [tensor(normals(random, n * c, 2), c), tensor(normals(random, n * c, 2), c)];
      for (const maskMode of ['none', 'fraction'] as const) {
        const temperatures = [4, 1.5];
        const all = multiLevelKd(z, t, {
          temperatures,
          maskMode,
          weight: 3,
          standardize: true,
          grad: true,
        });
        const grad = new Float64Array(n * c);
        let [instance, batch, byClass] = [0, 0, 0];
        for (const temperature of temperatures) {
          const kd = standardizedKlDiv(z, t, { temperature, grad: true });
          const rows = batchCorrelation(z, t, { temperature, grad: true });
          const classes = classCorrelation(z, t, { temperature, grad: true });
          instance += kd.loss;
          batch += rows.loss;
          byClass += classes.loss;
          for (let i = 0; i < grad.length; i++)
            grad[i] +=
              3 *
              (all.sampleFraction * (kd.gradStudent[i] + rows.gradStudent[i]) +
                all.classFraction * classes.gradStudent[i]);
        }
        close([all.instance, all.batch, all.class], [instance, batch, byClass], 1e-12, 1e-15);
        const loss = 3 * (all.sampleFraction * (instance + batch) + all.classFraction * byClass);
        close([all.loss], [loss], 1e-12, 0);
        close(all.gradStudent, grad, 1e-10, 1e-14);
        if (maskMode === 'none') expect([all.sampleFraction, all.classFraction]).toEqual([1, 1]);
        else expect(all.sampleFraction).toBe(n === 1 ? 1 : Math.ceil(n / 2) / n);
      }
    }
  });
  test('takes temperatures as any list, and refuses none', () => {
    const x = tensor(Float32Array.of(1, 2, 3, 4), 2);
    const y = tensor(Float32Array.of(1, 0, 3, 1), 2);
    const { loss } = multiLevelKd(x, y, { temperatures: [2, 3] });
    expect(multiLevelKd(x, y, { temperatures: Float32Array.of(2, 3) }).loss).toBe(loss);
    expect(() => multiLevelKd(x, y, { temperatures: [] })).toThrow(
      /^multiLevelKd: options.temperatures is empty/,
    );
    expect(() => multiLevelKd(x, y, { temperatures: [1, 0] })).toThrow(
      /^multiLevelKd: options.temperatures\[1\] is 0/,
    );
  });
});

describe('curriculumTemperature', () => {
  test('starts at tStart + tEnd sigmoid(param), and does not overflow', () => {
    expect(curriculumTemperature().temperature).toBeCloseTo(15.62117, 5);
    expect(curriculumTemperature({ param: -800 }).temperature).toBe(1);
    expect(curriculumTemperature({ param: 800, gradTemperature: 1, epoch: 99 }).gradParam).toBe(-0);
    expect('gradParam' in curriculumTemperature()).toBe(false);
    expect(() => curriculumTemperature({ loops: 0 })).toThrow(
      /^curriculumTemperature: options.loops is 0/,
    );
    expect(() => curriculumTemperature({ tEnd: NaN })).toThrow(
      /^curriculumTemperature: options.tEnd is NaN/,
    );
  });
});

describe('binary divergences', () => {
  test('keep their digits where logits are close, and stay finite where they are far', () => {
    for (const step of [2 ** -24, 2 ** -8, 0.3, 5, 3000])
      for (const at of [-30, -2, 0, 1.5, 30]) {
        const [z, t] = [Float32Array.of(Math.fround(at + step)), Float32Array.of(at)];
        const wide = [tensor(Float64Array.from(z), 1), tensor(Float64Array.from(t), 1)] as const;
        for (const loss of [binaryKlDiv, binaryKlNorm]) {
          const narrow = loss(tensor(z, 1), tensor(t, 1), { grad: true });
          const exact = loss(...wide, { grad: true });
          expect(Number.isFinite(narrow.loss)).toBe(true);
          close([narrow.loss, narrow.gradStudent[0]], [exact.loss, exact.gradStudent[0]], 5e-6, 0);
        }
      }
  });
  test('a double difference of 2^-30 is the square of the derivative', () => {
    const d = 2 ** -30;
    const { loss, gradStudent } = binaryKlDiv(
      tensor(Float64Array.of(1 + d), 1),
      tensor(Float64Array.of(1), 1),
      {
        temperature: 1,
        grad: true,
      },
    );
    const p = 1 / (1 + Math.exp(-1));
    close([loss, gradStudent[0]], [(p * (1 - p) * d * d) / 2, p * (1 - p) * d], 1e-8, 0);
  });
  test('clamped, they agree with clamped probabilities', () => {
    const z = Float64Array.of(-8, -1, 0.5, 9, 3);
    const t = Float64Array.of(7, 1, -0.5, 8.5, -9);
    const eps = 0.02;
    const clamp = (p: number) => Math.min(Math.max(p, eps), 1 - eps);
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    const plain = z.map((x, k) => {
      const [p, q] = [clamp(sigmoid(x / 2)), clamp(sigmoid(t[k] / 2))];
      return 4 * (q * Math.log(q / p) + (1 - q) * Math.log((1 - q) / (1 - p)));
    });
    const norm = z.map((x, k) => {
      const u = clamp(sigmoid((x - t[k]) / 2));
      return -2 * Math.log(4 * u * (1 - u));
    });
    close([binaryKlDiv(tensor(z, 5), tensor(t, 5), { eps }).loss], [sum(plain)], 1e-12, 0);
    close([binaryKlNorm(tensor(z, 5), tensor(t, 5), { eps }).loss], [sum(norm)], 1e-12, 0);
    const { gradStudent } = binaryKlDiv(tensor(z, 5), tensor(t, 5), { eps, grad: true });
    expect(Array.from(gradStudent, (g) => g === 0)).toEqual([true, false, false, true, false]);
  });
});

describe('two heads', () => {
  test('dhkdLoss is its two losses', () => {
    const random = new Random(12);
    const [a, b, t] = [2, 3, 3].map((spread) => tensor(normals(random, 40, spread), 10));
    const targets = Int32Array.of(1, -100, 9, 4);
    for (const variant of ['norm', 'plain'] as const)
      for (const reduction of ['mean', 'sum'] as const) {
        const two = dhkdLoss(a, b, t, targets, {
          alpha: 0.3,
          gamma: 2,
          temperature: 3,
          variant,
          reduction,
          grad: true,
        });
        const ce = crossEntropy(a, targets, { reduction, grad: true });
        const binary = variant === 'norm' ? binaryKlNorm : binaryKlDiv;
        const kd = binary(b, t, { temperature: 3, labels: targets, reduction, grad: true });
        close(
          [two.ceLoss, two.kdLoss, two.loss],
          [ce.loss, kd.loss, 2 * ce.loss + 0.3 * kd.loss],
          1e-12,
          0,
        );
        close(
          two.gradLogitsCls,
          ce.gradLogits.map((g) => 2 * g),
          1e-12,
          1e-15,
        );
        close(
          two.gradLogitsAux,
          kd.gradStudent.map((g) => 0.3 * g),
          1e-12,
          1e-15,
        );
      }
  });
  test('gradAlign takes away what opposes, in place too', () => {
    const random = new Random(13);
    const main = Float32Array.from({ length: 70_001 }, () => random.normal());
    const aux = main.map((x) => random.normal() - x / 2);
    const { out, aligned, dot: before, projected } = gradAlign(main, aux);
    expect(before).toBeLessThan(0);
    expect(projected).toBe(true);
    expect(Math.abs(dot(aligned, main))).toBeLessThan(1e-2);
    const [m, a] = [main.slice(), aux.slice()];
    const again = gradAlign(m, a, { out: { out: m, aligned: a } });
    expect(again.out).toBe(m);
    expect(m).toEqual(out);
    expect(a).toEqual(aligned);
    expect(gradAlign(new Float32Array(3), Float32Array.of(1, -1, 0))).toMatchObject({
      cosine: 0,
      projected: false,
    });
  });
  test('headForces are minus the gradients of the summed losses through the head', () => {
    const random = new Random(14);
    const [n, c, d] = [5, 4, 3];
    const [features, weight] = [normals(random, n * d, 1), normals(random, c * d, 1)];
    const teacher = tensor(normals(random, n * c, 2), c);
    const targets = Int32Array.of(0, 3, 1, 1, 2);
    const logits = () =>
      tensor(
        Float64Array.from({ length: n * c }, (_, k) => {
          const [i, j] = [Math.floor(k / c), k % c];
          return dot(features.subarray(i * d, i * d + d), weight.subarray(j * d, j * d + d));
        }),
        c,
      );
    for (const variant of ['plain', 'norm'] as const) {
      const binary = variant === 'norm' ? binaryKlNorm : binaryKlDiv;
      const losses = {
        ce: () => crossEntropy(logits(), targets, { reduction: 'sum' }).loss,
        kd: () => binary(logits(), teacher, { reduction: 'sum' }).loss,
      };
      const forces = headForces(
        logits(),
        teacher,
        tensor(features, d),
        tensor(weight, d),
        targets,
        { variant },
      );
      for (const kind of ['ce', 'kd'] as const)
        for (const [name, at] of [
          ['Weight', weight],
          ['Feature', features],
        ] as const) {
          const [pull, push] = [forces[`${kind}Pull${name}`], forces[`${kind}Push${name}`]];
          for (let i = 0; i < at.length; i++) {
            const x = at[i];
            at[i] = x + 1e-6;
            const high = losses[kind]();
            at[i] = x - 1e-6;
            const slope = (high - losses[kind]()) / 2e-6;
            at[i] = x;
            expect(-(pull[i] + push[i])).toBeCloseTo(slope, 6);
          }
        }
    }
  });
  test('a collapsed head has every measure 0, more dimensions than classes or fewer', () => {
    for (const [classes, dim] of [
      [4, 9],
      [4, 4],
    ]) {
      const { out } = simplexEtf({ numClasses: classes, dim, scale: 3 });
      const targets = Int32Array.from({ length: 3 * classes }, (_, i) => i % classes);
      const features = Float32Array.from({ length: targets.length * dim }, (_, k) => {
        return 50 + out[targets[Math.floor(k / dim)] * dim + (k % dim)];
      });
      const result = neuralCollapse(
        tensor(features, dim),
        targets,
        tensor(
          out.map((x) => 2 * x),
          dim,
        ),
      );
      const { classMeans, ...measures } = result;
      expect(classMeans.length).toBe(classes * dim);
      for (const [name, value] of Object.entries(measures))
        expect(Math.abs(value), name).toBeLessThan(2e-5);
    }
  });
  test('nc1 is trace(S_W pinv(S_B)) / C, also with fewer dimensions than classes', () => {
    // Two dimensions, so that the inverse can be written down.
    const random = new Random(15);
    const [n, classes] = [30, 5];
    const targets = Int32Array.from({ length: n }, (_, i) => i % classes);
    const features = normals(random, 2 * n, 1);
    const mean = new Float64Array(2 * classes);
    for (let i = 0; i < n; i++)
      for (let t = 0; t < 2; t++) mean[2 * targets[i] + t] += (features[2 * i + t] * classes) / n;
    const centre = [0, 1].map((t) => sum(mean.filter((_, k) => k % 2 === t)) / classes);
    const between = [0, 0, 0, 0];
    const within = [0, 0, 0, 0];
    for (let s = 0; s < 2; s++)
      for (let t = 0; t < 2; t++) {
        for (let k = 0; k < classes; k++)
          between[2 * s + t] +=
            ((mean[2 * k + s] - centre[s]) * (mean[2 * k + t] - centre[t])) / classes;
        for (let i = 0; i < n; i++)
          within[2 * s + t] +=
            ((features[2 * i + s] - mean[2 * targets[i] + s]) *
              (features[2 * i + t] - mean[2 * targets[i] + t])) /
            n;
      }
    const [a, b, , d] = between;
    const trace = (within[0] * d - 2 * within[1] * b + within[3] * a) / (a * d - b * b);
    const result = neuralCollapse(tensor(features, 2), targets);
    close([result.nc1], [trace / classes], 1e-10, 0);
    close(result.classMeans, mean, 1e-12, 1e-14);
  });
  test('neuralCollapse says which class has no row, and how many classes there are', () => {
    const features = tensor(Float32Array.of(1, 2, 3, 4, 5, 6), 2);
    expect(() => neuralCollapse(features, Int32Array.of(0, 2, 2))).toThrow(
      /^neuralCollapse: targets has no sample of class 1/,
    );
    expect(() => neuralCollapse(features, Int32Array.of(0, 1, 1), { numClasses: 3 })).toThrow(
      /class 2/,
    );
    expect(() => neuralCollapse(features, Int32Array.of(0, 0, 0))).toThrow(RangeError);
    expect(() => neuralCollapse(features, Int32Array.of(0, 1, 1), { numClasses: 9 })).toThrow(
      /9 classes/,
    );
    expect(() =>
      neuralCollapse(features, Int32Array.of(0, 1, 1), tensor(new Float32Array(4), 2), {
        numClasses: 3,
      }),
    ).toThrow(/options.numClasses is 3, expected 2 as in weight/);
  });
});
