import type * as host from '../index.js';
import { productSizes } from '../product.js';
import type { DerivedSizes } from '../request.js';
import { callOnDevice } from './call.js';
import type { CudaTensor as T } from './tensor.js';
import type { DeviceOp } from './types.js';

// The op of the same name in `logitcore` has the documentation of each: there with arrays, here with tensors.
const op = (name: string, derived?: DerivedSizes): never =>
  ((...args: unknown[]) => callOnDevice(name, args, derived)) as never;

type Targeted<O extends host.CallOptions> = DeviceOp<
  [logits: T, targets: T],
  O,
  'loss',
  { gradLogits: 'grad' }
>;
type Student<O extends host.CallOptions, Asked extends Record<string, string> = {}> = DeviceOp<
  [student: T, teacher: T],
  O,
  'loss',
  { gradStudent: 'grad' } & Asked
>;
type Backward<O extends host.CallOptions> = DeviceOp<[gradOut: T, logits: T], O, 'gradLogits'>;

/** {@link host.softmax} of tensors. */
export const softmax: DeviceOp<[logits: T], host.SoftmaxOptions, 'out'> = op('softmax');
/** {@link host.logSoftmax} of tensors. */
export const logSoftmax: DeviceOp<[logits: T], host.SoftmaxOptions, 'out'> = op('logSoftmax');
/** {@link host.logSumExp} of tensors. */
export const logSumExp: DeviceOp<[logits: T], host.LogSumExpOptions, 'out'> = op('logSumExp');
/** {@link host.logSumExpBackward} of tensors. */
export const logSumExpBackward: Backward<host.BackwardOptions> = op('logSumExpBackward');
/** {@link host.softmaxBackward} of tensors. */
export const softmaxBackward: DeviceOp<
  [gradOut: T, out: T],
  host.SoftmaxBackwardOptions,
  'gradLogits'
> = op('softmaxBackward');
/** {@link host.logSoftmaxBackward} of tensors. */
export const logSoftmaxBackward: DeviceOp<
  [gradOut: T, out: T],
  host.SoftmaxBackwardOptions,
  'gradLogits'
> = op('logSoftmaxBackward');
/** {@link host.gatherLogProbs} of tensors. */
export const gatherLogProbs: DeviceOp<
  [logits: T, targets: T],
  host.GatherLogProbsOptions,
  'logProbs' | 'logSumExp'
> = op('gatherLogProbs');
/** {@link host.gatherLogProbsBackward} of tensors. */
export const gatherLogProbsBackward: DeviceOp<
  [gradOut: T, logits: T, targets: T],
  host.GatherLogProbsBackwardOptions,
  'gradLogits'
> = op('gatherLogProbsBackward');
/** {@link host.zLossRegularizer} of tensors. */
export const zLossRegularizer: DeviceOp<
  [logits: T],
  host.ZLossRegularizerOptions,
  'loss' | 'logZ',
  { gradLogits: 'grad' }
> = op('zLossRegularizer');

/** {@link host.crossEntropy} of tensors. */
export const crossEntropy: DeviceOp<
  [logits: T, targets: T],
  host.CrossEntropyOptions,
  'loss',
  { gradLogits: 'grad'; zLoss: 'zLossWeight' }
> = op('crossEntropy');
/** {@link host.focalLoss} of tensors. */
export const focalLoss: Targeted<host.FocalLossOptions> = op('focalLoss');
/** {@link host.nllLoss} of tensors. */
export const nllLoss: DeviceOp<
  [logProbs: T, targets: T],
  host.NllLossOptions,
  'loss',
  { gradLogProbs: 'grad' }
> = op('nllLoss');
/** {@link host.topK} of tensors. */
export const topK: DeviceOp<[logits: T], host.TopKOptions, 'values' | 'indices'> = op('topK');
/** {@link host.argsort} of tensors. */
export const argsort: DeviceOp<[x: T], host.ArgsortOptions, 'indices'> = op('argsort');
/** {@link host.sort} of tensors. */
export const sort: DeviceOp<[x: T], host.SortOptions, 'values', { indices: 'indices' }> =
  op('sort');
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
/** {@link host.stableMaxCrossEntropy} of tensors. */
export const stableMaxCrossEntropy: Targeted<host.StableMaxCrossEntropyOptions> =
  op('stableMaxCrossEntropy');
/** {@link host.bceWithLogits} of tensors. */
export const bceWithLogits: Targeted<host.BceWithLogitsOptions> = op('bceWithLogits');
/** {@link host.sigmoidFocalLoss} of tensors. */
export const sigmoidFocalLoss: Targeted<host.SigmoidFocalLossOptions> = op('sigmoidFocalLoss');

/** {@link host.taylorSoftmax} of tensors. */
export const taylorSoftmax: DeviceOp<[logits: T], host.TaylorSoftmaxOptions, 'out'> =
  op('taylorSoftmax');
/** {@link host.sphericalSoftmax} of tensors. */
export const sphericalSoftmax: DeviceOp<[logits: T], host.SphericalSoftmaxOptions, 'out'> =
  op('sphericalSoftmax');
/** {@link host.stableMax} of tensors. */
export const stableMax: DeviceOp<[logits: T], host.StableMaxOptions, 'out'> = op('stableMax');
/** {@link host.logStableMax} of tensors. */
export const logStableMax: DeviceOp<[logits: T], host.StableMaxOptions, 'out'> = op('logStableMax');
/** {@link host.stableMaxBackward} of tensors. */
export const stableMaxBackward: Backward<host.StableMaxBackwardOptions> = op('stableMaxBackward');
/** {@link host.logStableMaxBackward} of tensors. */
export const logStableMaxBackward: Backward<host.StableMaxBackwardOptions> =
  op('logStableMaxBackward');

/** {@link host.crossEntropySoft} of tensors. */
export const crossEntropySoft: DeviceOp<
  [logits: T, targets: T],
  host.CrossEntropySoftOptions,
  'loss',
  { gradLogits: 'grad'; gradTargets: 'gradTargets'; zLoss: 'zLossWeight' }
> = op('crossEntropySoft');
/** {@link host.entropy} of tensors. */
export const entropy: DeviceOp<
  [logits: T],
  host.EntropyOptions,
  'entropy',
  { gradLogits: 'grad' }
> = op('entropy');
/** {@link host.klDiv} of tensors. */
export const klDiv: Student<host.KlDivOptions, { gradTeacher: 'gradTeacher' }> = op('klDiv');
/** {@link host.jsDivergence} of tensors. */
export const jsDivergence: Student<host.JsDivergenceOptions, { gradTeacher: 'gradTeacher' }> =
  op('jsDivergence');
/** {@link host.symmetricKl} of tensors. */
export const symmetricKl: Student<host.SymmetricKlOptions> = op('symmetricKl');
/** {@link host.skewKl} of tensors. */
export const skewKl: Student<host.SkewKlOptions> = op('skewKl');
/** {@link host.totalVariation} of tensors. */
export const totalVariation: Student<host.StudentOptions> = op('totalVariation');
/** {@link host.binaryKlDiv} of tensors. */
export const binaryKlDiv: Student<host.BinaryKlOptions> = op('binaryKlDiv');
/** {@link host.binaryKlNorm} of tensors. */
export const binaryKlNorm: Student<host.BinaryKlOptions> = op('binaryKlNorm');
/** {@link host.standardizedKlDiv} of tensors. */
export const standardizedKlDiv: Student<
  host.StandardizedKlDivOptions,
  { gradTemperature: 'gradTemperature' }
> = op('standardizedKlDiv');
/** {@link host.decoupledKd} of tensors. */
export const decoupledKd: DeviceOp<
  [student: T, teacher: T, targets: T],
  host.DecoupledKdOptions,
  'loss' | 'tckd' | 'nckd',
  { gradStudent: 'grad' }
> = op('decoupledKd');
/** {@link host.dhkdLoss} of tensors. */
export const dhkdLoss: DeviceOp<
  [logitsCls: T, logitsAux: T, teacher: T, targets: T],
  host.DhkdLossOptions,
  'loss' | 'ceLoss' | 'kdLoss',
  { gradLogitsCls: 'grad'; gradLogitsAux: 'grad' }
> = op('dhkdLoss');

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
/** {@link host.standardizeLogits} of tensors. */
export const standardizeLogits: DeviceOp<
  [logits: T],
  host.StandardizeLogitsOptions,
  'out' | 'mean' | 'std'
> = op('standardizeLogits');
/** {@link host.standardizeLogitsBackward} of tensors. */
export const standardizeLogitsBackward: DeviceOp<
  [logits: T, gradOut: T],
  host.StandardizeLogitsBackwardOptions,
  'gradLogits'
> = op('standardizeLogitsBackward');

/** {@link host.finiteDifferenceJvp} of tensors. */
export const finiteDifferenceJvp: DeviceOp<
  [logitsMoved: T, logitsBase: T],
  host.FiniteDifferenceJvpOptions,
  'jvp'
> = op('finiteDifferenceJvp');
/** {@link host.mixturePolicyWeights} of tensors. */
export const mixturePolicyWeights: DeviceOp<
  [studentLogps: T, rolloutLogps: T, teacherLogps: T],
  host.MixturePolicyWeightsOptions,
  'out'
> = op('mixturePolicyWeights');
/** {@link host.matmul} of tensors. */
export const matmul: DeviceOp<[a: T, b: T], host.MatmulOptions, 'out'> = op('matmul', productSizes);
