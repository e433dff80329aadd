/** The measurements: headline ops against all rivals, every op alone, and small calls against plain JavaScript. */
import * as logitcore from 'logitcore';
import type { OpRecord } from 'logitcore';
import * as reference from '../test/reference.js';
import { headlineInputs, opArguments, type HeadlineInputs } from './inputs.js';
import {
  check,
  race,
  relativeError,
  type Clock,
  type Contestant,
  type Results,
  type Timing,
} from './measure.js';
import { isAvailable, logitcoreContestants, memcpyContestant } from './rivals/logitcore.js';
import { onnxContestants } from './rivals/onnx.js';
import { plainContestants } from './rivals/plain.js';
import { pytorchContestants } from './rivals/pytorch.js';
import { tfjsContestants } from './rivals/tfjs.js';
import {
  bytesPerLogit,
  crossoverShapes,
  headlineNames,
  tolerance,
  topKSize,
  type HeadlineName,
  type Shape,
} from './shapes.js';

export interface Plan {
  readonly rounds: number;
  readonly fewestRounds: number;
  readonly seed: number;
  readonly threads: readonly number[];
  readonly clock: Clock;
  readonly onRound: (share: number) => void;
}

export interface Case {
  readonly shape: Shape;
  /** Bytes that one call must move. */
  readonly bytes: number;
  readonly timings: readonly Timing[];
  /** Largest error of each contestant's results, relative to the largest reference value. */
  readonly errors: Readonly<Record<string, number>>;
  /** Contestants that were not timed, with the reason. */
  readonly notRun: Readonly<Record<string, string>>;
}

function expectedResults(op: HeadlineName, inputs: HeadlineInputs): Results {
  const { logits, teacher, targets, rows, columns } = inputs;
  const mean = ({ loss, grad }: reference.LossReference, withGradient = true): Results => ({
    loss: [reference.reduce(loss, 'mean') as number],
    ...(withGradient ? { grad: grad.map((value) => value / rows) } : {}),
  });
  switch (op) {
    case 'logSoftmax':
      return { out: reference.logSoftmax(logits, columns) };
    case 'softmax':
      return { out: reference.softmax(logits, columns) };
    case 'crossEntropy':
      return mean(reference.crossEntropy(logits, columns, targets), false);
    case 'crossEntropy+grad':
      return mean(reference.crossEntropy(logits, columns, targets));
    case 'klDiv+grad':
      return mean(reference.klDiv(logits, teacher, columns));
    case 'standardizedKlDiv+grad':
      return mean(reference.standardizedKlDiv(logits, teacher, columns));
    case 'zLoss+grad':
      return mean(reference.zLoss(logits, columns, targets));
    case 'topK': {
      // Rivals order equal values as they please, so only the values are compared.
      const { values } = reference.topK(logits, columns, topKSize(columns));
      return { values };
    }
    case 'entropy':
      return { entropy: reference.entropy(logits, columns) };
  }
}

const label = ({ name, threads, trip }: Contestant) =>
  `${name}, ${trip}, ${threads} thread${threads > 1 ? 's' : ''}`;

/** Checks all contestants, then times those that are right. */
async function compete(
  contestants: readonly Contestant[],
  expected: Results,
  notRun: Record<string, string>,
  plan: Plan,
): Promise<Pick<Case, 'timings' | 'errors' | 'notRun'>> {
  const errors: Record<string, number> = {};
  const right: Contestant[] = [];
  for (const contestant of contestants) {
    const error = contestant.name === 'memcpy' ? 0 : await check(contestant, expected);
    const allowed = contestant.name === 'logitcore' ? tolerance.own : tolerance.rival;
    if (contestant.name !== 'memcpy') errors[label(contestant)] = error;
    if (error <= allowed) right.push(contestant);
    else if (contestant.name === 'logitcore')
      throw new Error(`${label(contestant)}: results differ from the reference by ${error}`);
    else notRun[label(contestant)] = `wrong by ${error.toExponential(1)}`;
  }
  const timings = await race(right, {
    ...plan,
    onRound: (done, all) => {
      plan.onRound(done / all);
    },
  });
  for (const contestant of contestants) await contestant.dispose?.();
  return { timings, errors, notRun };
}

export const availableHeadlines = (): HeadlineName[] => headlineNames.filter(isAvailable);

export async function headlineCase(op: HeadlineName, shape: Shape, plan: Plan): Promise<Case> {
  const inputs = headlineInputs(shape, plan.seed);
  const notRun: Record<string, string> = {};
  const contestants = [
    memcpyContestant(inputs),
    ...logitcoreContestants(op, inputs, plan.threads),
    ...plainContestants(op, inputs),
  ];
  const rivals = {
    onnxruntime: onnxContestants,
    tfjs: tfjsContestants,
    pytorch: pytorchContestants,
  };
  for (const [name, create] of Object.entries(rivals)) {
    try {
      const made = await create(op, inputs, plan.threads);
      if (made.length === 0)
        notRun[name] = name === 'pytorch' ? 'no Python with torch was named' : 'no graph';
      contestants.push(...made);
    } catch (error) {
      notRun[name] = error instanceof Error ? error.message : String(error);
    }
  }
  const bytes = bytesPerLogit[op] * shape.rows * shape.columns;
  return {
    shape,
    bytes,
    ...(await compete(contestants, expectedResults(op, inputs), notRun, plan)),
  };
}

type Op = (...args: unknown[]) => Record<string, unknown>;
type Arrays = Record<string, Float32Array | Float64Array | Int32Array>;

function arraysOf(result: Record<string, unknown>): Arrays {
  return Object.fromEntries(
    Object.entries(result).filter(([, value]) => ArrayBuffer.isView(value)),
  ) as Arrays;
}

function numbersOf(result: Record<string, unknown>): Results {
  const entries = Object.entries(result).flatMap(([name, value]): [string, ArrayLike<number>][] => {
    if (typeof value === 'number') return [[name, [value]]];
    return ArrayBuffer.isView(value) ? [[name, value as unknown as ArrayLike<number>]] : [];
  });
  return Object.fromEntries(entries);
}

export interface GenericCase extends Case {
  readonly op: string;
  /** Whether the gradients were asked for. */
  readonly grad: boolean;
}

/**
 * One op on inputs made from its record, checked against its own float64 instance, beside a copy of as many bytes as
 * its arrays have. Undefined when the sample inputs are not good enough for the op.
 */
export async function genericCase(
  record: OpRecord,
  shape: Shape,
  plan: Plan,
): Promise<GenericCase | string> {
  const op = (logitcore as unknown as Record<string, Op | undefined>)[record.name];
  if (!op) return 'the library has no function of this name';
  const asks = record.outputs.flatMap(({ gradOf, when }) =>
    gradOf !== undefined && when ? [[when, true]] : [],
  );
  const wanted = Object.fromEntries(asks) as Record<string, unknown>;
  const single = opArguments(record, shape, plan.seed);
  const double = opArguments(record, shape, plan.seed, true);
  logitcore.setNumThreads(1);
  let expected: Results;
  let out: Arrays;
  try {
    expected = numbersOf(op(...double.positional, { ...double.options, ...wanted }));
    out = arraysOf(op(...single.positional, { ...single.options, ...wanted }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const finite = Object.entries(expected).filter(([, values]) =>
    Array.from(values).every(Number.isFinite),
  );
  const options = { ...single.options, ...wanted, out };
  let last: Record<string, unknown> = {};
  const contestant: Contestant = {
    name: 'logitcore',
    threads: 1,
    trip: 'op',
    prepare: () => {
      logitcore.setNumThreads(1);
    },
    run: () => {
      last = op(...single.positional, options);
    },
    results: () => numbersOf(last),
  };
  const bytes = Object.values(out).reduce((total, array) => total + array.byteLength, single.bytes);
  const copied = new Float32Array(Math.max(1, Math.round(bytes / 8)));
  contestant.run();
  for (const [name, values] of finite) {
    const actual = contestant.results!() as Results;
    const error = relativeError(actual[name] ?? [], values);
    // The table shows the error; a float32 op that loses digits on purpose (a difference of large numbers) is no bug.
    if (!(error < 1e-2))
      return `float32 and float64 differ by ${error.toExponential(1)} in ${name}`;
  }
  const timed = await compete([memcpyContestant({ logits: copied }), contestant], {}, {}, plan);
  const errors = Object.fromEntries(
    finite.map(([name, values]) => [
      name,
      relativeError((contestant.results!() as Results)[name], values),
    ]),
  );
  return { op: record.name, grad: asks.length > 0, shape, bytes, ...timed, errors };
}

/** Cross-entropy with its gradient from 4 to 1e5 elements against plain JavaScript: small calls are where that wins. */
export async function crossoverCases(plan: Plan): Promise<Case[]> {
  const cases: Case[] = [];
  for (const [done, shape] of crossoverShapes.entries()) {
    const inputs = headlineInputs(shape, plan.seed);
    const op = 'crossEntropy+grad';
    const contestants = [
      memcpyContestant(inputs),
      ...logitcoreContestants(op, inputs, [1]),
      ...plainContestants(op, inputs),
    ];
    const part = {
      ...plan,
      onRound: (share: number) => {
        plan.onRound((done + share) / crossoverShapes.length);
      },
    };
    const bytes = bytesPerLogit[op] * shape.rows * shape.columns;
    cases.push({
      shape,
      bytes,
      ...(await compete(contestants, expectedResults(op, inputs), {}, part)),
    });
  }
  return cases;
}

/** One row of ten logits: the cost of a call. */
export async function latencyCases(plan: Plan): Promise<(Case & { op: HeadlineName })[]> {
  const shape = { rows: 1, columns: 10 };
  const inputs = headlineInputs(shape, plan.seed);
  const cases: (Case & { op: HeadlineName })[] = [];
  const names = availableHeadlines();
  for (const [done, op] of names.entries()) {
    const contestants = [
      memcpyContestant(inputs),
      ...logitcoreContestants(op, inputs, [1]),
      ...plainContestants(op, inputs),
    ];
    const part = {
      ...plan,
      onRound: (share: number) => {
        plan.onRound((done + share) / names.length);
      },
    };
    const bytes = bytesPerLogit[op] * 10;
    cases.push({
      op,
      shape,
      bytes,
      ...(await compete(contestants, expectedResults(op, inputs), {}, part)),
    });
  }
  return cases;
}
