import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.nllLoss} of tensors. */
export const nllLoss: DeviceOp<
  [logProbs: T, targets: T],
  host.NllLossOptions,
  'loss',
  { gradLogProbs: 'grad' }
> = op('nllLoss');
/** {@link host.topK} of tensors. */
export const topK: DeviceOp<[logits: T], host.TopKOptions, 'values' | 'indices'> = op('topK');
/** {@link host.argsort} of tensors. */
export const argsort: DeviceOp<[x: T], host.ArgsortOptions, 'indices'> = op('argsort');
/** {@link host.sort} of tensors. */
export const sort: DeviceOp<[x: T], host.SortOptions, 'values', { indices: 'indices' }> =
  op('sort');
