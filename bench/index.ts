/**
 * `npm run bench`: measures, checks results first, and writes JSON, Markdown tables and SVG pictures. A full run writes
 * to bench/results; a quick or partial one to bench/out, so that it never mixes with published numbers.
 */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import cliProgress from 'cli-progress';
import { Command, InvalidArgumentError, Option } from 'commander';
import { getNumThreads, ops } from 'logitcore';
import type { Clock } from './measure.js';
import { describeMachine, isBusy, measureFmaGflops } from './machine.js';
import { writePlots } from './plots.js';
import { readResults, renderTables, writeResult, type SuiteName } from './report.js';
import { endPyTorch, pythonCommand } from './rivals/pytorch.js';
import {
  formatShape,
  genericShapes,
  headlineNames,
  parseShape,
  shapes,
  type Shape,
} from './shapes.js';
import {
  availableHeadlines,
  crossoverCases,
  genericCase,
  headlineCase,
  latencyCases,
  type Case,
  type GenericCase,
  type Plan,
} from './suites.js';

const folderOf = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url));
const collect =
  <T>(parse: (text: string) => T) =>
  (text: string, earlier: T[] | undefined) => [...(earlier ?? []), parse(text)];
const suiteNames: readonly SuiteName[] = ['headline', 'all-ops', 'crossover', 'latency'];

function shape(text: string): Shape {
  try {
    return parseShape(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function opName(text: string): string {
  if ([...availableHeadlines(), ...ops().map(({ name }) => name)].includes(text)) return text;
  throw new InvalidArgumentError('There is no such op.');
}

interface Options {
  quick: boolean;
  suite?: SuiteName[];
  op?: string[];
  shape?: Shape[];
  threads?: number[];
  rounds?: number;
  seed: number;
  clock: Clock;
  out?: string;
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It is not a positive integer.');
  return value;
}

function suiteName(text: string): SuiteName {
  const name = suiteNames.find((known) => known === text);
  if (!name) throw new InvalidArgumentError(`It is none of ${suiteNames.join(', ')}.`);
  return name;
}

const program = new Command('bench')
  .description(
    'times logitcore against memcpy, plain JavaScript, ONNX Runtime, TensorFlow.js and PyTorch',
  )
  .option('--quick', 'fewer rounds', false)
  .option(
    '--suite <name>',
    `one of ${suiteNames.join(', ')}; may be given again`,
    collect(suiteName),
  )
  .option(
    '--op <name>',
    `a headline op (${headlineNames.join(', ')}) or any op; may be given again`,
    collect(opName),
  )
  .option('--shape <rowsxcolumns>', 'for example 64x32000; may be given again', collect(shape))
  .option(
    '--threads <n>',
    'numbers of threads, 1 and all by default; may be given again',
    collect(positiveInteger),
  )
  .option('--rounds <n>', 'rounds of each case', positiveInteger)
  .option('--seed <n>', 'seed of the inputs', positiveInteger, 1)
  .addOption(
    new Option('--clock <name>', 'cpu is for one thread on a busy machine')
      .choices(['wall', 'cpu'])
      .default('wall'),
  )
  .option('--out <folder>', 'where results go');

async function main(): Promise<void> {
  const options = program.parse().opts<Options>();
  const partial =
    options.quick || [options.suite, options.op, options.shape, options.threads].some(Boolean);
  const folder = path.resolve(options.out ?? folderOf(partial ? 'out' : 'results'));
  const all = getNumThreads();
  const threads = options.threads ?? (all > 1 ? [1, all] : [1]);
  // Ratios to rivals are formed on one thread.
  if (!threads.includes(1)) threads.unshift(1);
  const rounds = options.rounds ?? (options.quick ? 5 : 15);
  const { seed, clock } = options;
  const [load] = os.loadavg();
  if (clock === 'cpu' && threads.length > 1)
    program.error('--clock cpu adds up the time of all threads: use it with --threads 1');
  const isWanted = (suite: SuiteName) => options.suite?.includes(suite) ?? true;
  const fmaGflops = isWanted('headline') ? measureFmaGflops() : undefined;
  // Described when results are written: only then PyTorch has said its version.
  const machine = () => describeMachine(load, fmaGflops);
  if (isBusy(machine()))
    console.log(
      `The load average is ${load.toFixed(1)}: other work on this machine slows long runs more than short ones,\n` +
        'which flatters logitcore. Wait, or compare one thread by --clock cpu --threads 1.',
    );

  const isWantedOp = (name: string) => options.op?.includes(name) ?? true;
  const headlines = isWanted('headline') ? availableHeadlines().filter(isWantedOp) : [];
  const headlineShapes = options.shape ?? shapes;
  const records = isWanted('all-ops') ? ops().filter(({ name }) => isWantedOp(name)) : [];
  const smallSuites = (['crossover', 'latency'] as const).filter(
    (name) => isWanted(name) && !options.op && !options.shape,
  );
  const steps =
    headlines.length * headlineShapes.length +
    records.length * genericShapes.length +
    smallSuites.length;

  if (pythonCommand() === undefined)
    console.log('PyTorch: not run (set LOGITCORE_BENCH_PYTHON to a python3 that has torch)');
  const bar = new cliProgress.SingleBar(
    { format: '{bar} {percentage}% {label}', etaBuffer: 50, hideCursor: true, noTTYOutput: false },
    cliProgress.Presets.shades_classic,
  );
  bar.start(steps, 0, { label: '' });
  let done = 0;
  const planFor = (label: string): Plan => {
    bar.update(done, { label });
    return {
      rounds,
      fewestRounds: options.quick ? 1 : 3,
      seed,
      threads,
      clock,
      onRound: (share) => {
        bar.update(done + share, { label });
      },
    };
  };

  for (const op of headlines) {
    const cases: Case[] = [];
    for (const shape of headlineShapes) {
      cases.push(await headlineCase(op, shape, planFor(`${op} ${formatShape(shape)}`)));
      done += 1;
    }
    writeResult(folder, {
      suite: 'headline',
      op,
      machine: machine(),
      seed,
      rounds,
      clock,
      cases,
    });
  }
  for (const suite of smallSuites) {
    const cases = await (suite === 'crossover' ? crossoverCases : latencyCases)(planFor(suite));
    writeResult(folder, { suite, machine: machine(), seed, rounds, clock, cases });
    done += 1;
  }
  if (records.length > 0) {
    const cases: GenericCase[] = [];
    const skipped: Record<string, string> = {};
    for (const record of records) {
      for (const shape of options.shape ?? genericShapes) {
        const item = await genericCase(
          record,
          shape,
          planFor(`${record.name} ${formatShape(shape)}`),
        );
        if (typeof item === 'string') skipped[record.name] = item;
        else cases.push(item);
        done += 1;
      }
    }
    writeResult(folder, {
      suite: 'all-ops',
      machine: machine(),
      seed,
      rounds,
      clock,
      cases,
      skipped,
    });
  }
  bar.update(steps, { label: 'done' });
  bar.stop();
  endPyTorch();

  const results = readResults(folder);
  writeFileSync(path.join(folder, 'table.md'), renderTables(results));
  await writePlots(folder, results);
  console.log(`results, table.md and pictures: ${folder}`);
}

// Printed here: for an uncaught error the handler of tfjs's wasm module prints its own minified source.
try {
  await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
