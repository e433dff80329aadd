/** MiniLLM's returns, weights and policy loss against plain loops. */
import { minillmAdvantages, minillmPolicyLoss, mixturePolicyWeights } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { close } from './support/compare.js';
import { Random } from './support/random.js';
import { clip, mean, normals, sum } from './support/vectors.js';

describe('MiniLLM', () => {
  test('returns, with holes in the mask', () => {
    const random = new Random(41);
    const [b, t] = [3, 7];
    const [teacher, student] = [normals(random, b * t), normals(random, b * t)];
    const mask = Uint8Array.from({ length: b * t }, (_, i) => (i % 5 === 2 ? 0 : 1));
    mask.fill(0, t, 2 * t);
    for (let i = 0; i < b * t; i++) if (!mask[i]) teacher[i] = i % 2 ? NaN : -Infinity;
    const tensor = (data: Float64Array) => ({ data, shape: [b, t] });
    for (const whiten of ['masked', 'all', 'none'] as const)
      for (const lengthNormalize of [true, false]) {
        const options = { gamma: 0.9, rewardScaling: -0.5, clipReward: 2, whiten, lengthNormalize };
        const { rewards, advantages } = minillmAdvantages(
          tensor(teacher),
          tensor(student),
          mask,
          options,
        );
        const returns = new Float64Array(b * t);
        const wanted = new Float64Array(b * t);
        for (let i = 0; i < b; i++) {
          let [total, count] = [0, 0];
          for (let at = (i + 1) * t - 1; at >= i * t; at--) {
            if (mask[at]) {
              wanted[at] = clip((teacher[at] - student[at]) / -0.5, -2, 2);
              count += 1;
            }
            total = wanted[at] + 0.9 * total;
            returns[at] = lengthNormalize && count ? total / count : total;
          }
        }
        close(rewards, wanted);
        const taken = [...returns].filter((_, i) => whiten === 'all' || mask[i]);
        const mu = whiten === 'none' ? 0 : mean(taken);
        const variance = sum(taken.map((x) => (x - mu) ** 2)) / (taken.length - 1);
        const scale = whiten === 'none' ? 1 : Math.sqrt(variance + 1e-8);
        close(
          advantages,
          returns.map((x, i) => (mask[i] ? (x - mu) / scale : 0)),
        );
      }
    const one = minillmAdvantages(
      tensor(student),
      tensor(student),
      Uint8Array.from(mask, (_, i) => +(i === 3)),
    );
    expect(one.advantages.every((x) => x === 0)).toBe(true);
    expect(() => minillmAdvantages(tensor(student), tensor(student), mask.subarray(1))).toThrow(
      /mask has 20 values, expected 21/,
    );
    expect(() =>
      minillmAdvantages(tensor(student), tensor(student), mask, { rewardScaling: 0 }),
    ).toThrow(/rewardScaling is 0/);
  });
  test('weights of tokens that some policy never gives, and of long sequences', () => {
    const inf = -Infinity;
    const at = (s: number, o: number, t: number, alpha?: number) =>
      mixturePolicyWeights(
        Float32Array.of(s),
        Float32Array.of(o),
        Float32Array.of(t),
        alpha === undefined ? {} : { alpha },
      ).out[0];
    expect(at(inf, inf, -1)).toBe(0);
    expect(at(inf, -1, inf)).toBe(0);
    expect(at(inf, -1, -1)).toBe(0);
    expect(at(inf, inf, inf)).toBeNaN();
    close([at(-1, inf, -2)], [Math.exp(1) / 0.2], 1e-6);
    close([at(-1, -2, inf)], [Math.exp(1) / 0.8], 1e-6);
    expect(at(-1, -2, inf, 1)).toBe(Infinity);
    close([at(-1, NaN, -2, 1)], [Math.exp(1)], 1e-6);
    close(
      [at(-200.25, -200.5, -201.75)],
      [1 / (0.8 * Math.exp(-0.25) + 0.2 * Math.exp(-1.5))],
      1e-6,
    );
  });
  test('policy loss: both ends of the range count as inside, dropped tokens are not read', () => {
    const tensor = (...data: number[]) => ({
      data: Float64Array.from(data),
      shape: [1, data.length],
    });
    const zero = tensor(0, 0, 0, 0, 0, 0, NaN);
    const weights = tensor(0.75, 1.25, 0.5, 0.5, 2, 2, NaN);
    const advantages = tensor(1, 1, 1, -1, 1, -1, NaN);
    const mask = Int32Array.of(1, 1, 1, 1, 1, 1, 0);
    const { loss, gradLogps } = minillmPolicyLoss(zero, zero, advantages, weights, mask, {
      clipRange: 0.25,
      grad: true,
    });
    const wanted = [-0.75, -1.25, -0.5, 0.75, -1.25, 2];
    close([loss], [sum(wanted) / 6]);
    close(gradLogps, [-0.75 / 6, -1.25 / 6, -0.5 / 6, 0, 0, 2 / 6, 0]);
    expect(minillmPolicyLoss(zero, zero, advantages, weights, new Int32Array(7)).loss).toBe(0);
  });
});
