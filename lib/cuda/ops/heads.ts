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
