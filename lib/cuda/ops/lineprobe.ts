import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.partitionZeroRadius} of tensors. */
export const partitionZeroRadius: DeviceOp<
  [logits: T, jvp: T],
  host.PartitionZeroRadiusOptions,
  'rho' | 'zeroRe' | 'zeroIm' | 'batchRho'
> = op('partitionZeroRadius');

type LinearHeadJvp<Inputs extends T[]> = DeviceOp<Inputs, host.LinearHeadJvpOptions, 'jvp'>;
/** {@link host.linearHeadJvp} of tensors. */
export const linearHeadJvp: LinearHeadJvp<[hidden: T, dWeight: T, dBias: T]> &
  LinearHeadJvp<[hidden: T, dWeight: T]> = op('linearHeadJvp');
/** {@link host.tiltedKl} of tensors. */
export const tiltedKl: DeviceOp<
  [logits: T, jvp: T],
  host.TiltedKlOptions,
  'forward' | 'reverse' | 'quadratic' | 'forwardBound' | 'reverseBound'
> = op('tiltedKl');
/** {@link host.lineLoss} of tensors. */
export const lineLoss: DeviceOp<
  [logits: T, jvp: T, targets: T, taus: T],
  host.LineLossOptions,
  'loss' | 'slope' | 'curvature'
> = op('lineLoss');
