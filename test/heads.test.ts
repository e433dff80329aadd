// Two-head distillation against the formulas in plain JavaScript.
import {
  binaryKlDiv,
  binaryKlNorm,
  crossEntropy,
  dhkdLoss,
  gradAlign,
  headForces,
  neuralCollapse,
  simplexEtf,
} from 'logitcore';
import { describe, expect, test } from 'vitest';
import { close } from './support/compare.js';
import { Random } from './support/random.js';
import { dot, normals, sum, tensor } from './support/vectors.js';

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
