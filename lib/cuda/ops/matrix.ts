import type * as host from '../../index.js';
import { productSizes } from '../../sizes.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.matmul} of tensors. */
export const matmul: DeviceOp<[a: T, b: T], host.MatmulOptions, 'out'> = op('matmul', productSizes);
