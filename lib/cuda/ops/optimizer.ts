import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.adamWStep} of tensors. */
export const adamWStep: DeviceOp<
  [param: T, grad: T, m: T, v: T],
  host.AdamWStepOptions,
  'param' | 'm' | 'v' | 'gradRms' | 'updateRms' | 'paramRms'
> = op('adamWStep');
