/** What cuda_bench and torch_rows.py found, as one result and as a page of tables. */
import type { Quartiles } from '../measure.js';

export interface OwnRow {
  readonly op: string;
  readonly dtype: string;
  readonly rows: number;
  readonly columns: number;
  /** Sets of arrays that calls went round over. */
  readonly sets: number;
  /** That a call has to move: each input once, each output once. */
  readonly bytes: number;
  readonly microseconds: Quartiles;
  readonly copyMicroseconds: Quartiles;
  /** The time of a copy that moves as many bytes, over that of the call: formed within each round. */
  readonly shareOfCopy: Quartiles;
  readonly gigabytesPerSecond: number;
}

export interface Own {
  readonly device: string;
  readonly emulated: boolean;
  readonly computeCapability: string;
  readonly multiprocessors: number;
  readonly memoryBytes: number;
  readonly cacheBytes: number;
  readonly driver: string;
  readonly runtime: string;
  readonly logitcore: string;
  readonly rounds: number;
  readonly rows: readonly OwnRow[];
  readonly latencies: readonly { op: string; alone: number; inARow: number }[];
  /** Shapes that were not timed, and why. */
  readonly left: readonly string[];
}

export interface RivalRow {
  readonly op: string;
  readonly dtype: string;
  readonly rows: number;
  readonly columns: number;
  readonly name: string;
  readonly microseconds: Quartiles;
  readonly shareOfCopy: Quartiles;
}

export interface Rivals {
  readonly device: string;
  readonly versions: Readonly<Record<string, string | null>>;
  readonly rows: readonly RivalRow[];
  readonly left: readonly string[];
}

export interface Result extends Omit<Own, 'rows'> {
  readonly date: string;
  /** As nvidia-smi has it. */
  readonly driverVersion?: string | undefined;
  readonly rows: readonly (OwnRow & { readonly rivals: readonly RivalRow[] })[];
  readonly rivals?: Omit<Rivals, 'rows'> | undefined;
}

export function merge(
  own: Own,
  rivals: Rivals | undefined,
  driverVersion: string | undefined,
  date: string,
): Result {
  if (rivals && rivals.device !== own.device)
    throw new Error(`PyTorch ran on ${rivals.device}, logitcore on ${own.device}`);
  const isSame = (a: OwnRow) => (b: RivalRow) =>
    a.op === b.op && a.dtype === b.dtype && a.rows === b.rows && a.columns === b.columns;
  return {
    ...own,
    date,
    driverVersion,
    rows: own.rows.map((row) => ({ ...row, rivals: rivals?.rows.filter(isSame(row)) ?? [] })),
    rivals: rivals && { device: rivals.device, versions: rivals.versions, left: rivals.left },
  };
}

const digits = (x: number): string => (x >= 100 ? x.toFixed(0) : x.toPrecision(3));
const percent = ({ q1, median, q3 }: Quartiles): string =>
  `${(100 * median).toFixed(1)} (${(100 * q1).toFixed(1)}–${(100 * q3).toFixed(1)})`;

function lines(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '--:'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

/** How often a rival's time is logitcore's: by their shares of copies, each measured beside its own. */
export const timesSlower = (own: OwnRow, rival: RivalRow): number =>
  own.shareOfCopy.median / rival.shareOfCopy.median;

export function describeDevice(result: Result): string {
  const gibibytes = Math.round(result.memoryBytes / 2 ** 30);
  const driver = result.driverVersion ? `, driver ${result.driverVersion}` : '';
  return `${result.device}, ${gibibytes} GiB, CUDA ${result.runtime}${driver}, logitcore ${result.logitcore}, ${result.date}`;
}

export function table(result: Result): string {
  const versions = Object.entries(result.rivals?.versions ?? {}).flatMap(([name, version]) =>
    version ? [`${name} ${version}`] : [],
  );
  const names = [...new Set(result.rows.flatMap(({ rivals }) => rivals.map(({ name }) => name)))];
  const page = [
    ...(result.emulated ? ['**Emulated on the CPU: these times mean nothing.**', ''] : []),
    `${describeDevice(result)}${versions.length > 0 ? `; ${versions.join(', ')}` : ''}.`,
    `Medians of ${result.rounds} rounds, quartiles in brackets. A call's bytes are its inputs, read once, and its outputs, written`,
    'once. "% of a copy" is the time of a device-to-device copy that moves as many bytes, measured in the same rounds, over that',
    'of the call, launches included. Calls follow each other and go round over so many sets of arrays that none is still in the',
    'L2 cache. Results are compared with a float64 reference before they are timed. Other columns: their time over that of',
    'logitcore, each by its share of the copy beside it; below 1 the other is faster. An op that writes little (klDiv without',
    'gradient, topK) may read faster than a copy reads and writes.',
    '',
  ];
  for (const op of new Set(result.rows.map((row) => row.op))) {
    page.push(`### ${op}`, '');
    page.push(
      ...lines(
        [
          'type',
          'rows',
          'columns',
          'µs',
          'GB/s',
          '% of a copy',
          ...names.map((name) => `${name} ×`),
        ],
        result.rows
          .filter((row) => row.op === op)
          .map((row) => [
            row.dtype,
            String(row.rows),
            String(row.columns),
            digits(row.microseconds.median),
            digits(row.gigabytesPerSecond),
            percent(row.shareOfCopy),
            ...names.map((name) => {
              const rival = row.rivals.find((other) => other.name === name);
              return rival ? timesSlower(row, rival).toFixed(2) : '';
            }),
          ]),
      ),
      '',
    );
  }
  page.push('### One row of 1024 float32 logits', '');
  page.push(
    ...lines(
      ['call', 'µs until it has ended', 'µs a call in a row'],
      result.latencies.map(({ op, alone, inARow }) => [op, digits(alone), digits(inARow)]),
    ),
    '',
  );
  const left = [...result.left, ...(result.rivals?.left ?? [])];
  if (left.length > 0) page.push('Not timed:', '', ...left.map((reason) => `- ${reason}`), '');
  return page.join('\n');
}
