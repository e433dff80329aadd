/** The calls whose results must have the same bits everywhere. */
import type { OpRecord } from 'logitcore';
import type { HashCase } from './hash-run.js';
import { call } from './invoke.js';
import { dimsOf, lettersOf, makeSample, validSample, type Spec } from './samples.js';

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);
const allWidths = [...upTo(130), 255, 256, 257, 1000, 4097];

/** Letters whose size is the length of a row of some real input, and so decides tails and blocks. */
function rowLetters(record: OpRecord): string[] {
  const last = record.inputs
    .filter(({ kind }) => kind === 'real')
    .map(({ dims }) => dimsOf(dims).at(-1)!);
  return [...new Set(last)].filter((letter) => lettersOf(record).includes(letter));
}

const size = (letter: string, value: number) => ({ [letter]: letter === '*' ? [value] : value });

/** Milliseconds of one call: ops that are not linear in the row get fewer widths. */
function cost(record: OpRecord, spec: Spec): number {
  try {
    const sample = makeSample(record, spec);
    const start = performance.now();
    call(sample);
    return performance.now() - start;
  } catch {
    return 0;
  }
}

/** Square matrices of several panels and blocks, in every way of packing them. */
const products: HashCase[] = [false, true].flatMap((double) =>
  [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) => ({
      op: 'matmul',
      spec: {
        double,
        sizes: { i: 301, j: 301, p: 301, q: 301 },
        given: { transposeA, transposeB, alpha: 0.5 },
      },
      threads: [1, 2, 3, 7],
    })),
  ),
);

/** Cases of an op at every width, or at those given and then without large ones. */
export function casesOf(record: OpRecord, given?: readonly number[]): HashCase[] {
  const cases: HashCase[] = [];
  const widths = given ?? allWidths;
  const few = { n: 3, '*': [3] };
  // A seed whose options the op accepts, since some exclude each other.
  const plain = validSample(record, { optional: 'none' }).spec;
  const rich = validSample(record, { optional: 'all', options: 'sampled' }).spec;
  const variants: Spec[] = [
    plain,
    { ...rich, ignored: true },
    { ...plain, values: 'masked' },
    { ...rich, values: 'extreme', seed: rich.seed ?? 0 },
  ];
  for (const double of [false, true])
    for (const letter of rowLetters(record)) {
      const slow = cost(record, { ...plain, double, sizes: { ...few, ...size(letter, 130) } }) > 5;
      for (const width of slow && !given ? [...upTo(40), 255, 256, 257] : widths)
        for (const [v, variant] of variants.entries()) {
          // Every width plain, and with one of the other variants.
          if (v > 0 && v !== 1 + (width % 3)) continue;
          const sizes = { ...variant.sizes, ...few, ...size(letter, width) };
          cases.push({ op: record.name, spec: { ...variant, double, sizes }, threads: [1] });
        }
      if (slow || given) continue;
      // Enough work to be split: many short rows, some long ones, few very long ones.
      const alone = letter === '*' || letter === 'n';
      const large = alone
        ? [size(letter, 150_001)]
        : [
            { n: 5000, '*': [5000], ...size(letter, 17) },
            { n: 20, '*': [20], ...size(letter, 4097) },
            { n: 1, '*': [1], ...size(letter, 70_001) },
          ];
      for (const sizes of large) {
        const variant = double ? rich : plain;
        const spec: Spec = { ...variant, double, sizes: { ...variant.sizes, ...sizes } };
        if (cost(record, spec) < 400) cases.push({ op: record.name, spec, threads: [1, 2, 3, 7] });
      }
    }
  return record.name === 'matmul' && !given ? [...cases, ...products] : cases;
}
