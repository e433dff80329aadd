/**
 * Interleaved timing. All contestants of a case are timed in every round, in an order that rotates, so that a change
 * of clock speed or a noisy neighbour hits all of them; ratios are formed within a round and their median reported.
 */
import { Bench } from 'tinybench';
import { slowRunMs } from './shapes.js';

export interface Contestant {
  readonly name: string;
  readonly threads: number;
  /** `op`: outputs preallocated, data where the contestant wants it. `whole`: allocation and transfer included. */
  readonly trip: 'op' | 'whole';
  readonly async?: boolean;
  /** Before a block of runs, outside the timing: choose the backend, set the threads. */
  prepare?(): void | Promise<void>;
  /** One run. A contestant in another process returns the nanoseconds that it measured itself. */
  run(): unknown;
  /** Named result arrays of the last run, to be checked before timing. */
  results?(): Promise<Results> | Results;
  dispose?(): void | Promise<void>;
}

export type Results = Record<string, ArrayLike<number>>;

export interface Quartiles {
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
}

export interface Timing {
  readonly name: string;
  readonly threads: number;
  readonly trip: 'op' | 'whole';
  readonly rounds: number;
  /** Nanoseconds of one call. */
  readonly ns: Quartiles;
  /** The median of each round; null where the contestant sat out. */
  readonly roundNs: readonly (number | null)[];
  /** Processor time over the time that passed; the work of other processes shows as less than the threads used. */
  readonly cpuShare: number;
}

export function quartiles(values: readonly number[]): Quartiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => {
    const position = share * (sorted.length - 1);
    const low = sorted[Math.floor(position)];
    return low + (sorted[Math.ceil(position)] - low) * (position % 1);
  };
  return { q1: at(0.25), median: at(0.5), q3: at(0.75) };
}

/** Runs too short for the clock are timed several at a time. */
const shortestSampleNs = 500_000;
const longestBlockNs = 8_000_000;

interface Paced {
  readonly contestant: Contestant;
  readonly inner: number;
  readonly samples: number;
  readonly everyRounds: number;
  readonly medians: (number | null)[];
  readonly cpuShares: number[];
}

function isDuration(value: unknown): value is { ns: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { ns?: unknown }).ns === 'number'
  );
}

/**
 * `wall` is what a user waits. On a busy machine it flatters short runs: a long one is interrupted and charged for the
 * work of others. `cpu` counts the time of this process only, so it is right for one thread on a busy machine.
 */
export type Clock = 'wall' | 'cpu';

interface Block {
  /** Nanoseconds of each sample by the chosen clock. */
  readonly samples: number[];
  /** Processor time of this process over the time that passed: well below 1 means that it was kept waiting. */
  readonly cpuShare: number;
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
};

async function block(
  contestant: Contestant,
  inner: number,
  samples: number,
  clock: Clock,
): Promise<Block> {
  await contestant.prepare?.();
  const bench = new Bench({
    iterations: samples,
    time: 0,
    warmup: false,
    retainSamples: true,
    throws: true,
  });
  let wall = 0;
  let cpu = 0;
  const finish = (start: number, cpuStart: number) => {
    const used = cpuMs() - cpuStart;
    wall += performance.now() - start;
    cpu += used;
    return clock === 'cpu' ? { overriddenDuration: used } : undefined;
  };
  if (contestant.async) {
    const run = async () => {
      let measured = 0;
      let isReported = false;
      const start = performance.now();
      const cpuStart = cpuMs();
      for (let i = 0; i < inner; i++) {
        const result = await contestant.run();
        if (isDuration(result)) {
          measured += result.ns;
          isReported = true;
        }
      }
      // The processor time of another process is not seen here.
      if (isReported) return { overriddenDuration: measured / 1e6 };
      return finish(start, cpuStart);
    };
    bench.add(contestant.name, run, { async: true });
    await bench.run();
  } else {
    const run = () => {
      const start = performance.now();
      const cpuStart = cpuMs();
      for (let i = 0; i < inner; i++) contestant.run();
      return finish(start, cpuStart);
    };
    bench.add(contestant.name, run, { async: false });
    bench.runSync();
  }
  const result = bench.tasks[0].result;
  if (!('latency' in result) || !result.latency.samples)
    throw new Error(`${contestant.name} was not timed`);
  return {
    samples: result.latency.samples.map((ms) => (ms * 1e6) / inner),
    cpuShare: wall > 0 ? cpu / wall : 1,
  };
}

async function pace(
  contestant: Contestant,
  { rounds, fewestRounds, clock }: RaceOptions,
): Promise<Paced> {
  const fastest = async (inner: number) =>
    Math.min(...(await block(contestant, inner, 3, clock)).samples);
  // The first block compiles and touches memory; the second shows how long a run is.
  const [first] = (await block(contestant, 1, 1, 'wall')).samples;
  let ns = first > slowRunMs * 2e6 ? first : await fastest(1);
  let inner = Math.max(1, Math.ceil(shortestSampleNs / Math.max(ns, 20)));
  if (inner > 1) {
    for (let warm = 0; warm < 3; warm++) ns = await fastest(inner);
    inner = Math.max(1, Math.ceil(shortestSampleNs / Math.max(ns, 1)));
  }
  const samples = Math.min(9, Math.max(1, Math.floor(longestBlockNs / (ns * inner))));
  const everyRounds = Math.max(
    1,
    Math.min(Math.floor(rounds / fewestRounds), Math.ceil(ns / 1e6 / slowRunMs)),
  );
  return { contestant, inner, samples, everyRounds, medians: [], cpuShares: [] };
}

export interface RaceOptions {
  readonly rounds: number;
  /** Slow contestants sit some rounds out, but take part in so many. */
  readonly fewestRounds: number;
  readonly clock: Clock;
  readonly onRound?: (done: number, all: number) => void;
}

export async function race(
  contestants: readonly Contestant[],
  options: RaceOptions,
): Promise<Timing[]> {
  const { rounds, clock } = options;
  const field: Paced[] = [];
  for (const contestant of contestants) field.push(await pace(contestant, options));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < field.length; i++) {
      const { contestant, inner, samples, everyRounds, medians, cpuShares } =
        field[(i + round) % field.length];
      if (round % everyRounds !== 0) {
        medians[round] = null;
        continue;
      }
      const timed = await block(contestant, inner, samples, clock);
      medians[round] = quartiles(timed.samples).median;
      cpuShares.push(timed.cpuShare);
    }
    options.onRound?.(round + 1, rounds);
  }
  return field.map(({ contestant, medians, cpuShares }) => {
    const timed = medians.filter((ns) => ns !== null);
    return {
      name: contestant.name,
      threads: contestant.threads,
      trip: contestant.trip,
      rounds: timed.length,
      ns: quartiles(timed),
      roundNs: medians.map((ns) => (ns === null ? null : Math.round(ns * 10) / 10)),
      cpuShare: Math.round(100 * quartiles(cpuShares).median) / 100,
    };
  });
}

/** How many times `fast` is as fast as `slow`, by the rounds in which both took part. */
export function ratio(slow: Timing, fast: Timing): Quartiles {
  return quartiles(
    slow.roundNs.flatMap((ns, round) => {
      const other = fast.roundNs[round];
      return ns === null || typeof other !== 'number' ? [] : [ns / other];
    }),
  );
}

/** Largest difference over the largest reference value; Infinity for NaN or a wrong length. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    if (Number.isNaN(error)) return Infinity;
    difference = Math.max(difference, error);
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return scale === 0 ? difference : difference / scale;
}

/** Runs a contestant once and compares its results with the reference. */
export async function check(contestant: Contestant, expected: Results): Promise<number> {
  await contestant.prepare?.();
  await contestant.run();
  const results: Partial<Results> = (await contestant.results?.()) ?? {};
  let worst = 0;
  for (const [name, values] of Object.entries(expected)) {
    const actual = results[name];
    worst = Math.max(worst, actual ? relativeError(actual, values) : Infinity);
  }
  return worst;
}
