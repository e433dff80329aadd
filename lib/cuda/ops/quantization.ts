import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

type Quantize<Inputs extends T[]> = DeviceOp<
  Inputs,
  host.ElasticFakeQuantizeOptions,
  'out' | 'codes'
>;
type QuantizeBackward<Inputs extends T[], Always extends string> = DeviceOp<
  Inputs,
  host.ElasticFakeQuantizeBackwardOptions,
  'gradX' | 'gradScale' | Always
>;

/** {@link host.elasticFakeQuantize} of tensors. */
export const elasticFakeQuantize: Quantize<[x: T, scale: T]> &
  Quantize<[x: T, scale: T, offset: T]> = op('elasticFakeQuantize');
/** {@link host.elasticFakeQuantizeBackward} of tensors. */
export const elasticFakeQuantizeBackward: QuantizeBackward<[x: T, gradOut: T, scale: T], never> &
  QuantizeBackward<[x: T, gradOut: T, scale: T, offset: T], 'gradOffset'> = op(
  'elasticFakeQuantizeBackward',
);
/** {@link host.affineFakeQuantize} of tensors. */
export const affineFakeQuantize: DeviceOp<
  [x: T, scale: T, zeroPoint: T],
  host.AffineFakeQuantizeOptions,
  'out' | 'codes'
> = op('affineFakeQuantize');
/** {@link host.affineFakeQuantizeBackward} of tensors. */
export const affineFakeQuantizeBackward: DeviceOp<
  [x: T, gradOut: T, scale: T, zeroPoint: T],
  host.AffineFakeQuantizeBackwardOptions,
  'gradX' | 'gradScale'
> = op('affineFakeQuantizeBackward');
/** {@link host.initQuantScale} of a tensor. */
export const initQuantScale: DeviceOp<
  [x: T],
  host.InitQuantScaleOptions,
  'scale' | 'offset' | 'score' | 'index'
> = op('initQuantScale');
/** {@link host.weightMoments} of tensors. */
export const weightMoments: DeviceOp<
  [weights: T],
  host.WeightMomentsOptions,
  'mean' | 'std' | 'skewness' | 'kurtosis'
> = op('weightMoments');
/** {@link host.wdrLoss} of tensors. */
export const wdrLoss: DeviceOp<
  [weights: T],
  host.WdrLossOptions,
  'loss' | 'skewLoss' | 'kurtLoss' | 'skewness' | 'kurtosis',
  { gradWeights: 'grad' }
> = op('wdrLoss');
/** {@link host.groupProgressiveGuidance} of tensors. */
export const groupProgressiveGuidance: DeviceOp<
  [logits: T, targets: T],
  host.GroupProgressiveGuidanceOptions,
  'loss' | 'losses',
  { gradLogits: 'grad' }
> = op('groupProgressiveGuidance');
