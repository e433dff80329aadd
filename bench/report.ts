/** Results as files: raw JSON a suite, one Markdown page of tables. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isBusy, type Machine } from './machine.js';
import { ratio, type Clock, type Quartiles, type Timing } from './measure.js';
import {
  bytesPerLogit,
  formatShape,
  headlineNames,
  memcpyBytesPerLogit,
  slowRunMs,
  tolerance,
} from './shapes.js';
import type { Case, GenericCase } from './suites.js';

export type SuiteName = 'headline' | 'all-ops' | 'crossover' | 'latency';

export interface SuiteResult {
  readonly suite: SuiteName;
  readonly op?: string;
  readonly machine: Machine;
  readonly seed: number;
  readonly rounds: number;
  readonly clock: Clock;
  readonly cases: readonly (Case | GenericCase)[];
  /** Ops without a measurement, with the reason. */
  readonly skipped?: Readonly<Record<string, string>>;
}

const fileName = ({ suite, op }: SuiteResult) => `${(op ?? suite).replace('+', '-')}.json`;

export function writeResult(folder: string, result: SuiteResult): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, fileName(result)), `${JSON.stringify(result, null, 1)}\n`);
}

export function readResults(folder: string): SuiteResult[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as SuiteResult);
}

export function findTiming(
  { timings }: Case,
  name: string,
  trip: 'op' | 'whole' = 'op',
  threads = 1,
): Timing | undefined {
  return timings.find(
    (timing) => timing.name === name && timing.trip === trip && timing.threads === threads,
  );
}

/** Bytes a second of a contestant over those of the copy on one thread. */
export function shareOfMemcpy(item: Case, timing: Timing): Quartiles | undefined {
  const copy = findTiming(item, 'memcpy');
  if (!copy) return undefined;
  const { q1, median, q3 } = ratio(copy, timing);
  const copied = memcpyBytesPerLogit * item.shape.rows * item.shape.columns;
  const scale = item.bytes / copied;
  return { q1: q1 * scale, median: median * scale, q3: q3 * scale };
}

const digits = (value: number): string => {
  if (value >= 99.5) return Math.round(value).toLocaleString('en-US');
  return value >= 9.95 ? value.toFixed(0) : value >= 0.995 ? value.toFixed(1) : value.toFixed(2);
};

function formatTime(ns: number): string {
  if (ns < 1e3) return `${digits(ns)} ns`;
  if (ns < 1e6) return `${digits(ns / 1e3)} µs`;
  return ns < 1e9 ? `${digits(ns / 1e6)} ms` : `${digits(ns / 1e9)} s`;
}

const formatQuartiles = ({ q1, median, q3 }: Quartiles, unit = '') =>
  `${digits(median)}${unit} (${digits(q1)}–${digits(q3)})`;

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, column) => (column === 0 ? ':--' : '--:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

const rivals = ['onnxruntime', 'tfjs wasm', 'tfjs cpu', 'plain JS', 'pytorch'];

function namesIn(cases: readonly Case[]): string[] {
  return rivals.filter((name) =>
    cases.some((item) => item.timings.some((timing) => timing.name === name)),
  );
}

/** Kept waiting by other processes for a fifth of the time or more. */
const isDisturbed = ({ cpuShare, threads, name }: Timing) =>
  name !== 'pytorch' && cpuShare < 0.8 * Math.min(threads, 1);

function rivalCell(
  item: Case,
  rival: string,
  trip: 'op' | 'whole',
  { rounds, clock }: SuiteResult,
): string {
  const own = findTiming(item, 'logitcore', trip);
  const other = findTiming(item, rival, trip);
  if (!own || !other) {
    const reason = Object.entries(item.notRun).find(([name]) => name.startsWith(rival))?.[1];
    return reason ? `– (${reason})` : '–';
  }
  const fewer = other.rounds < rounds ? `, ${other.rounds} rounds` : '';
  const disturbed = clock === 'wall' && (isDisturbed(other) || isDisturbed(own)) ? ' †' : '';
  return `${formatQuartiles(ratio(other, own), '×')}${fewer}${disturbed}`;
}

function headlineTable(result: SuiteResult, trip: 'op' | 'whole'): string {
  const { cases } = result;
  const names = namesIn(cases);
  const all = Math.max(...cases.flatMap((item) => item.timings.map((timing) => timing.threads)));
  const rows = cases.map((item) => {
    const one = findTiming(item, 'logitcore', trip);
    const many = all > 1 ? findTiming(item, 'logitcore', trip, all) : undefined;
    if (!one) return [formatShape(item.shape), '–'];
    const share = shareOfMemcpy(item, one);
    return [
      formatShape(item.shape),
      formatTime(one.ns.median),
      `${digits(item.bytes / one.ns.median)} GB/s`,
      share ? formatQuartiles(share) : '–',
      ...(many ? [formatQuartiles(ratio(one, many), '×')] : []),
      ...names.map((name) => rivalCell(item, name, trip, result)),
    ];
  });
  const head = [
    'shape',
    'time',
    'bytes',
    'of memcpy',
    ...(all > 1 ? [`${all} threads`] : []),
    ...names.map((n) => `vs ${n}`),
  ];
  return markdownTable(head, rows);
}

function smallTable(cases: readonly Case[], first: string, key: (item: Case) => string): string {
  return markdownTable(
    [
      first,
      'logitcore',
      'logitcore, new arrays',
      'plain JS',
      'plain JS, new arrays',
      'plain JS / logitcore',
    ],
    cases.map((item) => {
      const time = (name: string, trip: 'op' | 'whole') => {
        const timing = findTiming(item, name, trip);
        return timing ? formatTime(timing.ns.median) : '–';
      };
      const own = findTiming(item, 'logitcore');
      const other = findTiming(item, 'plain JS');
      return [
        key(item),
        time('logitcore', 'op'),
        time('logitcore', 'whole'),
        time('plain JS', 'op'),
        time('plain JS', 'whole'),
        own && other ? formatQuartiles(ratio(other, own), '×') : '–',
      ];
    }),
  );
}

function genericTable(cases: readonly GenericCase[]): string {
  const rows = cases.map((item) => {
    const timing = findTiming(item, 'logitcore')!;
    const copy = findTiming(item, 'memcpy')!;
    return [
      `${item.op}${item.grad ? ' (with gradient)' : ''}`,
      formatShape(item.shape),
      formatTime(timing.ns.median),
      `${digits(item.bytes / timing.ns.median)} GB/s`,
      formatQuartiles(ratio(copy, timing)),
      Math.max(0, ...Object.values(item.errors)).toExponential(0),
    ];
  });
  return markdownTable(['op', 'shape', 'time', 'bytes', 'of memcpy', 'error vs float64'], rows);
}

function machineLines({ machine, seed, rounds, clock }: SuiteResult): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.os}; logitcore runs its ${machine.isa} kernels.`,
    `Node ${machine.node} (V8 ${machine.v8}); ${versions.join(', ')}.`,
    `${machine.date}, seed ${seed}, ${rounds} rounds, ${clock === 'cpu' ? 'processor time' : 'wall clock'}.`,
    ...(isBusy(machine) && clock === 'wall'
      ? [
          `**The machine was busy (load ${machine.load} before the run): ratios to slower contestants are too large.**`,
        ]
      : []),
  ].join('\n');
}

const explanation = `\
Medians, quartiles in brackets. All contestants of a row are timed in every round in rotating order, and ratios are
formed within a round; a contestant that needs more than ${slowRunMs} ms a run takes part in fewer rounds, and the cell says
in how many. "Of memcpy" is bytes per second (float32 logits read and written, listed below) over those of
\`Float32Array.prototype.set\` on one thread at the same shape. "Op alone" has its outputs preallocated and, for tfjs, its
tensors uploaded; "whole trip" includes allocation, transfer and reading the result. Buffers are used again and again,
so shapes that fit into the caches stay there, for all contestants alike. Before it is timed every result must agree with a
float64 reference within ${tolerance.own} (logitcore) or ${tolerance.rival} (others) of the largest value.
"vs" is the rival's time over logitcore's, both on one thread: below 1 the rival is faster. † marks a comparison in which
one of the two waited for other processes for a fifth of the time or more.
Bytes per logit: ${headlineNames.map((name) => `${name} ${bytesPerLogit[name]}`).join(', ')}.`;

/** The page of all results, in the order of the list of ops. */
export function renderTables(results: readonly SuiteResult[]): string {
  const parts: string[] = [];
  const first = results.at(0);
  if (!first) return '';
  parts.push(machineLines(first), explanation);
  for (const name of headlineNames) {
    const result = results.find(({ suite, op }) => suite === 'headline' && op === name);
    if (!result || result.cases.length === 0) continue;
    parts.push(`### ${name}`);
    parts.push('Op alone:', headlineTable(result, 'op'));
    parts.push('Whole trip:', headlineTable(result, 'whole'));
  }
  const suite = (name: SuiteName) => results.find((result) => result.suite === name);
  const crossover = suite('crossover');
  if (crossover) {
    parts.push('### Small calls: cross-entropy with gradient against plain JavaScript');
    parts.push(smallTable(crossover.cases, 'shape', ({ shape }) => formatShape(shape)));
  }
  const latency = suite('latency');
  if (latency) {
    parts.push('### One call on [1,10]');
    parts.push(smallTable(latency.cases, 'op', (item) => (item as GenericCase).op));
  }
  const generic = suite('all-ops');
  if (generic) {
    parts.push('### Every op, one thread, outputs preallocated');
    parts.push(genericTable(generic.cases as GenericCase[]));
    const skipped = Object.entries(generic.skipped ?? {});
    if (skipped.length > 0)
      parts.push(
        ['Not measured:', ...skipped.map(([name, reason]) => `- ${name}: ${reason}`)].join('\n'),
      );
  }
  return `${parts.join('\n\n')}\n`;
}
