/**
 * `npm start`: a classifier of handwritten digits. The network runs in TensorFlow.js (wasm backend), the loss and its
 * gradient in logitcore. Prints the loss and the accuracy on held-out images after every epoch, compares the time of
 * the loss step with TensorFlow.js's own, and draws the curves into examples/out. Training images are shifted at random,
 * so their loss may lie above that of the held-out ones.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import cliProgress from 'cli-progress';
import { info } from 'logitcore';
import { createTfjsOps } from 'logitcore/tfjs';
import { palette, writePlot, type Panel } from '../bench/plot.js';
import {
  loadDigits,
  pixels,
  randomGenerator,
  shiftedBatch,
  shuffled,
  type DigitSet,
} from './mnist.js';

const seed = 7;
const heldOut = 2000;
const hiddenUnits = 128;
const batchSize = 100;
const epochs = 15;
const learningRate = 2e-3;

const { crossEntropy } = createTfjsOps(tf);

interface Epoch {
  epoch: number;
  trainLoss: number;
  testLoss: number;
  testAccuracy: number;
}

function createNetwork() {
  const weights = (inputs: number, outputs: number, name: string) =>
    tf.variable(
      tf.randomNormal([inputs, outputs], 0, Math.sqrt(2 / inputs), 'float32', seed),
      true,
      name,
    );
  const bias = (outputs: number, name: string) => tf.variable(tf.zeros([outputs]), true, name);
  const hiddenWeights = weights(pixels, hiddenUnits, 'hidden');
  const hiddenBias = bias(hiddenUnits, 'hiddenBias');
  const outputWeights = weights(hiddenUnits, 10, 'output');
  const outputBias = bias(10, 'outputBias');
  return (images: tf.Tensor2D): tf.Tensor2D => {
    const hidden = tf.relu(tf.add(tf.matMul(images, hiddenWeights), hiddenBias));
    return tf.add(tf.matMul(hidden, outputWeights), outputBias);
  };
}

type Network = ReturnType<typeof createNetwork>;

function evaluate(network: Network, images: tf.Tensor2D, labels: Int32Array) {
  return tf.tidy(() => {
    const logits = network(images);
    const guesses = tf.argMax(logits, 1).dataSync();
    const right = labels.filter((label, i) => label === guesses[i]).length;
    return { loss: crossEntropy(logits, labels).dataSync()[0], accuracy: right / labels.length };
  });
}

function train(network: Network, training: DigitSet, test: DigitSet): Epoch[] {
  const testImages = tf.tensor2d(test.images, [test.labels.length, pixels]);
  // The schedule below sets the rate, which the types of tfjs keep to its subclasses.
  const optimizer = tf.train.adam(learningRate) as tf.AdamOptimizer & { learningRate: number };
  const random = randomGenerator(seed + 1);
  const steps = Math.floor(training.labels.length / batchSize);
  const bar = new cliProgress.SingleBar(
    {
      format: 'training {bar} epoch {epoch}/{epochs} | loss {loss}',
      clearOnComplete: true,
      hideCursor: true,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(epochs * steps, 0, { epoch: 1, epochs, loss: '' });
  const history: Epoch[] = [];
  for (let epoch = 1; epoch <= epochs; epoch++) {
    // Half a cosine from the full rate to nearly none.
    optimizer.learningRate = learningRate * 0.5 * (1 + Math.cos((Math.PI * (epoch - 1)) / epochs));
    const order = shuffled(training.labels.length, random);
    let total = 0;
    for (let step = 0; step < steps; step++) {
      const rows = order.slice(step * batchSize, (step + 1) * batchSize);
      const labels = rows.map((row) => training.labels[row]);
      total += tf.tidy(() => {
        const batch = tf.tensor2d(shiftedBatch(training, rows, random), [batchSize, pixels]);
        const cost = optimizer.minimize(
          () => crossEntropy(network(batch), labels) as tf.Scalar,
          true,
        );
        return cost!.dataSync()[0];
      });
      bar.increment(1, { epoch, loss: (total / (step + 1)).toFixed(4) });
    }
    const { loss, accuracy } = evaluate(network, testImages, test.labels);
    history.push({ epoch, trainLoss: total / steps, testLoss: loss, testAccuracy: accuracy });
  }
  bar.stop();
  return history;
}

/** Value and gradient of the loss on one batch of logits, in turns, the order changing every round. */
function timeLossStep(labels: Int32Array) {
  const logits = tf.randomNormal([batchSize, 10], 0, 2, 'float32', seed);
  const onehot = tf.oneHot(tf.tensor1d(labels, 'int32'), 10);
  const own = tf.valueAndGrad((x: tf.Tensor) => crossEntropy(x, labels) as tf.Scalar);
  const theirs = tf.valueAndGrad((x: tf.Tensor) =>
    tf.losses.softmaxCrossEntropy<tf.Tensor, tf.Scalar>(onehot, x),
  );
  const contestants = [own, theirs].map((step) => ({ step, times: [] as number[] }));
  const rounds = 600;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contestants.length; i++) {
      const { step, times } = contestants[(round + i) % contestants.length];
      const start = performance.now();
      const result = step(logits);
      const elapsed = performance.now() - start;
      tf.dispose(result);
      if (round >= rounds / 3) times.push(elapsed * 1e3); // the first third warms up
    }
  }
  const [ownTime, theirTime] = contestants.map(
    ({ times }) => times.sort((a, b) => a - b)[times.length >> 1],
  );
  return { own: ownTime, theirs: theirTime };
}

async function plot(file: string, history: Epoch[]): Promise<void> {
  const values = history.flatMap(({ epoch, trainLoss, testLoss, testAccuracy }) => [
    { epoch, panel: 'cross-entropy', curve: 'training (shifted)', value: trainLoss },
    { epoch, panel: 'cross-entropy', curve: 'held out', value: testLoss },
    { epoch, panel: 'accuracy (%)', curve: 'held out', value: 100 * testAccuracy },
  ]);
  const panel = (title: string): Panel => ({
    title,
    width: 330,
    height: 240,
    transform: [{ filter: `datum.panel === '${title}'` }],
    mark: { type: 'line', point: { size: 45 }, strokeWidth: 2 },
    encoding: {
      x: {
        field: 'epoch',
        type: 'quantitative',
        axis: { title: 'epoch', format: 'd', tickMinStep: 1 },
      },
      y: {
        field: 'value',
        type: 'quantitative',
        scale: { zero: false },
        axis: { title: null },
      },
      color: {
        field: 'curve',
        type: 'nominal',
        scale: { domain: ['training (shifted)', 'held out'], range: [palette[0], palette[1]] },
        legend: { title: null, orient: 'bottom' },
      },
    },
  });
  await writePlot(file, {
    data: { values },
    title: { text: 'MNIST digits, tfjs network, logitcore loss', anchor: 'middle', offset: 12 },
    hconcat: [panel('cross-entropy'), panel('accuracy (%)')],
  });
}

async function main(): Promise<void> {
  const started = performance.now();
  const wasm = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${path.dirname(wasm)}${path.sep}`);
  await tf.setBackend('wasm');
  await tf.ready();

  const { training, test } = loadDigits(heldOut, seed);
  console.log(
    `${training.labels.length} training and ${heldOut} held-out images; ` +
      `tfjs ${tf.version.tfjs} (${tf.getBackend()}), logitcore ${info().version} (${info().isa})`,
  );
  const history = train(createNetwork(), training, test);
  for (const { epoch, trainLoss, testLoss, testAccuracy } of history)
    console.log(
      `epoch ${String(epoch).padStart(2)}   train loss ${trainLoss.toFixed(4)}   ` +
        `held-out loss ${testLoss.toFixed(4)}   held-out accuracy ${(100 * testAccuracy).toFixed(2)} %`,
    );

  const { own, theirs } = timeLossStep(training.labels.slice(0, batchSize));
  console.log(
    `loss step on [${batchSize},10], value and gradient: logitcore ${own.toFixed(0)} µs, ` +
      `tfjs ${theirs.toFixed(0)} µs (${(theirs / own).toFixed(1)} times as long)`,
  );
  const picture = fileURLToPath(new URL('./out/digits.svg', import.meta.url));
  await plot(picture, history);
  console.log(`curves: ${path.relative(process.cwd(), picture)}`);
  console.log(`${((performance.now() - started) / 1e3).toFixed(0)} s in all`);
}

// Printed here: for an uncaught error the handler of tfjs's wasm module prints its own minified source.
try {
  await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
