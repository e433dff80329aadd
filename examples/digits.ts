/**
 * `npm start`: handwritten digits. A wide network is trained in TensorFlow.js (wasm backend) with loss and gradient from
 * logitcore; then it teaches a tiny one by several distillation losses, each with the same seeds and steps. Prints losses and
 * accuracies on held-out images, compares the time of the loss step with TensorFlow.js's own, and draws the curves into
 * examples/out. Training images are shifted at random, so their loss may lie above that of the held-out ones.
 * `npm start -- --quick` trains the students with one seed instead of three.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import cliProgress from 'cli-progress';
import { Command } from 'commander';
import { info } from 'logitcore';
import { palette, writePlot, type Panel } from '../bench/plot.js';
import {
  compareWithPapers,
  distil,
  mean,
  methods,
  spread,
  studentSteps,
  studentUnits,
  type Result,
} from './distillation.js';
import { loadDigits, pixels, type DigitSet } from './mnist.js';
import {
  batchSize,
  createNetwork,
  evaluate,
  losses,
  stepsOf,
  train,
  type Network,
} from './training.js';

const seed = 7;
const heldOut = 2000;
const teacherUnits = 128;
const epochs = 15;
const learningRate = 2e-3;
const studentSeeds = [1, 2, 3];
const { crossEntropy } = losses;

interface Epoch {
  epoch: number;
  trainLoss: number;
  testLoss: number;
  testAccuracy: number;
}

interface TestSet {
  images: tf.Tensor2D;
  labels: Int32Array;
}

const progressBar = (format: string) =>
  new cliProgress.SingleBar(
    { format, clearOnComplete: true, hideCursor: true },
    cliProgress.Presets.shades_classic,
  );

function trainTeacher(network: Network, training: DigitSet, test: TestSet): Epoch[] {
  const bar = progressBar('teacher {bar} epoch {epoch}/{epochs} | loss {loss}');
  const history: Epoch[] = [];
  bar.start(epochs * stepsOf(training), 0, { epoch: 1, epochs, loss: '' });
  train({
    network,
    digits: training,
    loss: ([logits], labels) => crossEntropy(logits, labels),
    epochs,
    learningRate,
    seed: seed + 1,
    onStep: (loss) => {
      bar.increment(1, { epoch: history.length + 1, loss: loss.toFixed(4) });
    },
    onEpoch: (epoch, trainLoss) => {
      const { loss, accuracy } = evaluate(network, test.images, test.labels);
      history.push({ epoch, trainLoss, testLoss: loss, testAccuracy: accuracy });
    },
  });
  bar.stop();
  return history;
}

function trainStudents(
  teacher: Network,
  training: DigitSet,
  test: TestSet,
  seeds: readonly number[],
): Result[] {
  const bar = progressBar('students {bar} {method}, seed {number}');
  bar.start(methods.length * seeds.length * studentSteps(training), 0, { method: '', number: '' });
  const results = distil(teacher, training, test, seeds, (method, number) => {
    bar.increment(1, { method, number });
  });
  bar.stop();
  return results;
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

async function plot(file: string, history: Epoch[], results: Result[]): Promise<void> {
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
  const students: Panel = {
    title: 'students, held-out accuracy (%)',
    width: 330,
    height: 240,
    data: {
      values: results.flatMap(({ method, accuracies }) =>
        accuracies.map((accuracy) => ({ method, accuracy: 100 * accuracy })),
      ),
    },
    mark: { type: 'point', filled: true, size: 70, opacity: 0.8 },
    encoding: {
      x: {
        field: 'accuracy',
        type: 'quantitative',
        scale: { zero: false },
        axis: { title: null },
      },
      y: {
        field: 'method',
        type: 'nominal',
        sort: results.map(({ method }) => method),
        axis: { title: null, labelLimit: 200 },
      },
      color: { value: palette[0] },
    },
  };
  await writePlot(file, {
    data: { values },
    title: { text: 'MNIST digits, tfjs network, logitcore loss', anchor: 'middle', offset: 12 },
    hconcat: [panel('cross-entropy'), panel('accuracy (%)'), students],
  });
}

async function main(): Promise<void> {
  const { quick } = new Command('npm start --')
    .option('--quick', 'train the students with one seed instead of three')
    .parse()
    .opts<{ quick?: boolean }>();
  const seeds = quick ? studentSeeds.slice(0, 1) : studentSeeds;
  const started = performance.now();
  const wasm = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${path.dirname(wasm)}${path.sep}`);
  await tf.setBackend('wasm');
  await tf.ready();

  const digits = loadDigits(heldOut, seed);
  const { training } = digits;
  const test = {
    images: tf.tensor2d(digits.test.images, [heldOut, pixels]),
    labels: digits.test.labels,
  };
  console.log(
    `${training.labels.length} training and ${heldOut} held-out images; ` +
      `tfjs ${tf.version.tfjs} (${tf.getBackend()}), logitcore ${info().version} (${info().isa})`,
  );
  const teacher = createNetwork(teacherUnits, seed);
  const history = trainTeacher(teacher, training, test);
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
  const results = trainStudents(teacher, training, test, seeds);
  console.log(
    `students with ${studentUnits} hidden units (the teacher has ${teacherUnits}), held-out accuracy in % over ${seeds.length} seed${seeds.length === 1 ? '' : 's'}:`,
  );
  for (const { method, accuracies } of results) {
    const percent = accuracies.map((accuracy) => 100 * accuracy);
    console.log(
      `  ${method.padEnd(20)} ${mean(percent).toFixed(2)} ± ${spread(percent).toFixed(2)}   (${percent.map((x) => x.toFixed(2)).join(', ')})`,
    );
  }
  for (const line of compareWithPapers(results)) console.log(`  ${line}`);

  const picture = fileURLToPath(new URL('./out/digits.svg', import.meta.url));
  await plot(picture, history, results);
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
