import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

type Linear<
  O extends host.CallOptions,
  Always extends string,
  Asked extends Record<string, string> = {},
> = DeviceOp<[features: T, labels: T, theta: T], O, Always, Asked>;

/** {@link host.binaryLogisticLoss} of tensors. */
export const binaryLogisticLoss: DeviceOp<
  [logits: T, labels: T],
  host.BinaryLogisticLossOptions,
  'loss',
  { beta: 'normalized'; gradLogits: 'grad' }
> = op('binaryLogisticLoss');
/** {@link host.logisticRegression} of tensors. */
export const logisticRegression: Linear<
  host.LogisticRegressionOptions,
  'loss' | 'misclassified' | 'accuracy',
  { beta: 'normalized'; gradTheta: 'grad' }
> = op('logisticRegression');
/** {@link host.logisticGdStep} of tensors. */
export const logisticGdStep: Linear<
  host.LogisticGdStepOptions,
  'theta' | 'loss' | 'misclassified',
  { beta: 'normalized' }
> = op('logisticGdStep');
/** {@link host.batchPerceptronStep} of tensors. */
export const batchPerceptronStep: Linear<
  host.BatchPerceptronStepOptions,
  'theta' | 'misclassified'
> = op('batchPerceptronStep');
/** {@link host.perceptronStep} of tensors. */
export const perceptronStep: Linear<
  host.PerceptronStepOptions,
  'theta' | 'index' | 'misclassified'
> = op('perceptronStep');
/** {@link host.separationStats} of tensors. Bounds that there are none of are NaN. */
export const separationStats: Linear<
  host.SeparationStatsOptions,
  | 'margins'
  | 'minMargin'
  | 'radius'
  | 'misclassified'
  | 'accuracy'
  | 'perceptronBound'
  | 'batchPerceptronBound'
  | 'normalizedBound'
> = op('separationStats');
/** {@link host.separate} of tensors; `separated` is 1 or 0. */
export const separate: DeviceOp<
  [features: T, labels: T],
  host.SeparateOptions,
  'theta' | 'steps' | 'separated'
> = op('separate');
