import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.finiteDifferenceJvp} of tensors. */
export const finiteDifferenceJvp: DeviceOp<
  [logitsMoved: T, logitsBase: T],
  host.FiniteDifferenceJvpOptions,
  'jvp'
> = op('finiteDifferenceJvp');
/** {@link host.convergenceRadius} of tensors. */
export const convergenceRadius: DeviceOp<
  [jvp: T],
  host.ConvergenceRadiusOptions,
  'spread' | 'rho' | 'batchSpread' | 'batchRho' | 'bottleneck'
> = op('convergenceRadius');

type MarginRadius<Inputs extends T[]> = DeviceOp<
  Inputs,
  host.MarginRadiusOptions,
  'rho' | 'batchRho' | 'margin' | 'slope' | 'competitor' | 'bottleneck'
>;
/** {@link host.marginRadius} of tensors. */
export const marginRadius: MarginRadius<[logits: T, jvp: T, targets: T]> &
  MarginRadius<[logits: T, jvp: T]> = op('marginRadius');
/** {@link host.radiusController} of tensors. */
export const radiusController: DeviceOp<
  [update: T, jvp: T],
  host.RadiusControllerOptions,
  'out' | 'scale' | 'rho' | 'stepNorm' | 'rBefore' | 'r'
> = op('radiusController');
/** {@link host.logitGapRadius} of tensors. */
export const logitGapRadius: DeviceOp<[logits: T], host.LogitGapRadiusOptions, 'rho'> =
  op('logitGapRadius');
/** {@link host.activationRadius} of tensors. */
export const activationRadius: DeviceOp<
  [preactivation: T, derivative: T],
  host.ActivationRadiusOptions,
  'rho' | 'batchRho'
> = op('activationRadius');
