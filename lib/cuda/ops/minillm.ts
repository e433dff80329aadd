import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.mixturePolicyWeights} of tensors. */
export const mixturePolicyWeights: DeviceOp<
  [studentLogps: T, rolloutLogps: T, teacherLogps: T],
  host.MixturePolicyWeightsOptions,
  'out'
> = op('mixturePolicyWeights');
