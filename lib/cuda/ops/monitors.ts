import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.outputLogitStats} of tensors. */
export const outputLogitStats: DeviceOp<
  [logits: T],
  host.OutputLogitStatsOptions,
  keyof host.OutputLogitStats
> = op('outputLogitStats');
/** {@link host.attentionLogitStats} of tensors. */
export const attentionLogitStats: DeviceOp<
  [q: T, k: T],
  host.AttentionLogitStatsOptions,
  keyof host.AttentionLogitStats
> = op('attentionLogitStats');
