import { call } from './call.js';
import type { CallOptions, Logits, RealArray } from './types.js';

export interface AdamWStepOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Default 1e-3. */
  learningRate?: number;
  /** Decay of the first moment, in [0, 1); default 0.9. */
  beta1?: number;
  /** Decay of the second moment, in [0, 1); default 0.95. */
  beta2?: number;
  /** Added to the root of the second moment; default 1e-8. Gradients near it no longer move the parameters: 1e-15 is safer. */
  epsilon?: number;
  /** Default 1e-4 with independentDecay, else 0.1. */
  weightDecay?: number;
  /** The schedule's share of learning rate and decay; default 1. */
  schedule?: number;
  /** Number of this step, from 1, for the bias correction; default 1. */
  step?: number;
  /** The decay does not depend on the learning rate; false is the form of PyTorch and Optax. Default true. */
  independentDecay?: boolean;
  /** Default true. */
  biasCorrection?: boolean;
  /** Each may be the very array of the input of that name: the step in place. */
  out?: { param?: A; m?: A; v?: A };
}

/**
 * One step of AdamW, new arrays unless `out` is given.
 *
 * `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`, `update = m^ / (sqrt(v^) + epsilon)`, where the hats divide by
 * `1 - beta^step`. The parameter becomes `param - schedule (learningRate update + weightDecay param)`, or with independentDecay
 * false `param - schedule learningRate (update + weightDecay param)` (Loshchilov and Hutter 2019, arXiv 1711.05101; Wortsman et al.
 * 2023, arXiv 2309.14322). Clip the gradient before.
 * @param param parameters, any shape
 * @param grad their gradient
 * @param m first moments, zeros before step 1
 * @param v second moments, zeros before step 1
 * @returns `param`, `m`, `v`, and the root mean squares of the gradient (`gradRms`), of the update before learning rate and decay
 * (`updateRms`) and of the new parameters (`paramRms`)
 * @throws TypeError or RangeError for a wrong type, size or option, empty input, or step < 1
 */
export function adamWStep<A extends RealArray>(
  param: Logits<A>,
  grad: Logits<A>,
  m: Logits<A>,
  v: Logits<A>,
  options?: AdamWStepOptions<A>,
): { param: A; m: A; v: A; gradRms: number; updateRms: number; paramRms: number } {
  return call('adamWStep', [param, grad, m, v], options);
}
