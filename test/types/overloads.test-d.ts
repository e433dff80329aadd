// Checked by the compiler alone (npm run test:types): what a call's options say about the type of its result.
import {
  alignDistilLoss,
  crossEntropy,
  decoupledKd,
  dhkdLoss,
  dpoTokenReward,
  elasticFakeQuantize,
  entropicGW,
  focalLoss,
  gatherLogProbs,
  gldLoss,
  gwObjective,
  info,
  klDiv,
  minillmPolicyLoss,
  multiLevelKd,
  neuralCollapse,
  logSoftmax,
  logSumExp,
  matmul,
  ops,
  rlhfTokenLoss,
  skewKl,
  softmax,
  sort,
  standardizedKlDiv,
  topK,
  wdrLoss,
  uldLoss,
  zLossRegularizer,
  type OpRecord,
  type Reduction,
} from 'logitcore';
import * as promises from 'logitcore/promises';

type Same<A, B> = [A, B] extends [B, A] ? true : false;
/** Compiles only for `true`. */
type Assert<T extends true> = T;

declare const f32: Float32Array;
declare const f64: Float64Array;
declare const targets: Int32Array;
declare const reduction: Reduction;
declare const flag: boolean;
const narrow = { data: f32, shape: [2, 3] };
const wide = { data: f64, dims: [2, 3] };

// The reduction decides between a number and an array.
export const mean = crossEntropy(narrow, targets);
export const sum = crossEntropy(narrow, targets, { reduction: 'sum' });
export const none = crossEntropy(narrow, targets, { reduction: 'none' });
export const noneWide = crossEntropy(wide, targets, { reduction: 'none' });
export const anyReduction = crossEntropy(narrow, targets, { reduction });
export type Reductions = [
  Assert<Same<typeof mean.loss, number>>,
  Assert<Same<typeof sum.loss, number>>,
  Assert<Same<typeof none.loss, Float32Array>>,
  Assert<Same<typeof noneWide.loss, Float64Array>>,
  Assert<Same<typeof anyReduction.loss, number | Float32Array>>,
];

// The gradient is there when it is asked for, in the logits' type.
export const gradient = crossEntropy(narrow, targets, { grad: true });
export const gradientWide = crossEntropy(wide, targets, { grad: true });
export const maybe = crossEntropy(narrow, targets, { grad: flag });
export const refused = crossEntropy(narrow, targets, { grad: false });
export const focal = focalLoss(narrow, targets, {
  grad: true,
  gamma: 1,
  alpha: f32,
  reduction: 'sum',
});
export const regulariser = zLossRegularizer(f64, { reduction: 'none', grad: true });
export const divergence = klDiv(narrow, narrow, { gradTeacher: true });
export type Gradients = [
  Assert<Same<typeof gradient.gradLogits, Float32Array>>,
  Assert<Same<typeof gradientWide.gradLogits, Float64Array>>,
  Assert<Same<typeof maybe.gradLogits, Float32Array | undefined>>,
  Assert<Same<typeof focal.gradLogits, Float32Array>>,
  Assert<Same<typeof focal.loss, number>>,
  Assert<Same<typeof regulariser.loss, Float64Array>>,
  Assert<Same<typeof regulariser.logZ, Float64Array>>,
  Assert<Same<typeof regulariser.gradLogits, Float64Array>>,
  Assert<Same<typeof divergence.gradTeacher, Float32Array>>,
];
// @ts-expect-error: no gradient was asked for
refused.gradLogits satisfies Float32Array;
// @ts-expect-error: nor here
mean.gradLogits satisfies Float32Array;
// @ts-expect-error: nor for the student
divergence.gradStudent satisfies Float32Array;

// Rows of values keep the type of their logits.
export const rows = softmax(narrow);
export const flat = logSumExp(f64, { temperature: 2 });
export const gathered = gatherLogProbs(wide, targets);
export const best = topK(wide, { k: 2 });
export type Rows = [
  Assert<Same<typeof rows.out, Float32Array>>,
  Assert<Same<typeof flat.out, Float64Array>>,
  Assert<Same<typeof gathered.logProbs, Float64Array>>,
  Assert<Same<typeof best.values, Float64Array>>,
  Assert<Same<typeof best.indices, Int32Array>>,
];

// The same functions with promises.
export const later = promises.crossEntropy(narrow, targets, { reduction: 'none', grad: true });
export const laterRows = promises.softmax(wide);
export type Promised = [
  Assert<Same<Awaited<typeof later>['loss'], Float32Array>>,
  Assert<Same<Awaited<typeof later>['gradLogits'], Float32Array>>,
  Assert<Same<typeof laterRows, Promise<{ out: Float64Array }>>>,
];
// @ts-expect-error: no such option
void promises.crossEntropy(narrow, targets, { labelSmooting: 0.1 });

// Unknown names and kinds do not compile.
// @ts-expect-error: no such option
crossEntropy(narrow, targets, { labelSmooting: 0.1 });
// @ts-expect-error: no such option
softmax(narrow, { temprature: 2 });
// @ts-expect-error: no such reduction
crossEntropy(narrow, targets, { reduction: 'average' });
// @ts-expect-error: a number is wanted
crossEntropy(narrow, targets, { temperature: '1' });
// @ts-expect-error: targets are Int32Array
crossEntropy(narrow, f32);
// @ts-expect-error: arrays of one call have one type
crossEntropy(narrow, targets, { weight: f64 });
// @ts-expect-error: so have outputs
crossEntropy(narrow, targets, { grad: true, out: { gradLogits: f64 } });
// @ts-expect-error: plain arrays are no logits
logSoftmax([1, 2, 3]);
// @ts-expect-error: integers are no logits
logSoftmax(targets);
// @ts-expect-error: two dimensions are needed
crossEntropy(f32, targets);

info().threads satisfies number;
ops() satisfies readonly OpRecord[];

// Losses over sequences and layers.
export const aligned = alignDistilLoss(narrow, narrow, narrow, targets, { grad: true });
export const alignedEach = alignDistilLoss(wide, wide, wide, targets, { reduction: 'none' });
export const rewarded = rlhfTokenLoss(narrow, narrow, narrow, targets, { reduction: 'none' });
export const rewards = dpoTokenReward(narrow, narrow, targets, { distribution: true });
export const rewardsOnly = dpoTokenReward(narrow, narrow, targets);
export const policy = minillmPolicyLoss(wide, wide, wide, wide, targets, { grad: true });
export const regularised = wdrLoss(f32, { grad: true });
export const skewed = skewKl(narrow, narrow, { reduction: 'sum', grad: true });
export const codes = elasticFakeQuantize(f32, narrow, { bits: 4 });
export const shiftedCodes = elasticFakeQuantize(narrow, narrow, narrow, { bits: 4 });
export type Sequences = [
  Assert<Same<typeof aligned.loss, number>>,
  Assert<Same<typeof aligned.gradStudent, Float32Array>>,
  Assert<Same<typeof alignedEach.loss, Float64Array>>,
  Assert<Same<typeof rewarded.kl, Float32Array>>,
  Assert<Same<typeof rewards.distribution, Float32Array>>,
  Assert<Same<typeof rewardsOnly.distribution, undefined>>,
  Assert<Same<typeof policy.gradLogps, Float64Array>>,
  Assert<Same<typeof regularised.gradWeights, Float32Array>>,
  Assert<Same<typeof skewed.loss, number>>,
  Assert<Same<typeof skewed.gradStudent, Float32Array>>,
  Assert<Same<typeof codes.codes, Int32Array>>,
  Assert<Same<typeof shiftedCodes.out, Float32Array>>,
];
// @ts-expect-error a weight is no option of this divergence
skewKl(narrow, narrow, { lam: 0.5 });
// The product of two matrices has their type, which is one.
export const productOf32 = matmul(narrow, narrow, { transposeB: true });
export const productOf64 = matmul(wide, wide, { out: { out: f64 } });
export type Products = [
  Assert<Same<typeof productOf32.out, Float32Array>>,
  Assert<Same<typeof productOf64.out, Float64Array>>,
];
// @ts-expect-error one is float32, the other float64
matmul(narrow, wide);
// Indices of a sort, and the gradient of a loss between vocabularies, are there when asked for.
export const values = sort(f32);
export const valuesAndIndices = sort(f64, { indices: true });
export const uld = uldLoss(narrow, narrow, { reduction: 'none', grad: true, mask: [1, 0] });
export type Sorts = [
  Assert<Same<typeof values.values, Float32Array>>,
  Assert<Same<typeof values.indices, undefined>>,
  Assert<Same<typeof valuesAndIndices.indices, Int32Array>>,
  Assert<Same<typeof uld.loss, Float32Array>>,
  Assert<Same<typeof uld.gradStudent, Float32Array>>,
];

// Gradients of graphs, and a callback whose argument has its type.
const square = { data: f64, shape: [3, 3] };
export const plan = entropicGW(square, square, {
  grad: true,
  onProgress: ({ iteration }) => {
    iteration satisfies number;
  },
});
export const noGradient = gwObjective(square, square, square);
export const graphs = gldLoss(narrow, narrow, { reduction: 'none', teacherGrad: true });
export const planLater = promises.entropicGW(square, square, { epsilon: 0.1 });
export type Graphs = [
  Assert<Same<typeof plan.gradC, Float64Array>>,
  Assert<Same<typeof plan.converged, boolean>>,
  Assert<Same<typeof noGradient.gradPlan, undefined>>,
  Assert<Same<typeof graphs.loss, Float32Array>>,
  Assert<Same<typeof graphs.gradTeacher, Float32Array>>,
  Assert<Same<typeof graphs.gradStudent, undefined>>,
];

// Distillation: the temperature's derivative is a number whatever the reduction, and a classifier has measures of its own.
export const distilled = standardizedKlDiv(narrow, narrow, {
  reduction: 'none',
  grad: true,
  gradTemperature: true,
});
export const distilledOnly = standardizedKlDiv(wide, wide);
export const decoupled = decoupledKd(wide, wide, targets, { reduction: 'none', grad: true });
export const levels = multiLevelKd(narrow, narrow, { temperatures: [4, 2], grad: true });
export const twoHeads = dhkdLoss(narrow, narrow, narrow, targets, { grad: true });
export const collapse = neuralCollapse(narrow, targets, narrow);
export const collapseOfFeatures = neuralCollapse(narrow, targets, { numClasses: 3 });
export type Distillation = [
  Assert<Same<typeof distilled.loss, Float32Array>>,
  Assert<Same<typeof distilled.gradStudent, Float32Array>>,
  Assert<Same<typeof distilled.gradTemperature, number>>,
  Assert<Same<typeof distilledOnly.loss, number>>,
  Assert<Same<typeof distilledOnly.gradTemperature, undefined>>,
  Assert<Same<typeof decoupled.tckd, Float64Array>>,
  Assert<Same<typeof decoupled.gradStudent, Float64Array>>,
  Assert<Same<typeof levels.loss, number>>,
  Assert<Same<typeof levels.gradStudent, Float32Array>>,
  Assert<Same<typeof twoHeads.kdLoss, number>>,
  Assert<Same<typeof twoHeads.gradLogitsAux, Float32Array>>,
  Assert<Same<typeof collapse.nc3, number>>,
  Assert<Same<typeof collapseOfFeatures.classMeans, Float32Array>>,
];
// @ts-expect-error: without a classifier there is no nc3
collapseOfFeatures.nc3 satisfies number;
// @ts-expect-error: the deviation has 0 or 1 degrees of freedom
standardizedKlDiv(narrow, narrow, { ddof: 2 });
// @ts-expect-error: a correlation is a number already
multiLevelKd(narrow, narrow, { reduction: 'none' });
