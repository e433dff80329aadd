import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.finiteDifferenceJvp} of tensors. */
export const finiteDifferenceJvp: DeviceOp<
  [logitsMoved: T, logitsBase: T],
  host.FiniteDifferenceJvpOptions,
  'jvp'
> = op('finiteDifferenceJvp');
