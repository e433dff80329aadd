import type * as host from '../../index.js';
import { op, type DeviceOp, type Student, type T } from './op.js';

/** {@link host.standardizedKlDiv} of tensors. */
export const standardizedKlDiv: Student<
  host.StandardizedKlDivOptions,
  { gradTemperature: 'gradTemperature' }
> = op('standardizedKlDiv');
/** {@link host.decoupledKd} of tensors. */
export const decoupledKd: DeviceOp<
  [student: T, teacher: T, targets: T],
  host.DecoupledKdOptions,
  'loss' | 'tckd' | 'nckd',
  { gradStudent: 'grad' }
> = op('decoupledKd');
/** {@link host.standardizeLogits} of tensors. */
export const standardizeLogits: DeviceOp<
  [logits: T],
  host.StandardizeLogitsOptions,
  'out' | 'mean' | 'std'
> = op('standardizeLogits');
/** {@link host.standardizeLogitsBackward} of tensors. */
export const standardizeLogitsBackward: DeviceOp<
  [logits: T, gradOut: T],
  host.StandardizeLogitsBackwardOptions,
  'gradLogits'
> = op('standardizeLogitsBackward');
/** {@link host.batchCorrelation} of tensors. */
export const batchCorrelation: Student<host.CorrelationOptions> = op('batchCorrelation');
/** {@link host.classCorrelation} of tensors. */
export const classCorrelation: Student<host.CorrelationOptions> = op('classCorrelation');
/** {@link host.multiLevelKd} of tensors. The temperatures stay a list of numbers. */
export const multiLevelKd: DeviceOp<
  [student: T, teacher: T],
  host.MultiLevelKdOptions,
  'loss' | 'instance' | 'batch' | 'class' | 'sampleFraction' | 'classFraction',
  { gradStudent: 'grad' }
> = op('multiLevelKd');
