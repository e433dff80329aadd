/**
 * `npm run bench:spherical`: one training step of an output layer, by its loss. At the vocabulary of the One Billion Word benchmark
 * (793 471 words), and as the number of classes grows. Spherical losses take the factored layer; their times are means over many
 * steps and so contain the stabilisations that fall due. Writes bench/results/spherical.{json,md,svg}, with --quick into bench/out.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import cliProgress from 'cli-progress';
import { Command } from 'commander';
import { setNumThreads } from 'logitcore';
import { normals, randomGenerator } from './inputs.js';
import { describeMachine, type Machine } from './machine.js';
import { quartiles, type Quartiles } from './measure.js';
import { palette, writePlot } from './plot.js';
import {
  denseSoftmax,
  hierarchicalSoftmax,
  sphericalLayer,
  sphericalLosses,
  type LayerSizes,
  type OutputLayer,
} from './rivals/output-layers.js';

const vocabulary = 793_471;
const learningRate = 0.01;
const rounds = 3;
const minibatches = 8;

const names = {
  dense: 'softmax, dense',
  hierarchical: 'softmax, two levels',
  z: 'Z-loss',
  mse: 'squared error',
  taylor: 'Taylor softmax',
  spherical: 'spherical softmax',
} as const;
type Name = keyof typeof names;

/** Steps timed in one round: enough that a layer's stabilisation, every 100 steps, is met in proportion. */
const stepsOf = (name: Name, quick: boolean): number => {
  if (name === 'dense') return 1;
  return name === 'hierarchical' ? 5 : quick ? 20 : 100;
};

interface Row {
  readonly classes: number;
  readonly dimensions: number;
  readonly batch: number;
  /** Milliseconds of a step: quartiles of the rounds' means. */
  readonly times: Partial<Record<Name, Quartiles>>;
}

type Minibatch = readonly [Float32Array, Int32Array];

/** Hidden rows of norm about 1; targets as frequent as words are: about as 1 over their rank. */
function minibatchesFor({ classes, dimensions, batch }: LayerSizes): Minibatch[] {
  const random = randomGenerator(classes + dimensions + batch);
  return Array.from({ length: minibatches }, () => [
    normals(batch * dimensions, random, 1 / Math.sqrt(dimensions)),
    Int32Array.from({ length: batch }, () =>
      Math.min(classes - 1, Math.floor(classes ** random()) - 1),
    ),
  ]);
}

function layerOf(name: Name, weight: Float32Array, sizes: LayerSizes): OutputLayer {
  if (name === 'dense') return denseSoftmax(weight, sizes);
  if (name === 'hierarchical') return hierarchicalSoftmax(weight, sizes);
  return sphericalLayer(weight, sizes, name);
}

/** Each contestant has the weights for itself, one after another: all at once, they would not fit into memory. */
function measure(
  sizes: LayerSizes,
  wanted: readonly Name[],
  quick: boolean,
  step: () => void,
): Row {
  const { classes, dimensions, batch } = sizes;
  const weight = new Float32Array(classes * dimensions);
  const data = minibatchesFor(sizes);
  const times: Partial<Record<Name, Quartiles>> = {};
  for (const name of wanted) {
    // Small random weights; which ones makes no difference to the time.
    const random = randomGenerator(7);
    const pattern = normals(Math.min(weight.length, 65_537), random, 1 / Math.sqrt(dimensions));
    for (let at = 0; at < weight.length; at += pattern.length)
      weight.set(pattern.subarray(0, Math.min(pattern.length, weight.length - at)), at);
    const layer = layerOf(name, weight, sizes);
    layer.step(...data[0]);
    const means: number[] = [];
    const steps = stepsOf(name, quick);
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      for (let i = 0; i < steps; i++) layer.step(...data[(round + i) % minibatches]);
      means.push((performance.now() - start) / steps);
    }
    layer.dispose?.();
    times[name] = quartiles(means);
    step();
  }
  return { classes, dimensions, batch, times };
}

const digits = (x: number): string => (x >= 100 ? x.toFixed(0) : x.toPrecision(2));
const time = (ms: number): string => (ms >= 1000 ? `${digits(ms / 1000)} s` : `${digits(ms)} ms`);

function table(rows: readonly Row[], { cpu, isa, date, load }: Machine): string {
  const all = Object.keys(names) as Name[];
  const lines = rows.map(({ dimensions, batch, times }) => {
    const cell = (name: Name) => (times[name] ? time(times[name].median) : '–');
    const gain = (slow: Name) =>
      times[slow] && times.z ? `${digits(times[slow].median / times.z.median)}×` : '–';
    return [dimensions, batch, ...all.map(cell), gain('dense'), gain('hierarchical')];
  });
  const head = [
    'd',
    'batch',
    ...all.map((name) => names[name]),
    'Z-loss: of dense',
    'of two levels',
  ];
  return [
    `One training step of the output layer over ${vocabulary.toLocaleString('en-US')} classes, one thread, ${cpu} (${isa}), ${date},` +
      ` load ${load} before the run. Medians of ${rounds} rounds; spherical losses with their stabilisations.`,
    '',
    ...[head, head.map(() => '--:'), ...lines].map((cells) => `| ${cells.join(' | ')} |`),
    '',
  ].join('\n');
}

async function plot(file: string, words: readonly Row[], growth: readonly Row[], cpu: string) {
  const panel = (
    title: string,
    rows: readonly Row[],
    field: 'batch' | 'classes',
    shown: string,
  ) => ({
    title,
    width: 380,
    height: 300,
    data: {
      values: rows.flatMap(({ times, ...row }) =>
        (Object.keys(times) as Name[]).map((name) => ({
          x: row[field],
          name: names[name],
          ms: times[name]!.median,
        })),
      ),
    },
    mark: { type: 'line' as const, point: { size: 50 }, strokeWidth: 2 },
    encoding: {
      x: {
        field: 'x',
        type: 'quantitative' as const,
        scale: { type: 'log' as const },
        axis: { title: shown, format: '~s' },
      },
      y: {
        field: 'ms',
        type: 'quantitative' as const,
        scale: { type: 'log' as const },
        axis: { title: 'ms a step', format: '~g' },
      },
      color: {
        field: 'name',
        type: 'nominal' as const,
        sort: null,
        scale: { domain: Object.values(names), range: palette },
        legend: { title: null, orient: 'bottom' as const, columns: 6 },
      },
    },
  });
  const { dimensions } = words.at(-1) ?? { dimensions: 0 };
  await writePlot(file, {
    title: {
      text: 'A training step of the output layer',
      subtitle: `one thread, ${cpu}`,
      offset: 12,
    },
    hconcat: [
      panel(
        `${vocabulary.toLocaleString('en-US')} classes, d = ${dimensions}`,
        words.filter((row) => row.dimensions === dimensions),
        'batch',
        'batch',
      ),
      panel(
        `batch ${growth[0]?.batch ?? 0}, d = ${growth[0]?.dimensions ?? 0}`,
        growth,
        'classes',
        'classes',
      ),
    ],
  });
}

async function main(): Promise<void> {
  const { quick = false } = new Command('bench:spherical')
    .option('--quick', 'few steps, d = 256, up to 100 000 classes')
    .parse()
    .opts<{ quick?: boolean }>();
  const [load] = os.loadavg();
  setNumThreads(1);
  const classes = quick ? 100_000 : vocabulary;
  const words = [256, 512]
    .filter((d) => !quick || d === 256)
    .flatMap((dimensions) =>
      [1, 32, 250].map((batch) => ({ classes, dimensions, batch, learningRate })),
    );
  const growth = [1e3, 1e4, 1e5, 1e6, 4e6]
    .filter((d) => !quick || d <= 1e5)
    .map((d) => ({ classes: d, dimensions: 256, batch: 32, learningRate }));
  const grown = ['dense', 'hierarchical', 'z'] as const;
  const all = ['dense', 'hierarchical', ...sphericalLosses] as const;
  const bar = new cliProgress.SingleBar(
    { format: '{bar} {label}', hideCursor: true },
    cliProgress.Presets.shades_classic,
  );
  bar.start(words.length * all.length + growth.length * grown.length, 0, { label: '' });
  const run = (sizes: LayerSizes, wanted: readonly Name[]): Row => {
    bar.update({ label: `${sizes.classes} classes, d ${sizes.dimensions}, batch ${sizes.batch}` });
    return measure(sizes, wanted, quick, () => {
      bar.increment();
    });
  };
  const results = {
    words: words.map((sizes) => run(sizes, all)),
    growth: growth.map((sizes) => run(sizes, grown)),
  };
  bar.stop();
  const folder = fileURLToPath(new URL(quick ? './out/' : './results/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const machine = describeMachine(load);
  writeFileSync(
    path.join(folder, 'spherical.json'),
    `${JSON.stringify({ machine, learningRate, rounds, ...results }, null, 1)}\n`,
  );
  const markdown = table(results.words, machine);
  writeFileSync(path.join(folder, 'spherical.md'), markdown);
  await plot(path.join(folder, 'spherical.svg'), results.words, results.growth, machine.cpu);
  console.log(`${markdown}\nspherical.json, .md and .svg: ${folder}`);
}

await main();
