/** Quantisers, moments and guidance against their formulas written out, and MiniLLM's returns and Kendall's tau against plain loops. */
import {
  averageBits,
  bitEncoding,
  elasticFakeQuantize,
  initQuantScale,
  kendallTau,
  wdrLoss,
  weightMoments,
} from 'logitcore';
import { describe, expect, test } from 'vitest';
import { close } from './support/compare.js';
import { op, type Result } from './support/invoke.js';
import { Random } from './support/random.js';
import { clip, mean, normals, sum } from './support/vectors.js';

const array = (result: Result, name: string): Float64Array => result[name] as Float64Array;

/** Ties to even. */
function round(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

const widths = [2, 3, 4, 5, 6, 7, 8];

describe('fake quantisation', () => {
  for (const perChannel of [false, true])
    for (const withOffset of [false, true])
      for (const bits of [2, 5, 8])
        for (const allPositive of [false, true])
          test(`elastic: ${JSON.stringify({ perChannel, withOffset, bits, allPositive })}`, () => {
            const random = new Random(bits);
            const [m, inner] = [5, 33];
            const shape = [m, 3, 11];
            const [x, gradOut] = [normals(random, m * inner, 2), normals(random, m * inner)];
            const g = perChannel ? m : 1;
            const table = (f: () => number) => Float64Array.from({ length: g * 7 }, f);
            const scale = table(
              () => (random.uniform() < 0.5 ? -1 : 1) * random.between(0.05, 0.5),
            );
            const offset = table(() => random.normal());
            const at = (k: number) => k * 7 + widths.indexOf(bits);
            const [low, high] = allPositive
              ? [0, 2 ** bits - 1]
              : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
            const factor = 1 / Math.sqrt(((m * inner) / g) * high);
            const [out, codes, gradX]: number[][] = [[], [], []];
            const gradScale = new Float64Array(g * 7);
            const gradOffset = new Float64Array(g * 7);
            x.forEach((v, i) => {
              const cell = at(perChannel ? Math.floor(i / inner) : 0);
              const step = Math.abs(scale[cell]) + 1e-6;
              const beta = withOffset ? offset[cell] : 0;
              const value = (v - beta) / step;
              const inside = value >= low && value <= high;
              const code = round(clip(value, low, high));
              codes.push(code);
              out.push(code * step + beta);
              gradX.push(inside ? gradOut[i] : 0);
              gradScale[cell] +=
                factor * Math.sign(scale[cell]) * gradOut[i] * (code - (inside ? value : 0));
              if (!inside) gradOffset[cell] += factor * gradOut[i];
            });
            const tensor = (data: Float64Array) => ({ data, shape });
            const tables = { data: scale, shape: [g, 7] };
            const offsets = withOffset ? { data: offset, shape: [g, 7] } : undefined;
            const options = { bits, allPositive };
            const forward = op('elasticFakeQuantize')(tensor(x), tables, offsets, options);
            close(array(forward, 'out'), out);
            close(forward.codes as Int32Array, codes, 0, 0);
            const backward = op('elasticFakeQuantizeBackward')(
              tensor(x),
              tensor(gradOut),
              tables,
              offsets,
              options,
            );
            close(array(backward, 'gradX'), gradX);
            close(array(backward, 'gradScale'), gradScale);
            if (withOffset) close(array(backward, 'gradOffset'), gradOffset);
            else expect(backward.gradOffset).toBeUndefined();
            const again = op('elasticFakeQuantize')(
              tensor(array(forward, 'out')),
              tables,
              offsets,
              options,
            );
            close(array(again, 'out'), out, 1e-12, 1e-12);
          });

  test('infinite and NaN values', () => {
    const x = Float32Array.of(Infinity, -Infinity, NaN, 0.3);
    const { out, codes } = elasticFakeQuantize(
      x,
      { data: Float32Array.of(0.5), shape: [1, 1] },
      { bits: 2, bitList: [2], eps: 0 },
    );
    expect([...codes]).toEqual([1, -2, 0, 1]);
    expect([...out]).toEqual([0.5, -1, NaN, 0.5]);
    const affine = op('affineFakeQuantize')(x, Float32Array.of(0.5), Float32Array.of(1), {
      bits: 2,
    });
    expect([...(affine.codes as Int32Array)]).toEqual([3, 0, 0, 2]);
    expect([...(affine.out as Float32Array)]).toEqual([1, -0.5, NaN, 0.5]);
  });

  test('tables that do not fit are refused', () => {
    const x = { data: new Float32Array(12).fill(1), shape: [3, 2, 2] };
    const call = (shape: number[], options = {}, fill = 0.5) =>
      elasticFakeQuantize(
        x,
        { data: new Float32Array(shape[0] * shape[1]).fill(fill), shape },
        options,
      );
    expect(() => call([2, 7])).toThrow(/scale has 2 rows, expected 1 or 3/);
    expect(() => call([1, 6])).toThrow(/scale has 6 columns, expected 7/);
    expect(() => call([1, 2], { bitList: [2, 4, 8] })).toThrow(/bitList/);
    expect(() => call([1, 7], { bits: 9 })).toThrow(/options.bits is 9, expected one of 2, 3, 4/);
    expect(() => call([1, 2], { bits: 3, bitList: [2, 4] })).toThrow(/options.bits is 3/);
    expect(() => call([1, 2], { bits: 2, bitList: [2, 2.5] })).toThrow(/bitList\[1\] is 2.5/);
    expect(() => call([1, 7], { eps: 0 }, 0)).toThrow(/scale\[6\] is 0/);
    expect(call([1, 7], {}, 0).codes.every((code) => code === 127)).toBe(true);
    const one = Float32Array.of(1);
    expect(() => op('affineFakeQuantize')(x, new Float32Array(1), one)).toThrow(/scale\[0\] is 0/);
    expect(() =>
      op('affineFakeQuantize')(x, new Float32Array(2).fill(1), new Float32Array(2)),
    ).toThrow(/2 rows/);
    expect(() =>
      op('elasticFakeQuantizeBackward')(
        x,
        { data: x.data, shape: [3, 4] },
        { data: new Float32Array(7).fill(1), shape: [1, 7] },
      ),
    ).toThrow(/gradOut has trailing shape/);
    expect(() => initQuantScale(x.data, { steps: 200 })).toThrow(/steps times options.shrink/);
  });

  for (const symmetric of [true, false])
    for (const allPositive of [true, false])
      for (const perChannel of [true, false])
        test(`first scale: ${JSON.stringify({ symmetric, allPositive, perChannel })}`, () => {
          const random = new Random(17);
          const data = normals(random, 6 * 41).map((v) => (allPositive ? Math.abs(v) : v + 0.3));
          data.fill(0, 0, 41);
          const bits = 3;
          const result = initQuantScale(
            { data, shape: [6, 41] },
            { symmetric, allPositive, perChannel, bits },
          );
          const [low, high] = allPositive ? [0, 7] : [-4, 3];
          for (let k = 0; k < (perChannel ? 6 : 1); k++) {
            const x = perChannel ? data.subarray(k * 41, (k + 1) * 41) : data;
            let best = { scale: 1, offset: 0, score: Infinity, index: -1 };
            for (let i = 0; i < 80; i++) {
              const f = 1 - i * 0.01;
              const largest = f * Math.max(...x.map(Math.abs));
              const top = symmetric ? largest : f * Math.max(...x);
              const bottom = symmetric ? (allPositive ? 0 : -largest) : f * Math.min(...x);
              const scale = (top - bottom) / (high - low);
              if (scale <= 0) continue;
              const beta = symmetric ? 0 : bottom - scale * low;
              const score = mean(
                x.map(
                  (v) =>
                    Math.abs(v - (round(clip((v - beta) / scale, low, high)) * scale + beta)) **
                    2.4,
                ),
              );
              if (score < best.score)
                best = { scale, offset: allPositive && !symmetric ? -1e-9 : beta, score, index: i };
            }
            if (best.index < 0) best.score = 0;
            expect(result.index[k]).toBe(best.index);
            close(
              [result.scale[k], result.offset[k], result.score[k]],
              [best.scale, best.offset, best.score],
            );
          }
        });
  test('first scale of values with a NaN is NaN', () => {
    const { scale, score, index } = initQuantScale(Float32Array.of(1, NaN, 2));
    expect([scale[0], score[0], index[0]]).toEqual([NaN, NaN, -1]);
  });
});

describe('moments of weights', () => {
  test('layers, far means, constant and tiny layers', () => {
    const random = new Random(5);
    const layers = [
      normals(random, 301),
      normals(random, 70).map((v) => 500 + v),
      new Float64Array(9).fill(2.7),
      normals(random, 1),
      new Float64Array(0),
      normals(random, 40).map((v) => v ** 3),
    ];
    const weights = Float64Array.from(layers.flatMap((layer) => [...layer]));
    const segments = Int32Array.from([
      0,
      ...layers.map((_, k) => sum(layers.slice(0, k + 1).map(({ length }) => length))),
    ]);
    for (const ddof of [0, 1] as const) {
      const result = weightMoments(weights, { segments, ddof });
      const loss = wdrLoss(weights, { segments, ddof, grad: true });
      const gradient: number[] = [];
      layers.forEach((x, l) => {
        const n = x.length;
        const mu = n ? mean(x) : 0;
        const sd = n > ddof ? Math.sqrt(sum(x.map((v) => (v - mu) ** 2)) / (n - ddof)) : 0;
        const flat = l === 2 || sd === 0;
        const u = x.map((v) => (flat ? 0 : (v - mu) / sd));
        const [m3, m4] = [3, 4].map((r) => (n ? mean(u.map((v) => v ** r)) : 0));
        close(
          [result.mean[l], result.std[l], result.skewness[l], result.kurtosis[l]],
          [mu, flat ? 0 : sd, m3, m4],
          1e-8,
        );
        for (const v of u)
          gradient.push(
            flat
              ? 0
              : (2 *
                  (m3 - 0) *
                  3 *
                  (v * v - mean(u.map((w) => w * w)) - (m3 * n * v) / (n - ddof)) +
                  2 * 0.015 * (m4 - 1.8) * 4 * (v ** 3 - m3 - (m4 * n * v) / (n - ddof))) /
                  (n * sd) /
                  layers.length,
          );
      });
      close(loss.gradWeights, gradient, 1e-8, 1e-12);
      close(
        [loss.skewLoss, loss.kurtLoss],
        [mean(result.skewness.map((v) => v * v)), mean(result.kurtosis.map((v) => (v - 1.8) ** 2))],
      );
    }
  });
  test('segments that do not cover the weights are refused', () => {
    const weights = new Float32Array(5);
    for (const segments of [[0], [0, 4], [1, 5], [0, 3, 2, 5], [0, 6], [-1, 5], [0, 7, 5]])
      expect(
        () => weightMoments(weights, { segments: Int32Array.from(segments) }),
        segments.join(),
      ).toThrow(/weightMoments: options.segments/);
    expect(() => weightMoments(weights, { segments: new Int32Array(0) })).toThrow(/segments/);
    expect(wdrLoss(new Float32Array(0), { segments: Int32Array.of(0) }).loss).toBe(0);
  });
});

describe('group progressive guidance', () => {
  test('in place as apart, masked classes, ignored rows, terms without weight', () => {
    const random = new Random(23);
    const [g, n, c] = [3, 5, 19];
    const data = normals(random, g * n * c, 3);
    for (let i = 0; i < g * n; i++) data[i * c + 7] = -Infinity;
    const targets = Int32Array.of(0, -100, 18, 3, 3);
    const options = { alpha: 0.3, temperature: 2, grad: true } as const;
    const apart = op('groupProgressiveGuidance')({ data, shape: [g, n, c] }, targets, options);
    const plane = (k: number) => ({ data: data.slice(k * n * c, (k + 1) * n * c), shape: [n, c] });
    for (let k = 0; k < g; k++) {
      const ce = op('crossEntropy')(plane(k), targets, { grad: true });
      let [loss, grad] = [ce.loss as number, ce.gradLogits as Float64Array];
      if (k > 0) {
        const kl = op('klDiv')(plane(k), plane(k - 1), {
          temperature: 2,
          labels: targets,
          grad: true,
        });
        loss = 0.3 * (kl.loss as number) + 0.7 * loss;
        grad = grad.map((x, i) => 0.3 * (kl.gradStudent as Float64Array)[i] + 0.7 * x);
      }
      close([array(apart, 'losses')[k]], [loss]);
      close(array(apart, 'gradLogits').subarray(k * n * c, (k + 1) * n * c), grad);
    }
    close([apart.loss as number], [sum(array(apart, 'losses'))]);
    const copy = data.slice();
    op('groupProgressiveGuidance')({ data: copy, shape: [g, n, c] }, targets, {
      ...options,
      out: { gradLogits: copy },
    });
    expect(copy).toEqual(apart.gradLogits);
    const dead = data.slice();
    dead[2 * n * c + 2 * c + 18] = -Infinity;
    const soft = op('groupProgressiveGuidance')({ data: dead, shape: [g, n, c] }, targets, {
      alpha: 0,
    });
    expect(array(soft, 'losses')[2]).toBe(Infinity);
    expect(array(soft, 'losses')[1]).toBeLessThan(Infinity);
  });
});

describe('encodings', () => {
  test('bits of layers', () => {
    const bits = Int32Array.of(2, 3, 9);
    expect(() => bitEncoding(bits, bits)).toThrow(/wBits\[2\] is 9/);
    expect(() => bitEncoding(bits, bits.subarray(1))).toThrow(/aBits has 2 values, expected 3/);
    expect(
      sum(bitEncoding(bits.subarray(0, 2), bits.subarray(0, 2), { skipEnds: false }).out),
    ).toBe(7);
    expect(bitEncoding(new Int32Array(0), new Int32Array(0)).out).toEqual(
      Float32Array.of(1, 0, 1, 0, 1, 0),
    );
    const sizes = Float32Array.of(1, 2, 3);
    expect(averageBits(bits, sizes).average).toBe(3);
    expect(() => averageBits(bits, Float32Array.of(1, 0, 3))).toThrow(/sizes\[1\] is 0/);
    expect(() => averageBits(bits, Float32Array.of(1, -2, 3))).toThrow(/sizes\[1\] is -2/);
    expect(() => averageBits(bits, sizes.subarray(1))).toThrow(/sizes has 2 values, expected 3/);
    expect(() => averageBits(new Int32Array(0), new Float32Array(0), { skipEnds: false })).toThrow(
      /0 layers/,
    );
  });
});

describe("Kendall's tau", () => {
  test('equals the count over all pairs', () => {
    const random = new Random(31);
    for (const n of [2, 3, 7, 64, 257])
      for (const distinct of [2, 5, 1000]) {
        const draw = () => Float32Array.from({ length: n }, () => random.integer(0, distinct) - 2);
        const [a, b] = [draw(), draw()];
        let [concordant, discordant, tiesA, tiesB] = [0, 0, 0, 0];
        for (let i = 0; i < n; i++)
          for (let j = 0; j < i; j++) {
            const order = Math.sign(a[i] - a[j]) * Math.sign(b[i] - b[j]);
            if (order > 0) concordant += 1;
            if (order < 0) discordant += 1;
            if (a[i] === a[j]) tiesA += 1;
            if (b[i] === b[j]) tiesB += 1;
          }
        const pairs = (n * (n - 1)) / 2;
        const got = kendallTau(a, b);
        expect(got).toMatchObject({ concordant, discordant, tiesA, tiesB });
        const untied = Math.sqrt((pairs - tiesA) * (pairs - tiesB));
        close([got.tau], [untied ? (concordant - discordant) / untied : 0]);
        close([kendallTau(a, b, { variant: 'a' }).tau], [(concordant - discordant) / pairs]);
        close([got.rmse], [Math.sqrt(mean(a.map((x, i) => (x - b[i]) ** 2)))], 1e-6);
      }
    expect(kendallTau(Float64Array.of(-0, 0), Float64Array.of(1, 2)).tiesA).toBe(1);
    expect(kendallTau(Float64Array.of(NaN, 0), Float64Array.of(1, 2)).tau).toBeNaN();
  });
});
