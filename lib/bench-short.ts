/** A few seconds of timing with nothing but this package: what the command line tool shows on a user's machine. */
import * as native from './index.js';

export interface ShortBenchRow {
  readonly op: string;
  /** `[rows,columns]` */
  readonly shape: string;
  readonly isa: string;
  readonly threads: number;
  /** Median over the rounds. */
  readonly nsPerRow: number;
  /** Bytes of the logits read and of the results written, by time. */
  readonly gbPerSecond: number;
  /** Bytes per second over those of a one-thread copy of the logits, timed in the same rounds. */
  readonly ofMemcpy: number;
}

type Op = (...args: unknown[]) => unknown;

interface Task {
  readonly op: string;
  readonly threads: number;
  readonly bytes: number;
  readonly run: () => void;
  readonly times: number[];
}

const shapes = [
  [4096, 10],
  [1024, 1000],
  [64, 32000],
] as const;
const rounds = 15;
/** Runs too short for the clock are timed several at a time. */
const shortestSampleMs = 0.2;

/** A fixed sequence between -4 and 4. */
function sampleLogits(length: number): Float32Array {
  const logits = new Float32Array(length);
  for (let i = 0; i < length; i++) logits[i] = 4 * Math.sin(i * 0.6180339887 * 97);
  return logits;
}

function tasksOf(rows: number, columns: number, threadCounts: readonly number[]): Task[] {
  const data = sampleLogits(rows * columns);
  const logits = { data, shape: [rows, columns] };
  const teacher = { data: data.map((value) => -value), shape: [rows, columns] };
  const targets = Int32Array.from({ length: rows }, (_, row) => (row * 7) % columns);
  const result = new Float32Array(data.length);
  const values = new Float32Array(rows);
  const read = data.byteLength;
  const calls: [label: string, op: string, args: unknown[], options: object, bytes: number][] = [
    ['logSoftmax', 'logSoftmax', [logits], { out: { out: result } }, 2 * read],
    ['softmax', 'softmax', [logits], { out: { out: result } }, 2 * read],
    ['crossEntropy', 'crossEntropy', [logits, targets], {}, read],
    [
      'crossEntropy + gradient',
      'crossEntropy',
      [logits, targets],
      { grad: true, out: { gradLogits: result } },
      2 * read,
    ],
    [
      'klDiv + gradient',
      'klDiv',
      [logits, teacher],
      { grad: true, out: { gradStudent: result } },
      3 * read,
    ],
    ['entropy', 'entropy', [logits], { out: { entropy: values } }, read],
  ];
  const functions = native as unknown as Record<string, Op | undefined>;
  const copy: Task = {
    op: 'memcpy',
    threads: 1,
    bytes: 2 * read,
    run: () => {
      result.set(data);
    },
    times: [],
  };
  const tasks = calls.flatMap(([label, op, args, options, bytes]) => {
    const call = functions[op];
    if (!call) return [];
    return threadCounts.map((threads): Task => ({
      op: label,
      threads,
      bytes,
      run: () => call(...args, options),
      times: [],
    }));
  });
  return [copy, ...tasks];
}

function sample({ run, threads }: Task, inner: number): number {
  native.setNumThreads(threads);
  const start = performance.now();
  for (let i = 0; i < inner; i++) run();
  return (performance.now() - start) / inner;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1];

/** Lets the event loop turn, so that a progress bar can draw and the program can be interrupted. */
const pause = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * Times the main ops on one thread and on all. Tasks of a shape take turns in every round, in an order that rotates,
 * and shares of memcpy are formed within a round. The number of threads is put back at the end.
 */
export async function runShortBench(
  onProgress: (fraction: number, label: string) => void = () => undefined,
): Promise<ShortBenchRow[]> {
  const threadsBefore = native.getNumThreads();
  const threadCounts = threadsBefore > 1 ? [1, threadsBefore] : [1];
  const { isa } = native.info();
  const rows: ShortBenchRow[] = [];
  try {
    for (const [index, shape] of shapes.entries()) {
      const tasks = tasksOf(shape[0], shape[1], threadCounts);
      const inner = tasks.map((task) => {
        sample(task, 2);
        const once = sample(task, 3);
        return Math.max(1, Math.ceil(shortestSampleMs / Math.max(once, 1e-4)));
      });
      for (let round = 0; round < rounds; round++) {
        onProgress((index + round / rounds) / shapes.length, `[${shape.join()}]`);
        for (let i = 0; i < tasks.length; i++) {
          const at = (i + round) % tasks.length;
          tasks[at].times.push(sample(tasks[at], inner[at]));
        }
        await pause();
      }
      const [copy, ...ops] = tasks;
      for (const { op, threads, bytes, times } of ops) {
        const ms = median(times);
        const shares = times.map(
          (time, round) => (bytes / time) * (copy.times[round] / copy.bytes),
        );
        rows.push({
          op,
          shape: `[${shape.join()}]`,
          isa,
          threads,
          nsPerRow: (ms * 1e6) / shape[0],
          gbPerSecond: bytes / (ms * 1e6),
          ofMemcpy: median(shares),
        });
      }
    }
  } finally {
    native.setNumThreads(threadsBefore);
  }
  onProgress(1, 'done');
  return rows;
}
