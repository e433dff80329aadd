import type * as host from '../../index.js';
import { op, type Backward, type DeviceOp, type Targeted, type T } from './op.js';

/** {@link host.stableMaxCrossEntropy} of tensors. */
export const stableMaxCrossEntropy: Targeted<host.StableMaxCrossEntropyOptions> =
  op('stableMaxCrossEntropy');
/** {@link host.stableMax} of tensors. */
export const stableMax: DeviceOp<[logits: T], host.StableMaxOptions, 'out'> = op('stableMax');
/** {@link host.logStableMax} of tensors. */
export const logStableMax: DeviceOp<[logits: T], host.StableMaxOptions, 'out'> = op('logStableMax');
/** {@link host.stableMaxBackward} of tensors. */
export const stableMaxBackward: Backward<host.StableMaxBackwardOptions> = op('stableMaxBackward');
/** {@link host.logStableMaxBackward} of tensors. */
export const logStableMaxBackward: Backward<host.StableMaxBackwardOptions> =
  op('logStableMaxBackward');
/** {@link host.logitScaleDerivative} of tensors. */
export const logitScaleDerivative: DeviceOp<
  [logits: T, gradLogits: T],
  host.LogitScaleDerivativeOptions,
  'derivative' | 'nlmCosine'
> = op('logitScaleDerivative');
/** {@link host.perpGrad} of tensors. */
export const perpGrad: DeviceOp<
  [grad: T, param: T],
  host.PerpGradOptions,
  'out' | 'parallelNorm' | 'perpNorm' | 'nlmCosine'
> = op('perpGrad');

type Collapse<Inputs extends T[]> = DeviceOp<
  Inputs,
  host.SoftmaxCollapseOptions,
  'fraction' | 'count' | 'mask'
>;
/** {@link host.softmaxCollapse} of tensors. */
export const softmaxCollapse: Collapse<[logits: T]> & Collapse<[logits: T, targets: T]> =
  op('softmaxCollapse');
