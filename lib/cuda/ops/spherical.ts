import type * as host from '../../index.js';
import { op, type DeviceOp, type Targeted, type T } from './op.js';

/** {@link host.zLoss} of tensors. */
export const zLoss: Targeted<host.ZLossOptions> = op('zLoss');
/** {@link host.taylorSoftmaxLoss} of tensors. */
export const taylorSoftmaxLoss: Targeted<host.TaylorSoftmaxLossOptions> = op('taylorSoftmaxLoss');
/** {@link host.sphericalSoftmaxLoss} of tensors. */
export const sphericalSoftmaxLoss: Targeted<host.SphericalSoftmaxLossOptions> =
  op('sphericalSoftmaxLoss');
/** {@link host.oneHotSquaredError} of tensors. */
export const oneHotSquaredError: Targeted<host.OneHotSquaredErrorOptions> =
  op('oneHotSquaredError');
/** {@link host.taylorSoftmax} of tensors. */
export const taylorSoftmax: DeviceOp<[logits: T], host.TaylorSoftmaxOptions, 'out'> =
  op('taylorSoftmax');
/** {@link host.sphericalSoftmax} of tensors. */
export const sphericalSoftmax: DeviceOp<[logits: T], host.SphericalSoftmaxOptions, 'out'> =
  op('sphericalSoftmax');
