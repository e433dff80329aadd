/** Runs in a process of its own, at the level and with the threads of its environment: trains layers and prints a hash of all results. */
import { createHash } from 'node:crypto';
import { SphericalOutputLayer } from 'logitcore';
import { copyOf, tensor, typed, values } from './layer.js';
import { Random } from './random.js';

const d = 70;
const hash = createHash('sha256');
for (const double of [false, true])
  for (const loss of ['z', 'mse'] as const) {
    const random = new Random(6);
    const layer = SphericalOutputLayer.random({
      classes: 3000,
      dimensions: d,
      loss,
      weightDecay: 0.01,
      stabilizePeriod: 10,
      singularRange: [0.9, 1.1],
      dtype: double ? 'float64' : 'float32',
    });
    // Rows that wait, alone and beside others; more than may wait; more than dimensions.
    for (const n of [1, 1, 3, 33, 1, 66, 90, 1, 5, 30, 1, 33, 33, 2]) {
      const hidden = typed(values(random, n * d, 0.1), double);
      const targets = Int32Array.from({ length: n }, () => random.integer(0, 9));
      const { loss: value, gradHidden } = layer.step(tensor<never>(hidden as never, d), targets, 1);
      hash.update(Float64Array.of(value)).update(gradHidden);
    }
    for (const numbers of copyOf(layer.state)) hash.update(Float64Array.from(numbers));
  }
console.log(hash.digest('hex'));
