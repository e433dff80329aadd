import type * as host from '../../index.js';
import { op, type DeviceOp, type T } from './op.js';

/** {@link host.kendallTau} of tensors. */
export const kendallTau: DeviceOp<
  [predicted: T, actual: T],
  host.KendallTauOptions,
  'tau' | 'rmse' | 'concordant' | 'discordant' | 'tiesA' | 'tiesB'
> = op('kendallTau');
