import { crossEntropy, logSoftmax, ops, type OpRecord } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { logSoftmax as referenceLogSoftmax } from './reference.js';
import { ulp32 } from './support/compare.js';
import { call, flatten, reproducer } from './support/invoke.js';
import { Random } from './support/random.js';
import {
  lettersOf,
  unreduced,
  validSample,
  withType,
  type Numbers,
  type Sample,
  type Spec,
} from './support/samples.js';

// float32 results against the float64 instance on the same numbers. Results that are sums of terms of both signs are held to
// the scale of their array, not to their own size.
const relative = 2e-5;
const ofScale = 4e-6;

/** Ops whose result may be far below the numbers it is the difference of, on ordinary inputs. */
const differences: Record<string, string> = {
  attentionLogitStats: 'an entropy near 0 is the exponential of a difference of logits',
  qkLayerNormBackward: 'a row of two has no gradient but for epsilon',
  standardizeLogitsBackward: 'a row of two has no gradient but for eps',
};

function largest(values: Numbers): number {
  let most = 0;
  for (const x of values) if (Number.isFinite(x) && Math.abs(x) > most) most = Math.abs(x);
  return most;
}

const inputScale = (sample: Sample): number =>
  Math.max(0, ...Object.values(sample.inputs).map(({ data }) => largest(data)));

/** The largest term of a mean or sum (a z-loss among them), which may be far above the result. */
function scaleOfTerms(sample: Sample): number {
  const given = unreduced(sample.record);
  if (Object.keys(given).length === 0) return 0;
  return Math.max(
    0,
    ...flatten(call(withType(sample, true), given)).map(([, values]) => largest(values)),
  );
}

function compare(sample: Sample): void {
  const narrow = flatten(call(sample));
  const terms = scaleOfTerms(sample);
  // Differences of inputs carry their rounding: of large logits in every op, elsewhere in the ops named above.
  const cancels = sample.spec.values === 'wide' || sample.record.name in differences;
  const rounding = cancels ? 5e-7 * inputScale(sample) : 1e-38;
  const wide = new Map(flatten(call(withType(sample, true))));
  for (const [name, got] of narrow) {
    const expected = wide.get(name)!;
    const exact = got instanceof Int32Array;
    const slack = ofScale * Math.max(largest(expected), terms) + rounding;
    for (let i = 0; i < got.length; i++) {
      const [a, b] = [got[i], expected[i]];
      // What float32 cannot hold becomes 0 or Infinity, rightly.
      const rounded = Math.fround(b);
      const same = Object.is(a, b) || a === b || a === rounded;
      if (!same && (exact || !(Math.abs(a - b) <= slack + relative * Math.abs(b))))
        expect.fail(`${name}[${i}] is ${a} in float32, ${b} in float64: ${reproducer(sample)}`);
    }
  }
}

const sizesOf = (record: OpRecord, columns: number): NonNullable<Spec['sizes']> =>
  Object.fromEntries(
    lettersOf(record).map((letter) => [
      letter,
      letter === '*' ? [3] : letter === 'n' ? 3 : letter === 'c' ? columns : 7,
    ]),
  );

describe('float32 agrees with float64', () => {
  for (const record of ops())
    test(record.name, () => {
      for (const columns of [2, 3, 17, 100, 1000])
        for (let seed = 0; seed < 4; seed++) {
          const options = seed === 0 ? 'default' : 'sampled';
          const optional = seed === 1 ? 'none' : 'all';
          const spec: Spec = {
            seed,
            sizes: sizesOf(record, columns),
            options,
            optional,
            ignored: seed > 1,
          };
          compare(validSample(record, spec));
          compare(validSample(record, { ...spec, values: 'masked' }));
          compare(validSample(record, { ...spec, values: 'wide' }));
        }
    });
});

const shapes: Record<string, (random: Random) => number> = {
  uniform: (random) => random.between(-20, 20),
  normal: (random) => 3 * random.normal(),
  cauchy: (random) => Math.tan(Math.PI * (random.uniform() - 0.5)),
  'all equal': () => 1.25,
};

describe('long rows', () => {
  for (const [shape, draw] of Object.entries(shapes))
    for (const columns of [1000, 32_000, 1_000_003, 4_194_304])
      test(`log-softmax and cross-entropy, ${shape}, ${columns} columns`, () => {
        const random = new Random(columns);
        const data = Float32Array.from({ length: columns }, () => draw(random));
        const reference = referenceLogSoftmax(data, columns);
        const { out } = logSoftmax({ data, shape: [1, columns] });
        // The row's own scale: the logarithm of the normaliser, which is that of the largest logit too.
        const normaliser = -reference.reduce((a, b) => Math.max(a, b), -Infinity);
        let worst = 0;
        for (let i = 0; i < columns; i++) {
          const scale = ulp32(Math.max(Math.abs(reference[i]), normaliser));
          worst = Math.max(worst, Math.abs(out[i] - reference[i]) / scale);
        }
        expect(worst, 'error of log-softmax in ulp').toBeLessThanOrEqual(4);
        for (const target of [0, columns - 1]) {
          const { loss, gradLogits } = crossEntropy(
            { data, shape: [1, columns] },
            Int32Array.of(target),
            { grad: true },
          );
          const scale = ulp32(Math.max(-reference[target], normaliser));
          expect(
            Math.abs(loss + reference[target]) / scale,
            `loss of target ${target} in ulp`,
          ).toBeLessThanOrEqual(4);
          let off = 0;
          for (let i = 0; i < columns; i++) {
            const slope = i === target ? Math.expm1(reference[i]) : Math.exp(reference[i]);
            off = Math.max(off, Math.abs(gradLogits[i] - slope));
          }
          expect(off, `gradient for target ${target}`).toBeLessThanOrEqual(4 * ulp32(1));
        }
      });
});

describe('confident rows keep their loss and gradient', () => {
  for (const columns of [2, 5, 16, 100, 5000])
    for (const margin of [5, 10, 17, 20, 30, 40, 80])
      test(`margin ${margin}, ${columns} columns`, () => {
        const random = new Random(columns + margin);
        const data = Float32Array.from({ length: columns }, () => random.uniform());
        const target = columns >> 1;
        data[target] = 2 + margin;
        let others = 0;
        for (let i = 0; i < columns; i++)
          if (i !== target) others += Math.exp(data[i] - data[target]);
        const { loss, gradLogits } = crossEntropy(
          { data, shape: [1, columns] },
          Int32Array.of(target),
          { grad: true },
        );
        const close = (got: number, expected: number) => {
          expect(Math.abs(got / expected - 1), `${got} for ${expected}`).toBeLessThan(1e-5);
        };
        close(loss, Math.log1p(others));
        close(gradLogits[target], -others / (1 + others));
        const rival = target === 0 ? 1 : 0;
        close(gradLogits[rival], Math.exp(data[rival] - data[target]) / (1 + others));
      });
});
