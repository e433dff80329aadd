import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.mixturePolicyWeights} of tensors. */
export const mixturePolicyWeights: DeviceOp<
  [studentLogps: T, rolloutLogps: T, teacherLogps: T],
  host.MixturePolicyWeightsOptions,
  'out'
> = op('mixturePolicyWeights');
/** {@link host.minillmPolicyLoss} of tensors. */
export const minillmPolicyLoss: DeviceOp<
  [logps: T, oldLogps: T, advantages: T, weights: T, mask: T],
  host.MinillmPolicyLossOptions,
  'loss',
  { gradLogps: 'grad' }
> = op('minillmPolicyLoss');
/** {@link host.minillmAdvantages} of tensors. */
export const minillmAdvantages: DeviceOp<
  [teacherLogps: T, studentLogps: T, mask: T],
  host.MinillmAdvantagesOptions,
  'rewards' | 'advantages'
> = op('minillmAdvantages');
