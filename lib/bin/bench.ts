import cliProgress from 'cli-progress';
import { runShortBench, type ShortBenchRow } from '../bench-short.js';

/** Runs the short bench; the progress bar goes to stderr, and only to a terminal. */
export async function benchRows(): Promise<ShortBenchRow[]> {
  const bar = new cliProgress.SingleBar({
    format: '{bar} {percentage}% {label}',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(1, 0, { label: '' });
  try {
    return await runShortBench((fraction, label) => {
      bar.update(fraction, { label });
    });
  } finally {
    bar.stop();
  }
}

const columns: readonly { title: string; text: (row: ShortBenchRow) => string }[] = [
  { title: 'op', text: (row) => row.op },
  { title: 'shape', text: (row) => row.shape },
  { title: 'level', text: (row) => row.isa },
  { title: 'threads', text: (row) => String(row.threads) },
  { title: 'ns/row', text: (row) => significant(row.nsPerRow) },
  { title: 'GB/s', text: (row) => significant(row.gbPerSecond) },
  { title: 'of memcpy', text: (row) => `${(100 * row.ofMemcpy).toFixed(0)}%` },
];
const textColumns = 3;

/** Three digits, and no exponent for large numbers. */
function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

export function benchLines(rows: readonly ShortBenchRow[]): string[] {
  const table = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => text(row))),
  ];
  const widths = columns.map((_, at) => Math.max(...table.map((cells) => cells[at].length)));
  return table.map((cells) =>
    cells
      .map((cell, at) => (at < textColumns ? cell.padEnd(widths[at]) : cell.padStart(widths[at])))
      .join('  '),
  );
}
