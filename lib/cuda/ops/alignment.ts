import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

type Policy<
  O extends host.CallOptions,
  Always extends string,
  Asked extends Record<string, string> = {},
> = DeviceOp<[student: T, logitsDpo: T, logitsRef: T, targets: T], O, Always, Asked>;

/** {@link host.dpoTokenReward} of tensors. */
export const dpoTokenReward: DeviceOp<
  [logitsDpo: T, logitsRef: T, targets: T],
  host.DpoTokenRewardOptions,
  'tokenReward' | 'sequenceReward',
  { distribution: 'distribution' }
> = op('dpoTokenReward');
/** {@link host.alignDistilTeacher} of tensors. */
export const alignDistilTeacher: DeviceOp<
  [logitsDpo: T, logitsRef: T],
  host.AlignDistilTeacherOptions,
  'out' | 'weight' | 'coef' | 'tvd'
> = op('alignDistilTeacher');
/** {@link host.alignDistilLoss} of tensors. */
export const alignDistilLoss: Policy<host.AlignDistilLossOptions, 'loss', { gradStudent: 'grad' }> =
  op('alignDistilLoss');
/** {@link host.rlhfTokenLoss} of tensors. */
export const rlhfTokenLoss: DeviceOp<
  [student: T, reward: T, logitsRef: T, targets: T],
  host.RlhfTokenLossOptions,
  'loss' | 'expectedReward' | 'kl',
  { gradStudent: 'grad' }
> = op('rlhfTokenLoss');
/** {@link host.alignDistilStats} of tensors. */
export const alignDistilStats: Policy<host.AlignDistilStatsOptions, keyof host.AlignDistilStats> =
  op('alignDistilStats');
