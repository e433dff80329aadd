import type * as host from '../../index.js';
import { featureNodes, graphNodes, moreNodes } from '../../sizes.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.coactivationGraph} of tensors. */
export const coactivationGraph: DeviceOp<
  [logits: T],
  host.CoactivationGraphOptions,
  'graph' | 'count'
> = op('coactivationGraph', graphNodes);
/** {@link host.coactivationGraphBackward} of tensors. */
export const coactivationGraphBackward: DeviceOp<
  [logits: T, gradGraph: T],
  host.CoactivationBackwardOptions,
  'gradLogits'
> = op('coactivationGraphBackward');
/** {@link host.coactivationFeatures} of tensors. */
export const coactivationFeatures: DeviceOp<
  [logits: T],
  host.CoactivationFeaturesOptions,
  'features' | 'count'
> = op('coactivationFeatures', featureNodes);
/** {@link host.coactivationFeaturesBackward} of tensors. */
export const coactivationFeaturesBackward: DeviceOp<
  [logits: T, gradFeatures: T],
  host.CoactivationFeaturesBackwardOptions,
  'gradLogits'
> = op('coactivationFeaturesBackward');
/** {@link host.gwSortApprox} of tensors. */
export const gwSortApprox: DeviceOp<
  [C: T, D: T],
  host.GwSortApproxOptions,
  'value' | 'featuresC' | 'featuresD' | 'lower' | 'upper',
  { gradC: 'grad'; gradD: 'grad' }
> = op('gwSortApprox', moreNodes);
/** {@link host.gldLoss} of tensors. */
export const gldLoss: DeviceOp<
  [studentLogits: T, teacherLogits: T],
  host.GldLossOptions,
  'loss',
  { gradStudent: 'grad'; gradTeacher: 'teacherGrad' }
> = op('gldLoss');
/** {@link host.infiGFusionLoss} of tensors. */
export const infiGFusionLoss: DeviceOp<
  [studentLogits: T, targets: T, teacherLogits: T],
  host.InfiGFusionLossOptions,
  'loss' | 'sft' | 'uld' | 'gld',
  { gradStudent: 'grad' }
> = op('infiGFusionLoss');
