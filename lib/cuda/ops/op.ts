import type * as host from '../../index.js';
import type { DerivedSizes } from '../../request.js';
import { callOnDevice } from '../call.js';
import type { CudaTensor as T } from '../tensor.js';
import type { DeviceOp } from '../types.js';

export type { DeviceOp, T };

// The op of the same name in `logitcore` has the documentation of each: there with arrays, here with tensors.
export const op = (name: string, derived?: DerivedSizes): never =>
  ((...args: unknown[]) => callOnDevice(name, args, derived)) as never;

export type Targeted<O extends host.CallOptions> = DeviceOp<
  [logits: T, targets: T],
  O,
  'loss',
  { gradLogits: 'grad' }
>;
export type Student<
  O extends host.CallOptions,
  Asked extends Record<string, string> = {},
> = DeviceOp<[student: T, teacher: T], O, 'loss', { gradStudent: 'grad' } & Asked>;
export type Backward<O extends host.CallOptions> = DeviceOp<
  [gradOut: T, logits: T],
  O,
  'gradLogits'
>;
