import type * as host from '../../index.js';
import { op, type Backward, type DeviceOp, type Targeted, type T } from './op.js';

/** {@link host.softmax} of tensors. */
export const softmax: DeviceOp<[logits: T], host.SoftmaxOptions, 'out'> = op('softmax');
/** {@link host.logSoftmax} of tensors. */
export const logSoftmax: DeviceOp<[logits: T], host.SoftmaxOptions, 'out'> = op('logSoftmax');
/** {@link host.logSumExp} of tensors. */
export const logSumExp: DeviceOp<[logits: T], host.LogSumExpOptions, 'out'> = op('logSumExp');
/** {@link host.logSumExpBackward} of tensors. */
export const logSumExpBackward: Backward<host.BackwardOptions> = op('logSumExpBackward');
/** {@link host.softmaxBackward} of tensors. */
export const softmaxBackward: DeviceOp<
  [gradOut: T, out: T],
  host.SoftmaxBackwardOptions,
  'gradLogits'
> = op('softmaxBackward');
/** {@link host.logSoftmaxBackward} of tensors. */
export const logSoftmaxBackward: DeviceOp<
  [gradOut: T, out: T],
  host.SoftmaxBackwardOptions,
  'gradLogits'
> = op('logSoftmaxBackward');
/** {@link host.gatherLogProbs} of tensors. */
export const gatherLogProbs: DeviceOp<
  [logits: T, targets: T],
  host.GatherLogProbsOptions,
  'logProbs' | 'logSumExp'
> = op('gatherLogProbs');
/** {@link host.gatherLogProbsBackward} of tensors. */
export const gatherLogProbsBackward: DeviceOp<
  [gradOut: T, logits: T, targets: T],
  host.GatherLogProbsBackwardOptions,
  'gradLogits'
> = op('gatherLogProbsBackward');
/** {@link host.zLossRegularizer} of tensors. */
export const zLossRegularizer: DeviceOp<
  [logits: T],
  host.ZLossRegularizerOptions,
  'loss' | 'logZ',
  { gradLogits: 'grad' }
> = op('zLossRegularizer');
/** {@link host.crossEntropy} of tensors. */
export const crossEntropy: DeviceOp<
  [logits: T, targets: T],
  host.CrossEntropyOptions,
  'loss',
  { gradLogits: 'grad'; zLoss: 'zLossWeight' }
> = op('crossEntropy');
/** {@link host.focalLoss} of tensors. */
export const focalLoss: Targeted<host.FocalLossOptions> = op('focalLoss');
