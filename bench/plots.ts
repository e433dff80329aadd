/** The pictures of the benchmark: bytes per second against a copy, the roofline, and where plain JavaScript wins. */
import path from 'node:path';
import { quartiles } from './measure.js';
import { palette, writePlot, type Panel } from './plot.js';
import { findTiming, shareOfMemcpy, type SuiteResult } from './report.js';
import {
  bytesPerLogit,
  flopsPerLogit,
  formatShape,
  headlineNames,
  memcpyBytesPerLogit,
  shapes,
  type HeadlineName,
} from './shapes.js';

const contestants = ['logitcore', 'plain JS', 'onnxruntime', 'tfjs wasm', 'tfjs cpu', 'pytorch'];

function subtitle({ machine }: SuiteResult): string {
  return `${machine.cpu}, ${machine.isa}, Node ${machine.node}, ${machine.date}`;
}

/** One dot a contestant; the line at 100 % is what a copy of the same bytes reaches on this machine. */
async function plotShares(folder: string, results: readonly SuiteResult[]): Promise<void> {
  const headline = results.filter(({ suite }) => suite === 'headline');
  const values = headline.flatMap(({ op, cases }) =>
    cases.flatMap((item) =>
      contestants.flatMap((name) => {
        const timing = findTiming(item, name);
        const share = timing && shareOfMemcpy(item, timing);
        return share
          ? [{ op, shape: formatShape(item.shape), name, share: 100 * share.median }]
          : [];
      }),
    ),
  );
  if (values.length === 0) return;
  const used = contestants.filter((name) => values.some((value) => value.name === name));
  await writePlot(path.join(folder, 'of-memcpy.svg'), {
    title: {
      text: 'Bytes moved per second, as a share of a copy',
      subtitle: `one thread, outputs preallocated; ${subtitle(headline[0])}`,
      offset: 16,
    },
    data: { values },
    facet: { field: 'op', type: 'nominal', sort: [...headlineNames], title: null },
    columns: 2,
    spacing: { row: 18, column: 24 },
    spec: {
      width: 360,
      height: 130,
      layer: [
        {
          mark: { type: 'rule', color: '#888', strokeDash: [4, 3] },
          encoding: { x: { datum: 100 } },
        },
        {
          mark: { type: 'point', filled: true, size: 90, opacity: 0.95 },
          encoding: {
            x: {
              field: 'share',
              type: 'quantitative',
              scale: { type: 'log', domain: [0.001, 300] },
              axis: {
                title: '% of the bytes per second of memcpy',
                values: [0.001, 0.01, 0.1, 1, 10, 100],
                format: '~g',
                labelOverlap: false,
              },
            },
            y: {
              field: 'shape',
              type: 'nominal',
              sort: shapes.map(formatShape),
              title: null,
              axis: { grid: true },
            },
            color: {
              field: 'name',
              type: 'nominal',
              sort: used,
              scale: { domain: used, range: palette.slice(0, used.length) },
              legend: { title: null, orient: 'top' },
            },
            shape: { field: 'name', type: 'nominal', sort: used, scale: { domain: used } },
          },
        },
      ],
    },
  });
}

/** The roof of one shape: the copy's bytes per second times intensity, up to the processor's fused multiply-adds. */
async function plotRoofline(folder: string, results: readonly SuiteResult[]): Promise<void> {
  const headline = results.filter(({ suite }) => suite === 'headline');
  const peak = headline[0]?.machine.fmaGflops;
  if (!peak) return;
  const drawn = shapes.filter(({ columns }) => columns >= 1000).slice(0, 2);
  const intensity = (op: HeadlineName) => flopsPerLogit[op] / bytesPerLogit[op];
  const [lowest, highest] = [0.1, 10];
  const panel = (shape: string) => {
    const cases = headline.flatMap(({ op, cases: all }) =>
      all
        .filter((item) => formatShape(item.shape) === shape)
        .map((item) => ({ op: op as HeadlineName, item })),
    );
    const points = cases.flatMap(({ op, item }) =>
      contestants.flatMap((name) => {
        const timing = findTiming(item, name);
        const work = flopsPerLogit[op] * item.shape.rows * item.shape.columns;
        return timing
          ? [{ op, name, intensity: intensity(op), gflops: work / timing.ns.median }]
          : [];
      }),
    );
    const copies = cases.flatMap(({ item }) => {
      const copy = findTiming(item, 'memcpy');
      const bytes = memcpyBytesPerLogit * item.shape.rows * item.shape.columns;
      return copy ? [bytes / copy.ns.median] : [];
    });
    const bandwidth = quartiles(copies).median;
    const roof = [lowest, Math.min(Math.max(peak / bandwidth, lowest), highest), highest].map(
      (at) => ({ intensity: at, gflops: Math.min(peak, bandwidth * at) }),
    );
    // Ops that do about the same for a byte share a label.
    const names: { label: string; intensity: number; gflops: number }[] = [];
    for (const op of headlineNames.toSorted((p, q) => intensity(p) - intensity(q))) {
      const rates = points.filter((point) => point.op === op).map(({ gflops }) => gflops);
      if (rates.length === 0) continue;
      const last = names.at(-1);
      const label = { label: op as string, intensity: intensity(op), gflops: Math.max(...rates) };
      if (!last || label.intensity > 1.15 * last.intensity) names.push(label);
      else {
        last.label += `, ${op}`;
        last.gflops = Math.max(last.gflops, label.gflops);
      }
    }
    const x = {
      field: 'intensity',
      type: 'quantitative',
      scale: { type: 'log', domain: [lowest, highest] },
      axis: { title: 'floating-point operations a byte', format: '~g' },
    } as const;
    const y = {
      field: 'gflops',
      type: 'quantitative',
      scale: { type: 'log', domain: [0.002, 4 * peak] },
      axis: { title: 'GFLOP/s', format: '~g' },
    } as const;
    return {
      title: {
        text: `${shape}: copy ${bandwidth.toFixed(0)} GB/s, multiply-adds ${peak.toFixed(0)} GFLOP/s`,
        anchor: 'start',
      },
      width: 400,
      height: 320,
      layer: [
        {
          data: { values: roof },
          mark: { type: 'line', color: '#444', strokeWidth: 2 },
          encoding: { x, y },
        },
        {
          data: { values: points },
          mark: { type: 'point', filled: true, size: 70 },
          encoding: {
            x,
            y,
            color: {
              field: 'name',
              type: 'nominal',
              sort: contestants,
              scale: { domain: contestants, range: palette.slice(0, contestants.length) },
              legend: { title: null, orient: 'bottom', columns: 6 },
            },
            shape: {
              field: 'name',
              type: 'nominal',
              sort: contestants,
              scale: { domain: contestants },
            },
          },
        },
        {
          data: { values: names },
          mark: { type: 'text', angle: 300, align: 'left', dx: 8, dy: -2, fontSize: 11 },
          encoding: { x, y, text: { field: 'label', type: 'nominal' } },
        },
      ],
    } as const;
  };
  await writePlot(path.join(folder, 'roofline.svg'), {
    title: {
      text: 'Roofline: how far from what memory and arithmetic allow',
      subtitle: `one thread, outputs preallocated; ${subtitle(headline[0])}`,
      offset: 16,
    },
    hconcat: drawn.map((shape) => panel(formatShape(shape)) as unknown as Panel),
  });
}

async function plotCrossover(folder: string, results: readonly SuiteResult[]): Promise<void> {
  const result = results.find(({ suite }) => suite === 'crossover');
  if (!result) return;
  const values = result.cases.flatMap((item) =>
    (['logitcore', 'plain JS'] as const).flatMap((name) =>
      (['op', 'whole'] as const).flatMap((trip) => {
        const timing = findTiming(item, name, trip);
        const elements = item.shape.rows * item.shape.columns;
        const line = `${name}, ${trip === 'op' ? 'arrays reused' : 'new arrays'}`;
        return timing ? [{ elements, line, microseconds: timing.ns.median / 1e3 }] : [];
      }),
    ),
  );
  const lines = [...new Set(values.map(({ line }) => line))];
  await writePlot(path.join(folder, 'crossover.svg'), {
    title: {
      text: 'Cross-entropy with gradient: small calls against plain JavaScript',
      subtitle: `one thread; ${subtitle(result)}`,
      offset: 12,
    },
    width: 520,
    height: 320,
    data: { values },
    mark: { type: 'line', point: { size: 40 }, strokeWidth: 2 },
    encoding: {
      x: {
        field: 'elements',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: { title: 'logits in a call', format: '~s' },
      },
      y: {
        field: 'microseconds',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: { title: 'µs a call', format: '~g' },
      },
      color: {
        field: 'line',
        type: 'nominal',
        sort: lines,
        scale: { domain: lines, range: [palette[0], palette[5], palette[1], palette[4]] },
        legend: { title: null, orient: 'bottom', columns: 2, labelLimit: 260 },
      },
    },
  });
}

export async function writePlots(folder: string, results: readonly SuiteResult[]): Promise<void> {
  await plotShares(folder, results);
  await plotRoofline(folder, results);
  await plotCrossover(folder, results);
}
