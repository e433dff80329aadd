/**
 * `npx tsx examples/cuda.ts`: a linear classifier of handwritten digits that is trained where its weights are, in the memory of a GPU.
 * A step is a product for the logits, a loss with its gradient, and a product that adds the gradient of the weights to the weights.
 * Nothing is read back but what is printed. The same steps on the CPU follow, for comparison.
 * Without a GPU: `LOGITCORE_CUDA_BINARY=build-cuda-emulated/logitcore_cuda.node` after `npm run build:cuda -- --emulate`.
 */
import * as cpu from 'logitcore';
import * as cuda from 'logitcore/cuda';
import { loadDigits, pixels, type DigitSet } from './mnist.js';

const seed = 7;
const heldOut = 2000;
const epochs = 3;
const batchSize = 500;
const learningRate = 0.5;
const classes = 10;
/** The last feature of every image is 1, whose weights are the bias. */
const features = pixels + 1;

interface Batch {
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

function batchesOf({ images, labels }: DigitSet): Batch[] {
  return Array.from({ length: Math.floor(labels.length / batchSize) }, (_, i) => {
    const rows = new Float32Array(batchSize * features).fill(1);
    for (let row = 0; row < batchSize; row++) {
      const start = (i * batchSize + row) * pixels;
      rows.set(images.subarray(start, start + pixels), row * features);
    }
    return { images: rows, labels: labels.slice(i * batchSize, (i + 1) * batchSize) };
  });
}

const share = (right: number, batches: readonly Batch[]): string =>
  `${((100 * right) / (batches.length * batchSize)).toFixed(2)} % right`;

async function onDevice(training: readonly Batch[], test: readonly Batch[]): Promise<void> {
  const upload = (batches: readonly Batch[]) =>
    batches.map(({ images, labels }) => ({
      images: cuda.tensor(images, [batchSize, features]),
      targets: cuda.tensor(labels),
      labels,
    }));
  const batches = upload(training);
  const held = upload(test);
  const weights = cuda.tensor(new Float32Array(features * classes), [features, classes]);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const losses: cuda.CudaTensor[] = [];
    for (const { images, targets } of batches) {
      using logits = cuda.matmul(images, weights).out;
      // The gradient takes the place of the logits.
      const { loss, gradLogits } = cuda.crossEntropy(logits, targets, {
        grad: true,
        out: { gradLogits: logits },
      });
      cuda.matmul(images, gradLogits, {
        transposeA: true,
        alpha: -learningRate,
        beta: 1,
        out: { out: weights },
      });
      losses.push(loss);
    }
    // The steps are under way; here the program waits for them.
    const values = await Promise.all(losses.map((loss) => loss.item()));
    for (const loss of losses) loss.dispose();
    let right = 0;
    for (const { images, labels } of held) {
      using logits = cuda.matmul(images, weights).out;
      const { values: largest, indices } = cuda.topK(logits, { k: 1 });
      const guesses = await indices.read();
      right += labels.filter((label, i) => guesses[i] === label).length;
      largest.dispose();
      indices.dispose();
    }
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    console.log(`device, epoch ${epoch}: loss ${mean.toFixed(4)}, ${share(right, test)}`);
  }
  for (const { images, targets } of [...batches, ...held]) {
    images.dispose();
    targets.dispose();
  }
  weights.dispose();
  const { peak, used } = cuda.memory();
  console.log(
    `device memory: ${(peak / 2 ** 20).toFixed(1)} MiB at most, ${used} bytes at the end`,
  );
}

function onHost(training: readonly Batch[], test: readonly Batch[]): void {
  const weights = { data: new Float32Array(features * classes), shape: [features, classes] };
  const logitsOf = ({ images }: Batch) =>
    cpu.matmul({ data: images, shape: [batchSize, features] }, weights).out;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let sum = 0;
    for (const batch of training) {
      const logits = { data: logitsOf(batch), shape: [batchSize, classes] };
      const { loss } = cpu.crossEntropy(logits, batch.labels, {
        grad: true,
        out: { gradLogits: logits.data },
      });
      cpu.matmul({ data: batch.images, shape: [batchSize, features] }, logits, {
        transposeA: true,
        alpha: -learningRate,
        beta: 1,
        out: { out: weights.data },
      });
      sum += loss;
    }
    let right = 0;
    for (const batch of test) {
      const logits = { data: logitsOf(batch), shape: [batchSize, classes] };
      const { indices } = cpu.topK(logits, { k: 1 });
      right += batch.labels.filter((label, i) => indices[i] === label).length;
    }
    const mean = sum / training.length;
    console.log(`CPU, epoch ${epoch}: loss ${mean.toFixed(4)}, ${share(right, test)}`);
  }
}

const reason = cuda.unavailableReason();
const { training, test } = loadDigits(heldOut, seed);
const [learnt, unseen] = [batchesOf(training), batchesOf(test)];
if (reason === undefined) {
  console.log(`device: ${cuda.devices().find(({ used }) => used)!.name}`);
  await onDevice(learnt, unseen);
} else console.log(`CUDA is not available, the CPU computes alone: ${reason}`);
onHost(learnt, unseen);
