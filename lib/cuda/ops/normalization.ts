import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.qkLayerNorm} of tensors. */
export const qkLayerNorm: DeviceOp<
  [x: T, gamma: T],
  host.QkLayerNormOptions,
  'out' | 'mean' | 'rstd'
> = op('qkLayerNorm');
/** {@link host.qkLayerNormBackward} of tensors. */
export const qkLayerNormBackward: DeviceOp<
  [gradOut: T, x: T, gamma: T],
  host.QkLayerNormBackwardOptions,
  'gradX' | 'gradGamma'
> = op('qkLayerNormBackward');
/** {@link host.rmsRescale} of tensors. */
export const rmsRescale: DeviceOp<[z: T], host.RmsRescaleOptions, 'out' | 'scale'> =
  op('rmsRescale');
/** {@link host.rmsRescaleBackward} of tensors. */
export const rmsRescaleBackward: DeviceOp<
  [gradOut: T, z: T],
  host.RmsRescaleBackwardOptions,
  'gradZ'
> = op('rmsRescaleBackward');
/** {@link host.rms} of a tensor. */
export const rms: DeviceOp<[x: T], host.RmsOptions, 'rms'> = op('rms');
