/** Vega-Lite pictures as SVG files, drawn without a browser; shared by the benchmark and the examples. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** One panel of a picture: a mark with its encoding. */
export type Panel = NonNullable<Extract<TopLevelSpec, { hconcat: unknown }>['hconcat']>[number];

/** Okabe and Ito's colours, which stay apart for colour-blind readers. */
export const palette = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#000000',
];

const config = {
  background: 'white',
  font: 'DejaVu Sans, Helvetica, Arial, sans-serif',
  axis: { labelFontSize: 12, titleFontSize: 13, titleFontWeight: 'normal', gridColor: '#e5e5e5' },
  legend: { labelLimit: 280, labelFontSize: 12, titleFontSize: 13, titleFontWeight: 'normal' },
  title: { fontSize: 15, fontWeight: 'bold', subtitleFontSize: 12, subtitleColor: '#444' },
  header: { labelFontSize: 13, labelFontWeight: 'bold' },
  view: { stroke: '#bbb' },
} as const;

export async function writePlot(file: string, spec: TopLevelSpec): Promise<void> {
  const { spec: compiled } = compile({ ...spec, config });
  const view = new vega.View(vega.parse(compiled), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${svg}\n`);
}
