import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.gwObjective} of tensors. */
export const gwObjective: DeviceOp<
  [C: T, D: T, plan: T],
  host.GwObjectiveOptions,
  'value',
  { gradPlan: 'grad'; gradC: 'grad'; gradD: 'grad' }
> = op('gwObjective');
/** {@link host.entropicGW} of tensors; `converged` is 1 or 0. */
export const entropicGW: DeviceOp<
  [C: T, D: T],
  Omit<host.EntropicGwOptions, 'onProgress'>,
  'plan' | 'value' | 'objective' | 'converged' | 'iterations' | 'change',
  { gradC: 'grad'; gradD: 'grad' }
> = op('entropicGW');
/** {@link host.gwBruteForce} of tensors. */
export const gwBruteForce: DeviceOp<
  [C: T, D: T],
  host.GwBruteForceOptions,
  'value' | 'permutation'
> = op('gwBruteForce');
