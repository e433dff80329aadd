// Products of matrices against sums in float64, and bits that depend on a row and a column only.
import fc from 'fast-check';
import { getNumThreads, matmul, setNumThreads, type MatmulOptions } from 'logitcore';
import { afterAll, describe, expect, test } from 'vitest';
import { sameBits } from './support/compare.js';
import { Random } from './support/random.js';

type Real = Float32Array | Float64Array;
type Constructor = typeof Float32Array | typeof Float64Array;
interface Matrix {
  readonly data: Real;
  readonly shape: readonly [number, number];
}

function randomMatrix(Type: Constructor, rows: number, columns: number, random: Random): Matrix {
  const data = new Type(rows * columns);
  for (let i = 0; i < data.length; i++) data[i] = random.bell();
  return { data, shape: [rows, columns] };
}

function transposed({ data, shape: [rows, columns] }: Matrix): Matrix {
  const out = data.slice();
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j];
  return { data: out, shape: [columns, rows] };
}

const rowsOf = ({ data, shape: [, columns] }: Matrix, from: number, to: number): Matrix => ({
  data: data.slice(from * columns, to * columns),
  shape: [to - from, columns],
});

/** The entry furthest from its sum in float64, in units of what the order of addition can do. */
function worst(
  a: Matrix,
  b: Matrix,
  got: Real,
  alpha: number,
  beta: number,
  before?: Real,
): number {
  const [m, k] = a.shape;
  const n = b.shape[1];
  const epsilon = got instanceof Float32Array ? 2 ** -23 : 2 ** -52;
  let most = 0;
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      const old = beta === 0 ? 0 : beta * before![i * n + j];
      let [sum, size] = [old, Math.abs(old)];
      for (let q = 0; q < k; q++) {
        const term = alpha * a.data[i * k + q] * b.data[q * n + j];
        sum += term;
        size += Math.abs(term);
      }
      const error = Math.abs(got[i * n + j] - sum);
      most = Math.max(most, error === 0 ? 0 : error / (size * epsilon * (k + 4)));
    }
  return most;
}

const threads = getNumThreads();
afterAll(() => {
  setNumThreads(threads);
});

const shapes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [5, 7, 3],
  [6, 16, 256],
  [7, 17, 257],
  [1, 40, 30],
  [40, 1, 30],
  [3, 50, 600],
  [200, 15, 20],
  [65, 270, 33],
  [0, 4, 3],
  [4, 0, 3],
  [4, 3, 0],
];
const factors = [
  [1, 0],
  [-0.5, 0],
  [2, 1],
  [1, -0.25],
] as const;

describe.each([Float32Array, Float64Array] as const)('matmul, %o', (Type) => {
  test.each(shapes)('%i x %i over %i, all transposes and factors', (m, n, k) => {
    const random = new Random(m * 1000 + n + k);
    const [a, b] = [randomMatrix(Type, m, k, random), randomMatrix(Type, k, n, random)];
    for (const [alpha, beta] of factors) {
      const before = randomMatrix(Type, m, n, random).data;
      let first: Real | undefined;
      for (const transposeA of [false, true])
        for (const transposeB of [false, true])
          for (const count of [1, 3]) {
            setNumThreads(count);
            const out = before.slice();
            // What is not read may hold anything.
            if (beta === 0) out.fill(NaN);
            const options: MatmulOptions<Real> = {
              transposeA,
              transposeB,
              alpha,
              beta,
              out: { out },
            };
            const result = matmul<Real>(
              transposeA ? transposed(a) : a,
              transposeB ? transposed(b) : b,
              options,
            );
            expect(result.out).toBe(out);
            first ??= out;
            expect(sameBits(out, first)).toBeUndefined();
          }
      expect(worst(a, b, first!, alpha, beta, before)).toBeLessThanOrEqual(1);
    }
    expect(matmul<Real>(a, b).out).toHaveLength(m * n);
  });
});

test('an entry depends on its row and its column only', () => {
  const size = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(size, size, size, fc.integer(), fc.boolean(), (m, n, k, seed, double) => {
      const random = new Random(seed);
      const Type = double ? Float64Array : Float32Array;
      const [a, b] = [randomMatrix(Type, m, k, random), randomMatrix(Type, k, n, random)];
      const all = { data: matmul<Real>(a, b).out, shape: [m, n] } as const;
      expect(worst(a, b, all.data, 1, 0)).toBeLessThanOrEqual(1);
      const row = random.integer(0, m - 1);
      const alone = matmul<Real>(rowsOf(a, row, row + 1), b).out;
      expect(sameBits(alone, rowsOf(all, row, row + 1).data)).toBeUndefined();
      const turned = matmul<Real>(transposed(b), transposed(a)).out;
      expect(sameBits(turned, transposed(all).data)).toBeUndefined();
    }),
    { numRuns: 200, seed: 20261130 },
  );
});

test('large products, whose blocks threads share', () => {
  const random = new Random(7);
  const [a, b] = [
    randomMatrix(Float32Array, 500, 300, random),
    randomMatrix(Float32Array, 300, 700, random),
  ];
  setNumThreads(1);
  const one = matmul<Real>(a, b).out;
  expect(worst(a, b, one, 1, 0)).toBeLessThanOrEqual(1);
  for (const count of [2, 5]) {
    setNumThreads(count);
    expect(sameBits(matmul<Real>(a, b).out, one)).toBeUndefined();
  }
});

test('sizes that do not fit, and results over inputs, are refused', () => {
  const a = { data: new Float32Array(6), shape: [2, 3] };
  const b = { data: new Float32Array(8), shape: [4, 2] };
  expect(() => matmul(a, b)).toThrow('matmul: b has 4 rows, expected 3, as many as a has columns');
  expect(() => matmul(a, b, { transposeA: true, transposeB: true })).not.toThrow();
  expect(() => matmul(a, b, { transposeB: true })).toThrow(
    'matmul: b has 2 columns, expected 3, as many as a has columns',
  );
  expect(() => matmul(a, a, { transposeB: true, out: { out: new Float32Array(5) } })).toThrow(
    'options.out.out has 5 values, expected 4',
  );
  const square = { data: new Float32Array(9), shape: [3, 3] };
  expect(() => matmul(a, square, { out: { out: a.data } })).toThrow('overlaps a');
});
