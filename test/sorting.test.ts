// Sorts of rows against JavaScript's own stable sort, at the lengths where the algorithm changes.
import { argsort, getNumThreads, setNumThreads, sort, topK } from 'logitcore';
import { afterAll, describe, expect, test } from 'vitest';
import { sameBits } from './support/compare.js';
import { Random } from './support/random.js';

type Real = Float32Array | Float64Array;
type Constructor = typeof Float32Array | typeof Float64Array;
type Make = (length: number, random: Random) => (i: number) => number;

const edges = [0, -0, NaN, Infinity, -Infinity, 1e-40, -1e-40, 3e38, -3e38, 1, -1];
const kinds: Readonly<Record<string, Make>> = {
  random: (_, random) => () => random.bell(),
  'few distinct': (_, random) => () => random.integer(0, 4),
  'in order': () => (i) => i,
  'in reverse with ties': (length) => (i) => Math.floor((length - i) / 3),
  constant: () => () => 2.5,
  zeros: (_, random) => () => (random.uniform() < 0.5 ? 0 : -0),
  'edges of the type': (_, random) => () => random.pick(edges),
  'half masked': (_, random) => () => (random.uniform() < 0.5 ? -Infinity : random.bell()),
  'in a narrow range': (_, random) => () => 1 + random.integer(0, 999) * 1e-6,
  // What the places that a pivot is taken from may have in common.
  'up and down': (length) => (i) => Math.min(i, length - i),
  sawtooth: (length) => (i) => i % ((length >> 3) + 1),
  'all exponents': (_, random) => () => random.bell() * 2 ** random.integer(-149, 126),
};
// Order: insertion, ranks, digits of 8 bits, digits of 11 bits, split by the leading digits. Values: a register, networks, splits by a
// few keys, splits by a sample, splits that threads share.
const lengths = [1, 2, 8, 9, 33, 128, 129, 257, 1000, 4095, 5000, 70_000, 1_100_000];

function arrayOf(Type: Constructor, length: number, value: (i: number) => number): Real {
  const x = new Type(length);
  for (let i = 0; i < length; i++) x[i] = value(i);
  return x;
}

/** Negative if entry a of x comes before entry b. */
function compare(x: Real, descending: boolean, a: number, b: number): number {
  const [p, q] = [x[a], x[b]];
  if (Number.isNaN(p) || Number.isNaN(q))
    return Number(Number.isNaN(p)) - Number(Number.isNaN(q)) || a - b;
  if (p === q) return a - b;
  return p < q !== descending ? -1 : 1;
}

const expectedOrder = (x: Real, descending: boolean): Int32Array =>
  Int32Array.from({ length: x.length }, (_, i) => i).sort((a, b) => compare(x, descending, a, b));

/** Whether every entry comes after the one before it, which no order but the stable one has. */
function isOrder(x: Real, order: Int32Array, descending: boolean): boolean {
  const seen = new Uint8Array(x.length);
  for (const at of order) seen[at] += 1;
  if (order.length !== x.length || !seen.every((count) => count === 1)) return false;
  for (let i = 1; i < order.length; i++)
    if (compare(x, descending, order[i - 1], order[i]) >= 0) return false;
  return true;
}

const threads = getNumThreads();
afterAll(() => {
  setNumThreads(threads);
});

for (const Type of [Float32Array, Float64Array] as const)
  describe(`sort and argsort, ${Type.name}`, () => {
    for (const [kind, make] of Object.entries(kinds))
      test(kind, () => {
        for (const length of lengths) {
          const value = make(length, new Random(length));
          const x = arrayOf(Type, length, value);
          for (const descending of [false, true]) {
            const order = argsort(x, { descending }).indices;
            expect(isOrder(x, order, descending)).toBe(true);
            const values: Real = arrayOf(Type, length, (i) => x[order[i]]);
            for (const count of length > 100_000 ? [1, 3] : [1]) {
              setNumThreads(count);
              const got = sort(x, { descending, indices: true });
              expect(sameBits(argsort(x, { descending }).indices, order)).toBeUndefined();
              expect(sameBits(got.indices, order)).toBeUndefined();
              expect(sameBits(got.values, values)).toBeUndefined();
              for (const indices of [false, true]) {
                const own = x.slice();
                sort<Real>(own, { descending, indices, out: { values: own } });
                expect(sameBits(own, values)).toBeUndefined();
              }
            }
          }
        }
      });
    test('values of every length', () => {
      for (let length = 1; length <= 600; length++)
        for (const kind of ['random', 'few distinct', 'zeros', 'edges of the type', 'sawtooth']) {
          const x = arrayOf(Type, length, kinds[kind](length, new Random(length)));
          for (const descending of [false, true]) {
            const order = expectedOrder(x, descending);
            const values = arrayOf(Type, length, (i) => x[order[i]]);
            expect(sameBits(sort(x, { descending }).values, values)).toBeUndefined();
          }
        }
    });
    test('rows are sorted apart', () => {
      const random = new Random(5);
      const [rows, columns] = [70, 37];
      const data = arrayOf(Type, rows * columns, () => random.bell());
      const { values, indices } = sort({ data, shape: [rows, columns] }, { indices: true });
      for (let i = 0; i < rows; i++) {
        const row = data.slice(i * columns, (i + 1) * columns);
        const order = expectedOrder(row, false);
        expect(sameBits(indices.slice(i * columns, (i + 1) * columns), order)).toBeUndefined();
        expect(
          sameBits(
            values.slice(i * columns, (i + 1) * columns),
            arrayOf(Type, columns, (j) => row[order[j]]),
          ),
        ).toBeUndefined();
      }
    });
    test('topK is the head of the descending order', () => {
      for (const length of [3, 40, 1000, 20_000]) {
        const random = new Random(length);
        const x = arrayOf(Type, length, () => Math.round(random.bell() * 50) / 8);
        const order = expectedOrder(x, true);
        for (const k of [1, 2, 16, 17, 64, 500, length].filter((k) => k <= length))
          expect(sameBits(topK(x, { k }).indices, order.slice(0, k))).toBeUndefined();
      }
    });
  });
