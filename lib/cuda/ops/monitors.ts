import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.outputLogitStats} of tensors. */
export const outputLogitStats: DeviceOp<
  [logits: T],
  host.OutputLogitStatsOptions,
  keyof host.OutputLogitStats
> = op('outputLogitStats');
