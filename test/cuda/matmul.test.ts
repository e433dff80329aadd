// What the record of matmul does not say: sizes that must agree when a matrix is transposed, and what `out` held before.
import { matmul as hostMatmul } from 'logitcore';
import { matmul } from 'logitcore/cuda';
import { expect, test } from 'vitest';
import { sameBits } from '../support/compare.js';
import { Tensors } from '../support/cuda-ops.js';
import { describeCuda } from '../support/cuda.js';
import { Random } from '../support/random.js';

const numbers = (length: number, random: Random): Float32Array =>
  Float32Array.from({ length }, () => random.bell());

const sizes = [
  [1, 1, 1],
  [1, 7, 5],
  [3, 300, 1],
  [17, 31, 33],
  [65, 64, 63],
  [128, 16, 130],
  [5, 1027, 9],
  [2, 0, 3],
  [0, 4, 3],
];
const factors = [
  [1, 0],
  [-0.5, 1],
  [2, 0.25],
  [0, 1],
];

describeCuda('matmul', () => {
  for (const transposeA of [false, true])
    for (const transposeB of [false, true])
      test(`${transposeA ? "a'" : 'a'} ${transposeB ? "b'" : 'b'}, added to what was there`, async () => {
        for (const [m, k, n] of sizes)
          for (const [alpha, beta] of factors) {
            using tensors = new Tensors();
            const random = new Random(m + 100 * k + 10_000 * n);
            const a = numbers(m * k, random);
            const b = numbers(k * n, random);
            const before = numbers(m * n, random);
            const shapes = { a: transposeA ? [k, m] : [m, k], b: transposeB ? [n, k] : [k, n] };
            const options = { transposeA, transposeB, alpha, beta };
            const { out: expected } = hostMatmul(
              { data: Float64Array.from(a), shape: shapes.a },
              { data: Float64Array.from(b), shape: shapes.b },
              { ...options, out: { out: Float64Array.from(before) } },
            );
            // Of the terms of the sums, which may cancel.
            const { out: sizesOfTerms } = hostMatmul(
              { data: Float64Array.from(a, Math.abs), shape: shapes.a },
              { data: Float64Array.from(b, Math.abs), shape: shapes.b },
              {
                ...options,
                alpha: Math.abs(alpha),
                out: { out: Float64Array.from(before, Math.abs) },
              },
            );
            const { out } = matmul(
              tensors.make(a, shapes.a, 'f32'),
              tensors.make(b, shapes.b, 'f32'),
              { ...options, out: { out: tensors.make(before, [m, n], 'f32') } },
            );
            const got = await out.read();
            const wrong = got.findIndex(
              (x, i) => !(Math.abs(x - expected[i]) <= 2e-6 * sizesOfTerms[i]),
            );
            expect(
              wrong,
              `[${m}, ${k}, ${n}], ${alpha}, ${beta}: ${got[wrong]}, expected ${expected[wrong]}`,
            ).toBe(-1);
            expect(out.shape).toEqual([m, n]);
          }
      });

  test('what a new product holds before is 0', async () => {
    using tensors = new Tensors();
    // Memory that is used again.
    tensors.make(new Float32Array(4).fill(NaN), [2, 2], 'f32').dispose();
    const a = tensors.make(Float32Array.of(1, 2, 3, 4), [2, 2], 'f32');
    const { out } = matmul(a, a, { beta: 0 });
    expect(await tensors.hold(out).read()).toEqual(Float32Array.of(7, 10, 15, 22));
    const { out: doubled } = matmul(a, a, { beta: 0, out: { out } });
    expect(await doubled.read()).toEqual(Float32Array.of(7, 10, 15, 22));
  });

  test('a row alone has the bits that it has among others', async () => {
    for (const [m, k, n] of [
      [70, 33, 40],
      [130, 600, 20],
    ]) {
      using tensors = new Tensors();
      const random = new Random(m);
      const a = numbers(m * k, random);
      const b = tensors.make(numbers(k * n, random), [k, n], 'f32');
      const product = (rows: Float32Array) =>
        tensors.hold(matmul(tensors.make(rows, [rows.length / k, k], 'f32'), b).out).read();
      const all = await product(a);
      for (const i of [0, 1, 31, 64, m - 1])
        expect(
          sameBits(await product(a.slice(i * k, (i + 1) * k)), all.slice(i * n, (i + 1) * n)),
        ).toBeUndefined();
    }
  });

  test('sizes that do not fit are refused as on the host', () => {
    using tensors = new Tensors();
    const a = tensors.make(new Float32Array(6), [2, 3], 'f32');
    const data = { data: new Float32Array(6), shape: [2, 3] };
    const said = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        return String(error);
      }
      return 'nothing';
    };
    expect(said(() => matmul(a, a))).toBe(said(() => hostMatmul(data, data)));
    expect(said(() => matmul(a, a))).toMatch(/^RangeError: matmul: /);
    const square = tensors.make(new Float32Array(9), [3, 3], 'f32');
    expect(() => matmul(square, square, { out: { out: square } })).toThrow(/out.out overlaps a/);
    const half = tensors.hold(tensors.make(new Float32Array(6), [2, 3], 'bf16'));
    expect(() => matmul(a, half, { transposeB: true })).toThrow(/b must be .* f32, got bf16/);
  });
});
