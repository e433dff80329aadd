import type * as host from '../../index.js';
import { op, type Targeted } from './op.js';

/** {@link host.bceWithLogits} of tensors. */
export const bceWithLogits: Targeted<host.BceWithLogitsOptions> = op('bceWithLogits');
/** {@link host.sigmoidFocalLoss} of tensors. */
export const sigmoidFocalLoss: Targeted<host.SigmoidFocalLossOptions> = op('sigmoidFocalLoss');
