/** Shares of a copy's rate by the number of columns: one line an op, one panel a type. */
import { palette, writePlot, type Panel } from '../plot.js';
import { describeDevice, type Result } from './table.js';

export async function plot(file: string, result: Result): Promise<void> {
  const ops = [...new Set(result.rows.map(({ op }) => op))];
  const dtypes = [...new Set(result.rows.map(({ dtype }) => dtype))];
  const most = Math.max(1, ...result.rows.map(({ shareOfCopy }) => shareOfCopy.median));
  const panel = (dtype: string): Panel => ({
    title: { f32: 'float32', bf16: 'bfloat16', f16: 'float16' }[dtype] ?? dtype,
    width: 420,
    height: 320,
    data: {
      values: result.rows
        .filter((row) => row.dtype === dtype)
        .map(({ op, columns, shareOfCopy }) => ({ op, columns, share: 100 * shareOfCopy.median })),
    },
    layer: [
      {
        mark: { type: 'rule', color: '#888', strokeDash: [4, 3] },
        encoding: { y: { datum: 100 } },
      },
      {
        mark: { type: 'line', point: { size: 50 }, strokeWidth: 2 },
        encoding: {
          x: {
            field: 'columns',
            type: 'quantitative',
            scale: { type: 'log', base: 2 },
            axis: { title: 'columns', format: 'd', labelAngle: -40 },
          },
          y: {
            field: 'share',
            type: 'quantitative',
            scale: { domain: [0, Math.ceil(11 * most) * 10] },
            axis: { title: '% of the rate of a copy' },
          },
          color: {
            field: 'op',
            type: 'nominal',
            sort: null,
            scale: { domain: ops, range: palette },
            legend: { title: null, orient: 'bottom', columns: 4 },
          },
        },
      },
    ],
  });
  await writePlot(file, {
    title: {
      text: result.emulated
        ? 'Emulated on the CPU: these times mean nothing'
        : 'Bytes moved per second, as a share of a copy on the device',
      subtitle: describeDevice(result),
      offset: 12,
    },
    hconcat: dtypes.map(panel),
  });
}
