/** Output layers to compare: each trains its weights [classes, d] by one step of gradient descent a minibatch. */
import { crossEntropy, matmul, SphericalOutputLayer } from 'logitcore';

export interface OutputLayer {
  /** One step on hidden rows [n, d]; returns the gradient to them. */
  step(hidden: Float32Array, targets: Int32Array): Float32Array;
  dispose?(): void;
}

export interface LayerSizes {
  readonly classes: number;
  readonly dimensions: number;
  readonly batch: number;
  readonly learningRate: number;
}

export const sphericalLosses = ['z', 'mse', 'taylor', 'spherical'] as const;
export type SphericalLoss = (typeof sphericalLosses)[number];

/** All logits, log-softmax and its gradient over them in place, and two more products with the weights. */
export function denseSoftmax(
  weight: Float32Array,
  { classes, dimensions, batch, learningRate }: LayerSizes,
): OutputLayer {
  const logits = new Float32Array(batch * classes);
  const gradHidden = new Float32Array(batch * dimensions);
  const W = { data: weight, shape: [classes, dimensions] };
  const rows = { data: logits, shape: [batch, classes] };
  return {
    step(hidden, targets) {
      const h = { data: hidden, shape: [batch, dimensions] };
      matmul(h, W, { transposeB: true, out: { out: logits } });
      crossEntropy(rows, targets, { grad: true, out: { gradLogits: logits } });
      matmul(rows, W, { out: { out: gradHidden } });
      matmul(rows, h, { transposeA: true, alpha: -learningRate, beta: 1, out: { out: weight } });
      return gradHidden;
    },
  };
}

/**
 * Two levels: a softmax over groups of about sqrt(classes) neighbouring classes, then one over the classes of the target's group
 * (Goodman 2001). Samples with one group share its products.
 */
export function hierarchicalSoftmax(
  weight: Float32Array,
  { classes, dimensions: d, batch, learningRate }: LayerSizes,
): OutputLayer {
  const size = Math.ceil(Math.sqrt(classes));
  const groups = Math.ceil(classes / size);
  const groupLayer = denseSoftmax(new Float32Array(groups * d), {
    classes: groups,
    dimensions: d,
    batch,
    learningRate,
  });
  const logits = new Float32Array(batch * size);
  const hiddenOf = new Float32Array(batch * d);
  const gradOf = new Float32Array(batch * d);
  const groupOf = (target: number) => Math.floor(target / size);
  return {
    step(hidden, targets) {
      const gradHidden = groupLayer.step(hidden, targets.map(groupOf));
      const order = Array.from(targets.keys()).sort((a, b) => targets[a] - targets[b]);
      for (let begin = 0, end: number; begin < order.length; begin = end) {
        const group = groupOf(targets[order[begin]]);
        end = begin + 1;
        while (end < order.length && groupOf(targets[order[end]]) === group) end++;
        const samples = order.slice(begin, end);
        const first = group * size;
        const count = Math.min(size, classes - first);
        const n = samples.length;
        samples.forEach((sample, at) => {
          hiddenOf.set(hidden.subarray(sample * d, (sample + 1) * d), at * d);
        });
        const h = { data: hiddenOf.subarray(0, n * d), shape: [n, d] };
        const own = weight.subarray(first * d, (first + count) * d);
        const W = { data: own, shape: [count, d] };
        const rows = { data: logits.subarray(0, n * count), shape: [n, count] };
        const inGroup = Int32Array.from(samples, (sample) => targets[sample] - first);
        matmul(h, W, { transposeB: true, out: { out: rows.data } });
        // The mean is over the whole minibatch.
        const rowWeights = new Float32Array(n).fill(1 / batch);
        crossEntropy(rows, inGroup, {
          grad: true,
          reduction: 'sum',
          rowWeights,
          out: { gradLogits: rows.data },
        });
        matmul(rows, W, { out: { out: gradOf.subarray(0, n * d) } });
        samples.forEach((sample, at) => {
          for (let j = 0; j < d; j++) gradHidden[sample * d + j] += gradOf[at * d + j];
        });
        matmul(rows, h, { transposeA: true, alpha: -learningRate, beta: 1, out: { out: own } });
      }
      return gradHidden;
    },
  };
}

/** The layer whose step does not see the classes. */
export function sphericalLayer(
  weight: Float32Array,
  { classes, dimensions, batch, learningRate }: LayerSizes,
  loss: SphericalLoss,
): OutputLayer {
  const layer = SphericalOutputLayer.create(
    { data: weight, shape: [classes, dimensions] },
    { loss },
  );
  const gradHidden = new Float32Array(batch * dimensions);
  return {
    step(hidden, targets) {
      layer.step({ data: hidden, shape: [batch, dimensions] }, targets, learningRate, {
        gradHidden,
      });
      return gradHidden;
    },
    dispose: () => {
      layer.dispose();
    },
  };
}
