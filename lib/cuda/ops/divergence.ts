import type * as host from '../../index.js';
import { op, type DeviceOp, type Student, type T } from './op.js';

/** {@link host.crossEntropySoft} of tensors. */
export const crossEntropySoft: DeviceOp<
  [logits: T, targets: T],
  host.CrossEntropySoftOptions,
  'loss',
  { gradLogits: 'grad'; gradTargets: 'gradTargets'; zLoss: 'zLossWeight' }
> = op('crossEntropySoft');
/** {@link host.entropy} of tensors. */
export const entropy: DeviceOp<
  [logits: T],
  host.EntropyOptions,
  'entropy',
  { gradLogits: 'grad' }
> = op('entropy');
/** {@link host.klDiv} of tensors. */
export const klDiv: Student<host.KlDivOptions, { gradTeacher: 'gradTeacher' }> = op('klDiv');
/** {@link host.jsDivergence} of tensors. */
export const jsDivergence: Student<host.JsDivergenceOptions, { gradTeacher: 'gradTeacher' }> =
  op('jsDivergence');
/** {@link host.symmetricKl} of tensors. */
export const symmetricKl: Student<host.SymmetricKlOptions> = op('symmetricKl');
/** {@link host.skewKl} of tensors. */
export const skewKl: Student<host.SkewKlOptions> = op('skewKl');
/** {@link host.totalVariation} of tensors. */
export const totalVariation: Student<host.StudentOptions> = op('totalVariation');
