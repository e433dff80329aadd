/** Divergences and AlignDistil against the formulas of their papers, written out; and what masked, ignored and unreadable rows do. */
import { describe, expect, test } from 'vitest';
import * as reference from './reference.js';
import { close } from './support/compare.js';
import { op, type Result } from './support/invoke.js';
import { Random } from './support/random.js';

const inf = Infinity;

const softmax = (row: readonly number[], temperature = 1): number[] =>
  Array.from(reference.softmax(row, row.length, temperature));
const logs = (row: readonly number[], temperature = 1): number[] =>
  Array.from(reference.logSoftmax(row, row.length, temperature));

const array = (result: Result, name: string): Float64Array => result[name] as Float64Array;

/** f_j and g_j = p_j df_j/dp_j of one class. */
type Term = (p: number, q: number) => readonly [f: number, g: number];
const forward: Term = (p, q) => [q === 0 ? 0 : q * Math.log(q / p), -q];
const reverse: Term = (p, q) =>
  p === 0 ? [0, 0] : [p * Math.log(p / q), p * (Math.log(p / q) + 1)];
const skew =
  (alpha: number, reversed: boolean): Term =>
  (p, q) => {
    const m = reversed ? (1 - alpha) * q + alpha * p : alpha * q + (1 - alpha) * p;
    if (!reversed) return q === 0 ? [0, 0] : [q * Math.log(q / m), (-(1 - alpha) * q * p) / m];
    return p === 0 ? [0, 0] : [p * Math.log(p / m), p * (Math.log(p / m) + 1 - (alpha * p) / m)];
  };
const symmetric =
  (lam: number): Term =>
  (p, q) => {
    const [a, b] = [forward(p, q), reverse(p, q)];
    return [(1 - lam) * a[0] + lam * b[0], (1 - lam) * a[1] + lam * b[1]];
  };
const variation: Term = (p, q) => [Math.abs(p - q) / 2, (p * Math.sign(p - q)) / 2];

const divergences: [string, Record<string, unknown>, Term][] = [
  ['symmetricKl', {}, symmetric(0.9)],
  ['symmetricKl', { lam: 0.25 }, symmetric(0.25)],
  ['symmetricKl', { lam: 0 }, forward],
  ['symmetricKl', { lam: 1 }, reverse],
  ['skewKl', {}, skew(0.1, false)],
  ['skewKl', { alpha: 0.7 }, skew(0.7, false)],
  ['skewKl', { alpha: 0 }, forward],
  ['skewKl', { direction: 'reverse' }, skew(0.1, true)],
  ['skewKl', { direction: 'reverse', alpha: 0.7 }, skew(0.7, true)],
  ['skewKl', { direction: 'reverse', alpha: 0 }, reverse],
  ['totalVariation', {}, variation],
];

function pairRow(
  student: readonly number[],
  teacher: readonly number[],
  term: Term,
  t: number,
  maskInf: boolean,
): { loss: number; grad: number[] } {
  const [p, q] = [softmax(student, t), softmax(teacher, t)];
  const dropped = (j: number) => maskInf && (student[j] === -inf || teacher[j] === -inf);
  const parts = p.map((pj, j) => (dropped(j) ? [0, 0] : term(pj, q[j])));
  const total = parts.reduce((a, [, g]) => a + g, 0);
  return {
    loss: parts.reduce((a, [f]) => a + f, 0),
    grad: parts.map(([, g], j) => (p[j] === 0 ? 0 : (g - p[j] * total) / t)),
  };
}

describe('divergences of distillation', () => {
  for (const [name, options, term] of divergences)
    for (const masked of ['none', 'both', 'either'] as const)
      test(`${name} ${JSON.stringify(options)}, masked: ${masked}`, () => {
        const random = new Random(7);
        for (const c of [1, 2, 3, 16, 17, 40])
          for (const temperature of [1, 2.5]) {
            const rows = 5;
            const fill = () => Array.from({ length: rows * c }, () => 3 * random.normal());
            const [s, t] = [fill(), fill()];
            for (let i = 0; i < rows * c; i++)
              if (masked !== 'none' && i % c > 0 && random.uniform() < 0.3) {
                if (masked === 'both' || random.uniform() < 0.5) s[i] = -inf;
                if (masked === 'both' || s[i] !== -inf) t[i] = -inf;
              }
            const tensor = (data: number[]) => ({
              data: Float64Array.from(data),
              shape: [rows, c],
            });
            const result = op(name)(tensor(s), tensor(t), {
              ...options,
              temperature,
              scaleByT2: true,
              maskInf: masked === 'either',
              reduction: 'none',
              grad: true,
            });
            for (let i = 0; i < rows; i++) {
              const slice = (x: number[]) => x.slice(i * c, (i + 1) * c);
              const wanted = pairRow(slice(s), slice(t), term, temperature, masked === 'either');
              const square = temperature ** 2;
              close([array(result, 'loss')[i]], [wanted.loss * square]);
              close(
                array(result, 'gradStudent').subarray(i * c, (i + 1) * c),
                wanted.grad.map((g) => g * square),
              );
            }
          }
      });
  test('a class masked on one side: bounded ones keep a gradient, the others are infinite', () => {
    const student = { data: Float64Array.of(0, -inf, 1), shape: [1, 3] };
    const teacher = { data: Float64Array.of(-inf, 0.5, 1), shape: [1, 3] };
    const at = (name: string, options = {}) =>
      op(name)(student, teacher, { reduction: 'none', grad: true, ...options });
    for (const direction of ['forward', 'reverse']) {
      const wanted = pairRow(
        [0, -inf, 1],
        [-inf, 0.5, 1],
        skew(0.1, direction === 'reverse'),
        1,
        false,
      );
      const result = at('skewKl', { direction });
      close(array(result, 'loss'), [wanted.loss]);
      close(array(result, 'gradStudent'), wanted.grad);
      expect(at('skewKl', { direction, alpha: 0 }).loss).toEqual(Float64Array.of(inf));
    }
    const wanted = pairRow([0, -inf, 1], [-inf, 0.5, 1], variation, 1, false);
    close(array(at('totalVariation'), 'loss'), [wanted.loss]);
    close(array(at('totalVariation'), 'gradStudent'), wanted.grad);
    for (const lam of [0, 0.5, 1])
      expect(at('symmetricKl', { lam }).loss).toEqual(Float64Array.of(inf));
    // A divergence that has no share in it may be infinite.
    const dead = { data: Float64Array.of(-inf, 0.5, 1), shape: [1, 3] };
    const alive = { data: Float64Array.of(0, 0.5, 1), shape: [1, 3] };
    close(
      array(
        op('symmetricKl')(alive, dead, { lam: 0, reduction: 'none', grad: true }),
        'gradStudent',
      ),
      pairRow([0, 0.5, 1], [-inf, 0.5, 1], forward, 1, false).grad,
    );
  });
  test('nearly equal rows keep the digits of their distance in float32', () => {
    const random = new Random(3);
    const tensor = (data: Float32Array) => ({ data, shape: [1, 300] });
    const studentRow = () => Float32Array.from({ length: 300 }, () => 3 * random.normal());
    // Of the distance, here a thousandth, a unit in the last place of a probability is 6e-5; what a row shows is a matter of luck.
    const errors = Array.from({ length: 99 }, () => {
      const student = studentRow();
      const teacher = student.map((x, i) => x + (i % 2 ? 1e-3 : -1e-3) * (1 + (i % 5)));
      const { loss } = op('totalVariation')(tensor(student), tensor(teacher));
      const [p, q] = [softmax([...student]), softmax([...teacher])];
      const wanted = p.reduce((a, pj, j) => a + Math.abs(pj - q[j]) / 2, 0);
      return Math.abs((loss as number) / wanted - 1);
    }).sort((a, b) => a - b);
    expect(errors[49]).toBeLessThan(4e-6);
    expect(errors[98]).toBeLessThan(1e-4);
    const student = studentRow();
    for (const [name] of divergences) {
      const same = op(name)(tensor(student), tensor(student.slice()), { grad: true });
      expect(same.loss).toBe(0);
      expect((same.gradStudent as Float32Array).every((g) => g === 0)).toBe(true);
    }
  });
});

interface Teacher {
  z: number[];
  w: number;
  coef: number;
  tvd: number;
}
const settings = { beta: 0.1, klCoef: 0.04, tvdScale: 10, floor: 1e-3 };
function teacherOf(dpo: number[], ref: number[], mode: string): Teacher {
  const [p, q] = [softmax(dpo), softmax(ref)];
  const tvd = p.reduce((a, pj, j) => a + Math.abs(pj - q[j]), 0);
  if (mode === 'gkd') return { z: dpo, w: 0, coef: 1, tvd };
  const adaptive = mode === 'aligndistil' || mode === 'theorem1Adaptive';
  const w = adaptive ? settings.tvdScale * tvd + settings.floor : settings.beta / settings.klCoef;
  const contrast = mode === 'aligndistil' || mode === 'theorem1Contrast';
  const z = dpo.map((d, j) => (d === -inf ? d : (contrast ? d : ref[j]) + w * (d - ref[j])));
  return { z, w, coef: adaptive ? settings.beta / w : settings.klCoef, tvd };
}

describe('AlignDistil', () => {
  const [b, t, c] = [3, 4, 11];
  const random = new Random(11);
  const make = (spread: number, offset = 0) =>
    Float64Array.from({ length: b * t * c }, () => Math.fround(offset + spread * random.normal()));
  const targets = Int32Array.of(0, 3, -100, 10, -100, -100, -100, -100, 5, -100, 2, 1);
  const tensor = (data: Float64Array | Float32Array) => ({ data, shape: [b, t, c] });
  const rowOf = (x: Float64Array, at: number) => [...x.subarray(at * c, (at + 1) * c)];
  const modes = ['aligndistil', 'theorem1', 'theorem1Contrast', 'theorem1Adaptive', 'gkd'];

  for (const mode of modes)
    for (const lengthNormalize of [true, false])
      for (const masked of [false, true])
        test(`${mode}, mean over positions: ${lengthNormalize}, masked: ${masked}`, () => {
          const [s, d, r] = [make(2), make(1, 4096), make(1)];
          if (masked)
            for (let at = 0; at < b * t; at++) for (const x of [s, d, r]) x[at * c + 4] = -inf;
          const [studentTemperature, temperature] = [1.5, 0.8];
          const options = { ...settings, mode, lengthNormalize, temperature, studentTemperature };
          const result = op('alignDistilLoss')(tensor(s), tensor(d), tensor(r), targets, {
            ...options,
            grad: true,
          });
          const teachers = op('alignDistilTeacher')(tensor(d), tensor(r), { ...settings, mode });
          const counts = [3, 0, 3];
          const wanted = new Float64Array(b * t * c);
          const sequences = [0, 0, 0];
          for (let at = 0; at < b * t; at++) {
            const teacher = teacherOf(rowOf(d, at), rowOf(r, at), mode);
            close(array(teachers, 'out').subarray(at * c, (at + 1) * c), teacher.z);
            close([array(teachers, 'weight')[at]], [teacher.w]);
            close([array(teachers, 'coef')[at]], [teacher.coef]);
            close([array(teachers, 'tvd')[at]], [teacher.tvd]);
            if (targets[at] === -100) continue;
            const lp = logs(rowOf(s, at), studentTemperature);
            const lq = logs(teacher.z, mode === 'gkd' ? 1 : temperature);
            const ratio = lp.map((x, j) => (x === -inf ? 0 : x - lq[j]));
            const kl = lp.reduce((a, x, j) => a + Math.exp(x) * ratio[j], 0);
            const sequence = Math.floor(at / t);
            const share = lengthNormalize ? 1 / counts[sequence] : 1;
            sequences[sequence] += teacher.coef * kl * share;
            lp.forEach((x, j) => {
              wanted[at * c + j] =
                (((teacher.coef * Math.exp(x) * (ratio[j] - kl)) / studentTemperature) * share) / 2;
            });
          }
          close([result.loss as number], [(sequences[0] + sequences[2]) / 2]);
          close(array(result, 'gradStudent'), [...wanted]);
          const none = op('alignDistilLoss')(tensor(s), tensor(d), tensor(r), targets, {
            ...options,
            reduction: 'none',
          });
          close(array(none, 'loss'), sequences);
        });

  test('positions outside the response are not read, and NaN stays in its position', () => {
    const [s, d, r] = [make(2), make(1), make(1)];
    const plain = op('alignDistilLoss')(tensor(s), tensor(d), tensor(r), targets, { grad: true });
    for (const x of [s, d, r]) x.fill(NaN, 2 * c, 3 * c);
    const spoilt = op('alignDistilLoss')(tensor(s), tensor(d), tensor(r), targets, { grad: true });
    expect(spoilt).toEqual(plain);
    for (const x of [s, d, r]) {
      const old = x[c + 2];
      x[c + 2] = NaN;
      const { loss, gradStudent } = op('alignDistilLoss')(
        tensor(s),
        tensor(d),
        tensor(r),
        targets,
        {
          grad: true,
          reduction: 'none',
        },
      );
      expect([...(loss as Float64Array)].map(Number.isNaN)).toEqual([true, false, false]);
      (gradStudent as Float64Array).forEach((g, i) => {
        expect(Number.isNaN(g), `gradient ${i}`).toBe(i >= c && i < 2 * c);
      });
      x[c + 2] = old;
    }
  });
  test('equal models have distance and loss exactly 0 in float32', () => {
    const s = Float32Array.from(make(2));
    for (const mode of modes) {
      const { loss, gradStudent } = op('alignDistilLoss')(
        tensor(s),
        tensor(s.slice()),
        tensor(s.slice()),
        targets,
        { mode, grad: true },
      );
      expect(loss).toBe(0);
      expect((gradStudent as Float32Array).every((g) => g === 0)).toBe(true);
    }
    const { tvd, weight } = op('alignDistilTeacher')(tensor(s), tensor(s.slice()));
    expect((tvd as Float32Array).every((x) => x === 0)).toBe(true);
    expect((weight as Float32Array).every((x) => x === Math.fround(1e-3))).toBe(true);
  });
  test('a token that only the teacher masks costs Infinity, one that the student masks nothing', () => {
    const [s, d, r] = [make(2), make(1), make(1)];
    d[1] = -inf;
    const at = () =>
      op('alignDistilLoss')(tensor(s), tensor(d), tensor(r), targets, { reduction: 'none' });
    expect(array(at(), 'loss')[0]).toBe(inf);
    s[1] = -inf;
    expect(array(at(), 'loss')[0]).toBeGreaterThan(0);
    expect(array(at(), 'loss')[0]).toBeLessThan(inf);
  });
  test('theorem 1: the loss has the gradient of the token-level objective', () => {
    const [s, d, r] = [make(2), make(1), make(1)];
    const { distribution } = op('dpoTokenReward')(tensor(d), tensor(r), targets, {
      distribution: true,
    });
    const grad = true;
    const left = op('alignDistilLoss')(tensor(s), tensor(d), tensor(r), targets, {
      mode: 'theorem1',
      klCoef: 0.05,
      grad,
    });
    const right = op('rlhfTokenLoss')(
      tensor(s),
      tensor(distribution as Float64Array),
      tensor(r),
      targets,
      { klCoef: 0.05, grad },
    );
    close(array(left, 'gradStudent'), [...array(right, 'gradStudent')]);
  });
  test('rewards and statistics of masked tokens', () => {
    const [s, d, r] = [make(2), make(1), make(1)];
    for (let at = 0; at < b * t; at++) for (const x of [s, d, r]) x[at * c + 4] = -inf;
    const { distribution } = op('dpoTokenReward')(tensor(d), tensor(r), targets, {
      distribution: true,
    });
    expect(array({ distribution }, 'distribution')[4]).toBe(0);
    const stats = op('alignDistilStats')(tensor(s), tensor(d), tensor(r), targets);
    const rlhf = op('rlhfTokenLoss')(
      tensor(s),
      tensor(distribution as Float64Array),
      tensor(r),
      targets,
    );
    close([stats.tokenInitKl as number], [rlhf.kl as number]);
    const sums = op('rlhfTokenLoss')(
      tensor(s),
      tensor(distribution as Float64Array),
      tensor(r),
      targets,
      { lengthNormalize: false },
    );
    close(
      [stats.sequenceInitKl as number, stats.expectedReward as number],
      [sums.kl as number, sums.expectedReward as number],
    );
    const gkd = op('alignDistilLoss')(tensor(s), tensor(d), tensor(r), targets, { mode: 'gkd' });
    close([stats.tokenTeacherKl as number], [gkd.loss as number]);
  });
  test('without a counted position everything is 0', () => {
    const x = tensor(make(1));
    const none = new Int32Array(b * t).fill(-100);
    expect(op('alignDistilLoss')(x, x, x, none).loss).toBe(0);
    expect(Object.values(op('alignDistilStats')(x, x, x, none)).every((v) => v === 0)).toBe(true);
    const empty = { data: new Float64Array(0), shape: [2, 0, 5] };
    const result = op('alignDistilLoss')(empty, empty, empty, new Int32Array(0), {
      reduction: 'none',
    });
    expect(result.loss).toEqual(Float64Array.of(0, 0));
  });
  test('refuses what does not fit', () => {
    const x = tensor(make(1));
    const flat = { data: x.data, shape: [b * t, c] };
    const call = (targetsGiven: unknown, options = {}) =>
      op('alignDistilLoss')(x, x, x, targetsGiven, options);
    expect(() => op('alignDistilLoss')(flat, flat, flat, targets)).toThrow(
      /student must have 3 dimensions/,
    );
    expect(() => call(targets.subarray(1))).toThrow(
      /targets has 11 values, expected 12 \(b \* t\)/,
    );
    expect(() => call({ data: targets, shape: [t, b] })).toThrow(RangeError);
    expect(call({ data: targets, shape: [b, t] })).toEqual(call(targets));
    expect(() => call(Int32Array.from(targets, () => c))).toThrow(/targets\[0\] is 11/);
    expect(() => call(targets, { mode: 'theorem1', klCoef: 0 })).toThrow(/klCoef is 0/);
    expect(() => call(targets, { mode: 'theorem1Contrast', klCoef: -1 })).toThrow(/klCoef is -1/);
    expect(() => call(targets, { tvdScale: 0, floor: 0 })).toThrow(/both 0/);
    expect(() => op('rlhfTokenLoss')(x, x, x, targets, { klCoef: -0.1 })).toThrow(/klCoef/);
  });
});
