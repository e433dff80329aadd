// Distillation on standardised logits and with two heads, against the formulas in plain JavaScript and against each other.
import {
  batchCorrelation,
  classCorrelation,
  curriculumTemperature,
  decoupledKd,
  klDiv,
  multiLevelKd,
  standardizedKlDiv,
  standardizeLogits,
  standardizeLogitsBackward,
} from 'logitcore';
import { describe, expect, test } from 'vitest';
import { close } from './support/compare.js';
import { Random } from './support/random.js';
import { dot, normals, sum, tensor } from './support/vectors.js';

const none = { reduction: 'none', grad: true } as const;

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
  test('logits of any size that the type holds', () => {
    const random = new Random(16);
    const c = 50;
    const [z, t] = [normals(random, c, 1), normals(random, c, 1)];
    const upstream = Float32Array.from(normals(random, c, 1));
    const options = { eps: 0, grad: true } as const;
    const base = standardizedKlDiv(tensor(z, c), tensor(t, c), options);
    const scores = standardizeLogits(tensor(z, c), options);
    for (const power of [-100, -70, 70, 110, 126]) {
      const by = (x: Float64Array) =>
        tensor(
          Float32Array.from(x, (v) => v * 2 ** power),
          c,
        );
      const kd = standardizedKlDiv(by(z), by(t), options);
      close([kd.loss], [base.loss], 1e-5, 1e-7);
      const back = (g: Float32Array) => Float64Array.from(g, (v) => v * 2 ** power);
      // Gradients below the normal numbers have fewer digits.
      if (power < 120) close(back(kd.gradStudent), base.gradStudent, 1e-5, 1e-6);
      expect(kd.gradStudent.every(Number.isFinite)).toBe(true);
      const scaledRow = standardizeLogits(by(z), options);
      close(scaledRow.out, scores.out, 1e-5, 1e-6);
      close([scaledRow.std[0] / 2 ** power], [scores.std[0]], 1e-6, 0);
      const { gradLogits } = standardizeLogitsBackward(by(z), tensor(upstream, c), options);
      const plain = standardizeLogitsBackward(
        tensor(z, c),
        tensor(Float64Array.from(upstream), c),
        options,
      );
      if (power < 120) close(back(gradLogits), plain.gradLogits, 1e-5, 1e-6);
    }
    const ends = Float32Array.of(3e38, -3e38, 1e38, 0);
    const wide = tensor(Float64Array.from(ends), 4);
    close(standardizeLogits(tensor(ends, 4)).out, standardizeLogits(wide).out, 1e-6, 1e-6);
    const order = Float64Array.of(1, 3, 2, 0);
    close(
      [standardizedKlDiv(tensor(ends, 4), tensor(Float32Array.from(order), 4)).loss],
      [standardizedKlDiv(wide, tensor(order, 4)).loss],
      1e-5,
      0,
    );
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
