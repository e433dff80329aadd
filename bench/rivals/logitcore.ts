/** logitcore itself, and the copy of the same bytes that everything is measured against. */
import * as logitcore from 'logitcore';
import { topKSize, type HeadlineName } from '../shapes.js';
import type { HeadlineInputs } from '../inputs.js';
import type { Contestant, Results } from '../measure.js';

/** Read n floats, write n floats. */
export function memcpyContestant({ logits }: { logits: Float32Array }): Contestant {
  const copy = new Float32Array(logits.length);
  return {
    name: 'memcpy',
    threads: 1,
    trip: 'op',
    run: () => {
      copy.set(logits);
    },
    results: () => ({ copy }),
  };
}

type Op = (...args: unknown[]) => Record<string, unknown>;

interface Call {
  readonly op: string;
  readonly args: (inputs: HeadlineInputs) => unknown[];
  readonly options?: (inputs: HeadlineInputs) => Record<string, unknown>;
  /** Native output name and the name that the checks use, with its length. */
  readonly outputs: (
    inputs: HeadlineInputs,
  ) => Record<string, { as: string; array?: () => unknown }>;
}

const full = ({ logits }: HeadlineInputs) => new Float32Array(logits.length);

function withGradient(op: string, gradient: string, args: Call['args']): Call {
  return {
    op,
    args,
    options: () => ({ grad: true }),
    outputs: (inputs) => ({
      loss: { as: 'loss' },
      [gradient]: { as: 'grad', array: () => full(inputs) },
    }),
  };
}

const logits = (inputs: HeadlineInputs) => ({
  data: inputs.logits,
  shape: [inputs.rows, inputs.columns],
});
const teacher = (inputs: HeadlineInputs) => ({
  data: inputs.teacher,
  shape: [inputs.rows, inputs.columns],
});
const forward = (op: string): Call => ({
  op,
  args: (inputs) => [logits(inputs)],
  outputs: (inputs) => ({ out: { as: 'out', array: () => full(inputs) } }),
});
const withTargets: Call['args'] = (inputs) => [logits(inputs), inputs.targets];

const calls: Record<HeadlineName, Call> = {
  logSoftmax: forward('logSoftmax'),
  softmax: forward('softmax'),
  crossEntropy: {
    op: 'crossEntropy',
    args: withTargets,
    outputs: () => ({ loss: { as: 'loss' } }),
  },
  'crossEntropy+grad': withGradient('crossEntropy', 'gradLogits', withTargets),
  'klDiv+grad': withGradient('klDiv', 'gradStudent', (inputs) => [logits(inputs), teacher(inputs)]),
  'standardizedKlDiv+grad': withGradient('standardizedKlDiv', 'gradStudent', (inputs) => [
    logits(inputs),
    teacher(inputs),
  ]),
  'zLoss+grad': withGradient('zLoss', 'gradLogits', withTargets),
  topK: {
    op: 'topK',
    args: (inputs) => [logits(inputs)],
    options: ({ columns }) => ({ k: topKSize(columns) }),
    outputs: ({ rows, columns }) => ({
      values: { as: 'values', array: () => new Float32Array(rows * topKSize(columns)) },
      indices: { as: 'indices', array: () => new Int32Array(rows * topKSize(columns)) },
    }),
  },
  entropy: {
    op: 'entropy',
    args: (inputs) => [logits(inputs)],
    outputs: ({ rows }) => ({ entropy: { as: 'entropy', array: () => new Float32Array(rows) } }),
  },
};

/** Whether both the function and the native op exist: an addon that was not rebuilt lacks new ops. */
export function isAvailable(name: HeadlineName): boolean {
  const { op } = calls[name];
  return op in logitcore && logitcore.ops().some((record) => record.name === op);
}

export function logitcoreContestants(
  name: HeadlineName,
  inputs: HeadlineInputs,
  threads: readonly number[],
): Contestant[] {
  const call = calls[name];
  const op = (logitcore as unknown as Record<string, Op>)[call.op];
  const outputs = call.outputs(inputs);
  return threads.flatMap((count) =>
    (['op', 'whole'] as const).map((trip): Contestant => {
      const arrays = Object.entries(outputs).flatMap(([output, { array }]) =>
        array && trip === 'op' ? [[output, array()]] : [],
      );
      const out = Object.fromEntries(arrays) as Record<string, unknown>;
      const options = { ...call.options?.(inputs), ...(trip === 'op' ? { out } : {}) };
      const args = call.args(inputs);
      let last: Record<string, unknown> = {};
      return {
        name: 'logitcore',
        threads: count,
        trip,
        prepare: () => {
          logitcore.setNumThreads(count);
        },
        run: () => {
          last = op(...args, options);
        },
        results: () => {
          const results: Record<string, ArrayLike<number>> = {};
          for (const [output, { as }] of Object.entries(outputs)) {
            const value = last[output];
            results[as] = typeof value === 'number' ? [value] : (value as ArrayLike<number>);
          }
          return results satisfies Results;
        },
      };
    }),
  );
}
