import fc from 'fast-check';
import { ops } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { closeTo, near } from './support/compare.js';
import { call, op, reproducer, type Result } from './support/invoke.js';
import {
  coupledRows,
  onlyMeans,
  hasRowOutputs,
  rowCount,
  rowInputs,
  rowOutputs,
  rowOf,
  singleRow,
} from './support/rows.js';
import { lettersOf, unreduced, validSample, type Numbers } from './support/samples.js';

const numRuns = 60;
const logit = fc.double({ min: -30, max: 30, noNaN: true });

interface Batch {
  n: number;
  c: number;
  logits: Float64Array;
  other: Float64Array;
  targets: Int32Array;
}

const batch = fc
  .record({ n: fc.integer({ min: 1, max: 9 }), c: fc.integer({ min: 1, max: 40 }) })
  .chain(({ n, c }) =>
    fc.record({
      n: fc.constant(n),
      c: fc.constant(c),
      logits: fc
        .array(logit, { minLength: n * c, maxLength: n * c })
        .map((x) => Float64Array.from(x)),
      other: fc
        .array(logit, { minLength: n * c, maxLength: n * c })
        .map((x) => Float64Array.from(x)),
      targets: fc
        .array(fc.integer({ min: 0, max: c - 1 }), { minLength: n, maxLength: n })
        .map((x) => Int32Array.from(x)),
    }),
  );

/** fast-check prints the smallest batch that fails, which is the reproducer. */
function property(name: string, check: (b: Batch) => void): void {
  test(name, () => {
    fc.assert(fc.property(batch, check), { numRuns, seed: 20240229 });
  });
}

const tensor = (data: Numbers, c: number) => ({ data, shape: [data.length / c, c] });
const array = (result: Result, name: string): Float64Array => result[name] as Float64Array;
const value = (result: Result, name = 'loss'): number => result[name] as number;

function equal(a: number | Float64Array, b: number | Float64Array, rtol = 1e-9, atol = 1e-9): void {
  const [x, y] = [typeof a === 'number' ? [a] : a, typeof b === 'number' ? [b] : b];
  expect(x.length).toBe(y.length);
  for (let i = 0; i < x.length; i++)
    if (!near(x[i], y[i], rtol, atol)) expect.fail(`[${i}]: ${x[i]} is not ${y[i]}`);
}

const rowSums = (data: Float64Array, c: number): Float64Array =>
  Float64Array.from({ length: data.length / c }, (_, i) =>
    data.subarray(i * c, (i + 1) * c).reduce((a, b) => a + b, 0),
  );

const oneHot = ({ n, c, targets }: Batch): Float64Array => {
  const data = new Float64Array(n * c);
  targets.forEach((y, i) => (data[i * c + y] = 1));
  return data;
};

const none = { reduction: 'none' } as const;

describe('softmax', () => {
  property('sums to 1 and does not change with a shift of the row', ({ c, logits }) => {
    const out = array(op('softmax')(tensor(logits, c)), 'out');
    equal(rowSums(out, c), new Float64Array(logits.length / c).fill(1), 0, 1e-13);
    equal(
      array(
        op('softmax')(
          tensor(
            logits.map((x) => x + 64),
            c,
          ),
        ),
        'out',
      ),
      out,
      1e-11,
      1e-15,
    );
  });
  property(
    'log-softmax is its logarithm, and the logits less their log-sum-exp',
    ({ c, logits }) => {
      const out = array(op('logSoftmax')(tensor(logits, c)), 'out');
      equal(out.map(Math.exp), array(op('softmax')(tensor(logits, c)), 'out'), 1e-12, 1e-300);
      const normaliser = array(op('logSumExp')(tensor(logits, c)), 'out');
      equal(
        out,
        logits.map((x, i) => x - normaliser[Math.floor(i / c)]),
        1e-12,
        1e-12,
      );
    },
  );
  property('permuting the classes permutes the result', ({ c, logits }) => {
    const order = Array.from({ length: c }, (_, j) => (j * 7 + 3) % c);
    if (new Set(order).size !== c) return;
    const permuted = logits.map((_, i) => logits[i - (i % c) + order[i % c]]);
    const out = array(op('softmax')(tensor(logits, c)), 'out');
    equal(
      array(op('softmax')(tensor(permuted, c)), 'out'),
      out.map((_, i) => out[i - (i % c) + order[i % c]]),
      1e-12,
      0,
    );
  });
});

describe('crossEntropy', () => {
  property('gradient rows sum to 0', ({ c, logits, targets }) => {
    const result = op('crossEntropy')(tensor(logits, c), targets, {
      grad: true,
      labelSmoothing: 0.2,
      reduction: 'sum',
    });
    equal(rowSums(array(result, 'gradLogits'), c), new Float64Array(targets.length), 0, 1e-13);
  });
  property('with a z-loss gradient rows sum to its slope', ({ c, logits, targets }) => {
    const options = { grad: true, zLossWeight: 0.1, temperature: 2, reduction: 'sum' };
    const result = op('crossEntropy')(tensor(logits, c), targets, options);
    const normaliser = array(op('logSumExp')(tensor(logits, c), { temperature: 2 }), 'out');
    equal(
      rowSums(array(result, 'gradLogits'), c),
      normaliser.map((lse) => (2 * 0.1 * lse) / 2),
      1e-10,
      1e-12,
    );
  });
  property('is soft cross-entropy on smoothed one-hot rows', (b) => {
    const smoothed = oneHot(b).map((t) => 0.7 * t + 0.3 / b.c);
    const options = { grad: true, reduction: 'sum' };
    const soft = op('crossEntropySoft')(tensor(b.logits, b.c), tensor(smoothed, b.c), options);
    const hard = op('crossEntropy')(tensor(b.logits, b.c), b.targets, {
      ...options,
      labelSmoothing: 0.3,
    });
    equal(value(soft), value(hard));
    equal(array(soft, 'gradLogits'), array(hard, 'gradLogits'));
  });
  property('is the negative log-likelihood of log-softmax', ({ c, logits, targets }) => {
    const { out } = op('logSoftmax')(tensor(logits, c));
    const nll = op('nllLoss')(tensor(out as Float64Array, c), targets, none);
    equal(array(nll, 'loss'), array(op('crossEntropy')(tensor(logits, c), targets, none), 'loss'));
    const gathered = array(op('gatherLogProbs')(tensor(logits, c), targets), 'logProbs');
    equal(
      gathered.map((x) => -x),
      array(nll, 'loss'),
    );
  });
  property('is the focal loss with gamma 0', ({ c, logits, targets }) => {
    const options = { grad: true, reduction: 'sum' };
    const focal = op('focalLoss')(tensor(logits, c), targets, { ...options, gamma: 0 });
    const plain = op('crossEntropy')(tensor(logits, c), targets, options);
    equal(value(focal), value(plain));
    equal(array(focal, 'gradLogits'), array(plain, 'gradLogits'));
  });
  property('a column of -Infinity is no column', ({ n, c, logits, targets }) => {
    const wide = new Float64Array(n * (c + 1)).fill(-Infinity);
    for (let i = 0; i < n; i++) wide.set(logits.subarray(i * c, (i + 1) * c), i * (c + 1));
    const options = { grad: true, reduction: 'none' };
    const masked = op('crossEntropy')(tensor(wide, c + 1), targets, options);
    const plain = op('crossEntropy')(tensor(logits, c), targets, options);
    equal(array(masked, 'loss'), array(plain, 'loss'), 1e-12, 1e-14);
    const kept = array(masked, 'gradLogits').filter((_, i) => i % (c + 1) !== c);
    equal(kept, array(plain, 'gradLogits'), 1e-12, 1e-14);
  });
  property('bceWithLogits is cross-entropy on rows [0, x]', ({ logits }) => {
    const pairs = Float64Array.from({ length: 2 * logits.length }, (_, i) =>
      i % 2 === 0 ? 0 : logits[i >> 1],
    );
    const labels = Int32Array.from(logits, (_, i) => i % 2);
    const two = op('crossEntropy')(tensor(pairs, 2), labels, none);
    const binary = op('bceWithLogits')(logits, Float64Array.from(labels), none);
    equal(array(binary, 'loss'), array(two, 'loss'), 1e-10, 1e-13);
  });
});

describe('divergences and entropy', () => {
  property('KL(x, x) is 0, KL is not negative', ({ c, logits, other }) => {
    equal(
      array(op('klDiv')(tensor(logits, c), tensor(logits, c), none), 'loss'),
      new Float64Array(logits.length / c),
      0,
      1e-13,
    );
    const some = array(op('klDiv')(tensor(logits, c), tensor(other, c), none), 'loss');
    expect(some.every((x) => x >= -1e-13)).toBe(true);
  });
  property(
    'JSD with beta is JSD of the exchanged rows with 1 - beta, at most log 2 in the middle',
    ({ c, logits, other }) => {
      const left = array(
        op('jsDivergence')(tensor(logits, c), tensor(other, c), { ...none, beta: 0.3 }),
        'loss',
      );
      equal(
        array(
          op('jsDivergence')(tensor(other, c), tensor(logits, c), { ...none, beta: 0.7 }),
          'loss',
        ),
        left,
        1e-9,
        1e-12,
      );
      const middle = array(
        op('jsDivergence')(tensor(logits, c), tensor(other, c), { ...none, beta: 0.5 }),
        'loss',
      );
      expect(middle.every((x) => x <= Math.LN2 + 1e-12 && x >= -1e-13)).toBe(true);
    },
  );
  property('forward KL is soft cross-entropy less entropy', ({ c, logits, other }) => {
    const teacher = array(op('softmax')(tensor(other, c)), 'out');
    const soft = array(op('crossEntropySoft')(tensor(logits, c), tensor(teacher, c), none), 'loss');
    const entropy = array(op('entropy')(tensor(other, c)), 'entropy');
    equal(
      array(op('klDiv')(tensor(logits, c), tensor(other, c), none), 'loss'),
      soft.map((x, i) => x - entropy[i]),
      1e-8,
      1e-10,
    );
  });
  property('the entropy of a constant row is log c, of any row between', ({ c, logits }) => {
    equal(
      array(op('entropy')(Float64Array.from({ length: c }, () => logits[0])), 'entropy'),
      Float64Array.of(Math.log(c)),
      1e-12,
      1e-12,
    );
    const some = array(op('entropy')(tensor(logits, c)), 'entropy');
    expect(some.every((x) => x >= 0 && x <= Math.log(c) + 1e-12)).toBe(true);
  });
});

describe('every op', () => {
  for (const record of ops())
    test(`${record.name} returns the arrays it is given, with the same values`, () => {
      for (const double of [false, true]) {
        const sample = validSample(record, {
          double,
          optional: 'all',
          options: 'sampled',
          given: unreduced(record),
        });
        const plain = call(sample);
        const out: Record<string, Numbers> = {};
        for (const { name } of record.outputs)
          if (ArrayBuffer.isView(plain[name])) {
            out[name] = (plain[name] as Numbers).slice();
            out[name].fill(77);
          }
        const again = call(sample, { 'options.out': out });
        for (const [name, buffer] of Object.entries(out)) {
          expect(again[name], `${name}: ${reproducer(sample)}`).toBe(buffer);
          expect(buffer, `${name}: ${reproducer(sample)}`).toEqual(plain[name]);
        }
      }
    });
  for (const record of ops().filter((r) => lettersOf(r).includes('c')))
    test(`${record.name} gives rows the same bits as a call twice`, () => {
      const sample = validSample(record, { optional: 'all', sizes: { c: 37 } });
      expect(call(sample)).toEqual(call(sample));
    });
  for (const record of ops().filter(
    (r) => rowInputs(r).length > 0 && hasRowOutputs(r) && !onlyMeans(r) && !(r.name in coupledRows),
  ))
    test(`${record.name} treats a batch as its rows one by one`, () => {
      for (const c of [2, 3, 7, 16, 40, 300]) {
        const spec = { double: true, optional: 'all', sizes: { n: 6, '*': [6], c } } as const;
        const sample = validSample(record, { ...spec, given: unreduced(record), ignored: c > 10 });
        const batch = rowOutputs(record, call(sample));
        expect(batch.length).toBeGreaterThan(0);
        const rows = rowCount(sample);
        for (let i = 0; i < rows; i++) {
          const single = call(singleRow(sample, i));
          for (const [name, array] of batch) {
            const difference = closeTo(
              rowOf(array, i, rows),
              single[name] as Numbers,
              1e-12,
              1e-14,
            );
            if (difference !== undefined)
              expect.fail(`${name}, row ${i} ${difference} alone: ${reproducer(sample)}`);
          }
        }
      }
    });
});

describe('normalized gradients', () => {
  const labels = Int32Array.of(1, -1, -1, 1);
  test('are beta times the mean gradient, whatever the reduction', () => {
    const logits = Float64Array.of(-0.1, 2.1, -2.4, -0.8);
    const { gradLogits } = op('binaryLogisticLoss')(logits, labels, { grad: true });
    for (const reduction of ['mean', 'sum', 'none']) {
      const result = op('binaryLogisticLoss')(logits, labels, {
        grad: true,
        normalized: true,
        reduction,
      });
      const beta = value(result, 'beta');
      equal(
        array(result, 'gradLogits'),
        (gradLogits as Float64Array).map((g) => beta * g),
        1e-12,
        1e-14,
      );
    }
    const features = { data: Float64Array.of(1, 2, -1, 0.5, 3, 1, -2, 1), shape: [4, 2] };
    const theta = Float64Array.of(0.3, -0.2);
    const plain = op('logisticRegression')(features, labels, theta, { grad: true });
    const scaled = op('logisticRegression')(features, labels, theta, {
      grad: true,
      normalized: true,
    });
    const beta = value(scaled, 'beta');
    equal(
      array(scaled, 'gradTheta'),
      array(plain, 'gradTheta').map((g) => beta * g),
      1e-12,
      1e-14,
    );
  });
});
