// Checked by the compiler alone (npm run test:types): tensors of the device in place of arrays, and results that options ask for.
import {
  crossEntropy,
  focalLoss,
  klDiv,
  matmul,
  softmax,
  sort,
  standardizedKlDiv,
  tensor,
  topK,
  type CudaTensor,
} from 'logitcore/cuda';

type Same<A, B> = [A, B] extends [B, A] ? true : false;
/** Compiles only for `true`. */
type Assert<T extends true> = T;

export function calls(logits: CudaTensor, targets: CudaTensor, grad: boolean) {
  return {
    plain: crossEntropy(logits, targets),
    asked: crossEntropy(logits, targets, { grad: true, weight: targets }),
    perhaps: crossEntropy(logits, targets, { grad }),
    regularised: crossEntropy(logits, targets, { zLossWeight: 0.1, reduction: 'none' }),
    both: klDiv(logits, logits, { grad: true, gradTeacher: true }),
    scalar: standardizedKlDiv(logits, logits, { gradTemperature: true }),
    arrayOption: focalLoss(logits, targets, { alpha: logits, out: { gradLogits: logits } }),
    numberOption: focalLoss(logits, targets, { alpha: 2 }),
    largest: topK(logits, { k: 2, out: { indices: targets } }),
    sorted: sort(logits, { descending: true }),
    ordered: sort(logits, { indices: true }),
    product: matmul(logits, logits, { transposeB: true, out: { out: logits } }),
  };
}

type Results = ReturnType<typeof calls>;
type Maybe = CudaTensor | undefined;
export type Checks = [
  Assert<Same<Results['plain']['loss'], CudaTensor>>,
  Assert<Same<Results['plain']['gradLogits'], undefined>>,
  Assert<Same<Results['asked']['gradLogits'], CudaTensor>>,
  Assert<Same<Results['perhaps']['gradLogits'], Maybe>>,
  Assert<Same<Results['regularised']['zLoss'], Maybe>>,
  Assert<Same<Results['both']['gradTeacher'], CudaTensor>>,
  Assert<Same<Results['scalar']['gradTemperature'], CudaTensor>>,
  Assert<Same<Results['largest'], { values: CudaTensor; indices: CudaTensor }>>,
  Assert<Same<Results['sorted']['indices'], undefined>>,
  Assert<Same<Results['ordered']['indices'], CudaTensor>>,
  Assert<Same<Results['product'], { out: CudaTensor }>>,
];

/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment */
export function mistakes(logits: CudaTensor, targets: CudaTensor) {
  return [
    // @ts-expect-error there is no such option
    softmax(logits, { temprature: 2 }),
    // @ts-expect-error an option of the wrong type
    softmax(logits, { temperature: '2' }),
    // @ts-expect-error an array of the host
    crossEntropy(logits, targets, { weight: new Float32Array(3) }),
    // @ts-expect-error an array of the host
    crossEntropy(logits, new Int32Array(2)),
    // @ts-expect-error a word that is no reduction
    crossEntropy(logits, targets, { reduction: 'all' }),
    // @ts-expect-error an output that the op does not have
    softmax(logits, { out: { loss: logits } }),
    // @ts-expect-error how many has to be said
    topK(logits),
    // @ts-expect-error the order is no output of a product
    matmul(logits, logits, { indices: true }),
    // @ts-expect-error there is no such type
    tensor(new Float32Array(3), [3], { dtype: 'f8' }),
  ];
}
