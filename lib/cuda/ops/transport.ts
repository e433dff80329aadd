import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.wasserstein1d} of tensors. */
export const wasserstein1d: DeviceOp<
  [x: T, y: T],
  host.Wasserstein1dOptions,
  'value',
  { gradX: 'grad'; gradY: 'grad' }
> = op('wasserstein1d');
/** {@link host.gw1d} of tensors. */
export const gw1d: DeviceOp<
  [x: T, y: T],
  host.Gw1dOptions,
  'value' | 'valueIdentity' | 'valueAnti' | 'orientation',
  { gradX: 'grad'; gradY: 'grad' }
> = op('gw1d');
/** {@link host.slicedGW} of tensors. */
export const slicedGW: DeviceOp<
  [X: T, Y: T, directions: T],
  host.SlicedGWOptions,
  'value' | 'perDirection',
  { gradX: 'grad'; gradY: 'grad' }
> = op('slicedGW');
/** {@link host.gwFirstLowerBound} of tensors. */
export const gwFirstLowerBound: DeviceOp<
  [C: T, D: T],
  host.GwFirstLowerBoundOptions,
  'value' | 'distance' | 'eccC' | 'eccD',
  { gradC: 'grad'; gradD: 'grad' }
> = op('gwFirstLowerBound');
/** {@link host.gwSecondLowerBound} of tensors. */
export const gwSecondLowerBound: DeviceOp<
  [C: T, D: T],
  host.GwSecondLowerBoundOptions,
  'value' | 'distance',
  { gradC: 'grad'; gradD: 'grad' }
> = op('gwSecondLowerBound');
/** {@link host.gwThirdLowerBound} of tensors. */
export const gwThirdLowerBound: DeviceOp<
  [C: T, D: T],
  host.GwThirdLowerBoundOptions,
  'value' | 'distance' | 'cost'
> = op('gwThirdLowerBound');
