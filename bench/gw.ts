/**
 * `npm run bench:gw`: the sorted closed form of graph distillation against the optimal-transport problem it stands for. For pairs of
 * co-activation graphs of n nodes: time of the closed form, of the entropic solver and of the exact search, and how far the closed
 * form lies below the Gromov-Wasserstein objective of order 1. The others stop at the size from which they are not practical.
 * Writes bench/results/gw.json and gw.svg, or with --quick into bench/out.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import cliProgress from 'cli-progress';
import { Command } from 'commander';
import {
  coactivationGraph,
  entropicGW,
  gldLoss,
  gwBruteForce,
  gwObjective,
  gwThirdLowerBound,
  setNumThreads,
} from 'logitcore';
import { normals, randomGenerator } from './inputs.js';
import { describeMachine } from './machine.js';
import { quartiles } from './measure.js';
import { palette, writePlot } from './plot.js';

const positions = 64;
const topK = 10;
const largest = { exact: 8, objective: 64, bound: 256, entropic: 512 };
const sizes = [8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 100000];
const names = {
  closed: 'closed form (gldLoss)',
  entropic: 'entropic solver',
  exact: 'exact search',
  third: 'third lower bound',
};

interface Row {
  readonly n: number;
  readonly pair: number;
  /** Milliseconds of each method. */
  readonly times: Record<string, number>;
  /** The Gromov-Wasserstein objective of order 1: of the best permutation, of the entropic solver's plan. */
  readonly exact?: number | undefined;
  readonly ofEntropicPlan?: number | undefined;
  /** Lower bounds of it. */
  readonly closed: number;
  readonly third?: number | undefined;
  readonly converged?: boolean | undefined;
}

/** Rows of logits with a common part and Gaussian noise, as two models have that saw the same text. */
function pairOfLogits(n: number, seed: number): [Float32Array, Float32Array] {
  const random = randomGenerator(seed);
  const base = normals(positions * n, random);
  const noise = normals(positions * n, random, 0.7);
  return [base, base.map((x, i) => 0.7 * x + noise[i])];
}

function timed<R>(times: Record<string, number>, name: string, run: () => R): R {
  const start = performance.now();
  const result = run();
  times[name] = performance.now() - start;
  return result;
}

function measure(n: number, pair: number): Row {
  const [student, teacher] = pairOfLogits(n, 1000 * n + pair);
  const shape = [positions, n];
  const options = { topK, nodes: 'vocab', transform: 'softmax' } as const;
  const times: Record<string, number> = {};
  const left = { data: student, shape };
  const right = { data: teacher, shape };
  gldLoss(left, right, options); // warms up
  const { loss } = timed(times, names.closed, () => gldLoss(left, right, options));
  // The matrices below are n times the graphs, so that their entries do not shrink with n.
  const closed = loss;
  if (n > largest.entropic) return { n, pair, times, closed };

  const graph = (logits: typeof left) => ({
    data: Float64Array.from(coactivationGraph(logits, options).graph, (x) => x * n),
    shape: [n, n],
  });
  const [c, d] = [graph(left), graph(right)];
  // The unit of the matrices is the solver's: entries of order 1 for an epsilon of 0.05 of their mean square.
  const scale = c.data.reduce((sum, x) => sum + x * x, 0) / c.data.length;
  const { plan, converged } = timed(times, names.entropic, () =>
    entropicGW(c, d, { epsilon: 0.05 * Math.max(scale, 1e-12) }),
  );
  const third =
    n <= largest.bound
      ? timed(times, names.third, () => gwThirdLowerBound(c, d, { method: 'relaxed' })).value
      : undefined;
  const ofEntropicPlan =
    n <= largest.objective
      ? gwObjective(c, d, { data: plan, shape: [n, n] }, { loss: 'abs' }).value
      : undefined;
  const exact =
    n <= largest.exact ? timed(times, names.exact, () => gwBruteForce(c, d)).value : undefined;
  return { n, pair, times, closed, third, exact, ofEntropicPlan, converged };
}

async function plot(file: string, rows: readonly Row[]): Promise<void> {
  const perSize = (value: (row: Row) => number | undefined, name: string) =>
    sizes.flatMap((n) => {
      const found = rows.filter((row) => row.n === n).map(value);
      const numbers = found.filter((x): x is number => x !== undefined && Number.isFinite(x));
      return numbers.length > 0 ? [{ n, name, value: quartiles(numbers).median }] : [];
    });
  const times = Object.values(names).flatMap((name) => perSize(({ times }) => times[name], name));
  const shares = [
    ...perSize(({ closed, exact }) => exact && (100 * closed) / exact, 'closed form / exact'),
    ...perSize(
      ({ closed, ofEntropicPlan }) => ofEntropicPlan && (100 * closed) / ofEntropicPlan,
      'closed form / entropic plan',
    ),
    ...perSize(
      ({ third, ofEntropicPlan }) => third && ofEntropicPlan && (100 * third) / ofEntropicPlan,
      'third bound / entropic plan',
    ),
    ...perSize(
      ({ exact, ofEntropicPlan }) => exact && ofEntropicPlan && (100 * exact) / ofEntropicPlan,
      'exact / entropic plan',
    ),
  ];
  const panel = (values: readonly object[], title: string, y: object) => ({
    title,
    width: 400,
    height: 280,
    data: { values: [...values] },
    mark: { type: 'line' as const, point: { size: 50 }, strokeWidth: 2 },
    encoding: {
      x: {
        field: 'n',
        type: 'quantitative' as const,
        scale: { type: 'log' as const },
        axis: { title: 'nodes', format: '~s' },
      },
      y: { field: 'value', type: 'quantitative' as const, ...y },
      color: {
        field: 'name',
        type: 'nominal' as const,
        sort: null,
        scale: { range: palette },
        legend: { title: null, orient: 'bottom' as const, columns: 2 },
      },
    },
  });
  await writePlot(file, {
    title: {
      text: 'Gromov-Wasserstein between co-activation graphs',
      subtitle: `${positions} positions, top ${topK}, medians of pairs; ${os.cpus()[0].model}, one thread`,
      offset: 12,
    },
    hconcat: [
      panel(times, 'time (ms)', { scale: { type: 'log' }, axis: { title: null, format: '~g' } }),
      panel(shares, 'share of the objective of order 1 (%)', {
        scale: { domain: [0, 105] },
        axis: { title: null },
      }),
    ],
    resolve: { scale: { color: 'independent' } },
  });
}

async function main(): Promise<void> {
  const { quick } = new Command('bench:gw')
    .option('--quick', 'one pair of graphs a size, up to 1024 nodes')
    .parse()
    .opts<{ quick?: boolean }>();
  const used = quick ? sizes.filter((n) => n <= 1024) : sizes;
  const pairs = quick ? 1 : 5;
  setNumThreads(1);
  const bar = new cliProgress.SingleBar(
    { format: '{bar} {n} nodes', hideCursor: true },
    cliProgress.Presets.shades_classic,
  );
  bar.start(used.length * pairs, 0, { n: used[0] });
  const rows: Row[] = [];
  for (const n of used)
    for (let pair = 0; pair < pairs; pair++) {
      bar.update({ n });
      rows.push(measure(n, pair));
      bar.increment();
    }
  bar.stop();
  const folder = fileURLToPath(new URL(quick ? './out/' : './results/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const machine = describeMachine(os.loadavg()[0]);
  writeFileSync(
    path.join(folder, 'gw.json'),
    `${JSON.stringify({ machine, positions, topK, rows }, null, 2)}\n`,
  );
  await plot(path.join(folder, 'gw.svg'), rows);
  console.log(`gw.json and gw.svg: ${folder}`);
}

await main();
