import type * as host from '../../index.js';
import { op, type DeviceOp, type Student, type T } from './op.js';

/** {@link host.uldLoss} of tensors. */
export const uldLoss: Student<host.UldLossOptions> = op('uldLoss');
/** {@link host.uldSequenceLoss} of tensors. */
export const uldSequenceLoss: DeviceOp<
  [student: T, teacher: T, studentTargets: T, teacherTargets: T],
  host.UldSequenceLossOptions,
  'loss' | 'crossEntropy' | 'distillation',
  { gradStudent: 'grad' }
> = op('uldSequenceLoss');
