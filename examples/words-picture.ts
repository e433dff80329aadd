/** The curves of a run as a picture. */
import { palette, writePlot, type Panel } from '../bench/plot.js';
import { depths } from './words-measure.js';
import { titles } from './words-report.js';
import type { Model } from './words-models.js';

/** One row of panels against training time, one against updates. */
export async function drawCurves(
  file: string,
  models: readonly Model[],
  title: string,
): Promise<void> {
  const values = models.flatMap(({ recipe, progress }) =>
    progress.curve.flatMap(({ seconds, updates, errors }) =>
      errors.map((error, i) => ({
        model: titles[recipe.kind],
        depth: depths[i],
        error: 100 * error,
        seconds,
        updates,
      })),
    ),
  );
  const panel = (depth: number, field: 'seconds' | 'updates'): Panel => ({
    title: `top-${depth} error (%)`,
    width: 300,
    height: 200,
    transform: [{ filter: `datum.depth === ${depth}` }],
    mark: { type: 'line', point: { size: 30 }, strokeWidth: 2 },
    encoding: {
      x: {
        field,
        type: 'quantitative',
        scale: field === 'updates' ? { type: 'log' } : {},
        axis: {
          title: field === 'updates' ? 'updates' : 'seconds of training',
          format: '~s',
          tickCount: 5,
        },
      },
      y: { field: 'error', type: 'quantitative', scale: { zero: false }, axis: { title: null } },
      color: {
        field: 'model',
        type: 'nominal',
        scale: { domain: models.map(({ recipe }) => titles[recipe.kind]), range: palette },
        legend: { title: null, orient: 'bottom' },
      },
    },
  });
  const shown = [1, 10, 100];
  await writePlot(file, {
    data: { values },
    title: { text: title, anchor: 'middle', offset: 12 },
    vconcat: (['seconds', 'updates'] as const).map((field) => ({
      hconcat: shown.map((depth) => panel(depth, field)),
    })),
  });
}
