import type * as host from '../../index.js';
import { op, type DeviceOp, type Student, type T } from './op.js';

/** {@link host.binaryKlDiv} of tensors. */
export const binaryKlDiv: Student<host.BinaryKlOptions> = op('binaryKlDiv');
/** {@link host.binaryKlNorm} of tensors. */
export const binaryKlNorm: Student<host.BinaryKlOptions> = op('binaryKlNorm');
/** {@link host.dhkdLoss} of tensors. */
export const dhkdLoss: DeviceOp<
  [logitsCls: T, logitsAux: T, teacher: T, targets: T],
  host.DhkdLossOptions,
  'loss' | 'ceLoss' | 'kdLoss',
  { gradLogitsCls: 'grad'; gradLogitsAux: 'grad' }
> = op('dhkdLoss');
/** {@link host.gradAlign} of tensors. `projected` is 1 or 0. */
export const gradAlign: DeviceOp<
  [gradMain: T, gradAux: T],
  host.GradAlignOptions,
  'out' | 'aligned' | 'dot' | 'cosine' | 'projected'
> = op('gradAlign');
/** {@link host.headConflict} of tensors. */
export const headConflict: DeviceOp<
  [gradA: T, gradB: T, features: T, weight: T],
  host.HeadConflictOptions,
  'cosWeight' | 'cosFeature' | 'cosWeightAll' | 'conflictWeight' | 'conflictFeature'
> = op('headConflict');
/** {@link host.headForces} of tensors. */
export const headForces: DeviceOp<
  [logits: T, teacher: T, features: T, weight: T, targets: T],
  host.HeadForcesOptions,
  `${'ce' | 'kd'}${'Pull' | 'Push'}${'Weight' | 'Feature'}` | 'targetConflict' | 'nonTargetConflict'
> = op('headForces');
