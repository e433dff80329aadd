/** TensorFlow.js on its cpu and wasm backends, composed of its own ops the way its users would. */
import { createRequire } from 'node:module';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { topKSize, type HeadlineName } from '../shapes.js';
import type { HeadlineInputs } from '../inputs.js';
import type { Contestant, Results } from '../measure.js';

export const backends = ['wasm', 'cpu'] as const;

/** Chooses a backend; the wasm files lie beside the package's entry. */
export async function useBackend(name: (typeof backends)[number]): Promise<void> {
  if (tf.getBackend() === name) return;
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${path.dirname(entry)}${path.sep}`);
  await tf.setBackend(name);
  await tf.ready();
}

interface Tensors {
  readonly logits: tf.Tensor2D;
  readonly teacher?: tf.Tensor2D | undefined;
  readonly onehot?: tf.Tensor | undefined;
}

const needsTargets = (op: HeadlineName) => op.startsWith('crossEntropy') || op === 'zLoss+grad';

const needsTeacher = (op: HeadlineName) => op === 'klDiv+grad' || op === 'standardizedKlDiv+grad';

function upload(op: HeadlineName, inputs: HeadlineInputs): Tensors {
  const { rows, columns, targets } = inputs;
  return {
    logits: tf.tensor2d(inputs.logits, [rows, columns]),
    teacher: needsTeacher(op) ? tf.tensor2d(inputs.teacher, [rows, columns]) : undefined,
    onehot: needsTargets(op) ? tf.oneHot(tf.tensor1d(targets, 'int32'), columns) : undefined,
  };
}

function klDiv(student: tf.Tensor, teacher: tf.Tensor): tf.Scalar {
  const logP = tf.logSoftmax(teacher);
  const terms = tf.mul(tf.exp(logP), tf.sub(logP, tf.logSoftmax(student)));
  return tf.div(tf.sum(terms), student.shape[0]);
}

/** Rows over their sample deviation and the temperature 2; the loss times its square. */
function standardize(x: tf.Tensor): tf.Tensor {
  const centred = tf.sub(x, tf.mean(x, 1, true));
  const variance = tf.div(tf.sum(tf.square(centred), 1, true), x.shape[1]! - 1);
  return tf.div(centred, tf.mul(tf.add(tf.sqrt(variance), 1e-7), 2));
}

function standardizedKlDiv(student: tf.Tensor, teacher: tf.Tensor): tf.Scalar {
  return tf.mul(klDiv(standardize(student), standardize(teacher)), 4);
}

function zLoss(logits: tf.Tensor, onehot: tf.Tensor): tf.Scalar {
  const mean = tf.mean(logits, 1, true);
  const deviation = tf.sqrt(tf.mean(tf.square(tf.sub(logits, mean)), 1));
  const own = tf.sum(tf.mul(logits, onehot), 1);
  const z = tf.div(tf.sub(own, tf.squeeze(mean, [1])), tf.add(deviation, 1e-12));
  return tf.mean(tf.softplus(tf.neg(z)));
}

const sceLoss = (onehot: tf.Tensor, logits: tf.Tensor) =>
  tf.losses.softmaxCrossEntropy<tf.Tensor, tf.Scalar>(onehot, logits);

function valueAndGradient(f: (x: tf.Tensor) => tf.Scalar, x: tf.Tensor): Record<string, tf.Tensor> {
  const { value, grad } = tf.valueAndGrad(f)(x);
  return { loss: value, grad };
}

function evaluate(
  op: HeadlineName,
  { logits, teacher, onehot }: Tensors,
): Record<string, tf.Tensor> {
  switch (op) {
    case 'logSoftmax':
      return { out: tf.logSoftmax(logits) };
    case 'softmax':
      return { out: tf.softmax(logits) };
    case 'crossEntropy':
      return { loss: sceLoss(onehot!, logits) };
    case 'crossEntropy+grad':
      return valueAndGradient((x) => sceLoss(onehot!, x), logits);
    case 'klDiv+grad':
      return valueAndGradient((x) => klDiv(x, teacher!), logits);
    case 'standardizedKlDiv+grad':
      return valueAndGradient((x) => standardizedKlDiv(x, teacher!), logits);
    case 'zLoss+grad':
      return valueAndGradient((x) => zLoss(x, onehot!), logits);
    case 'topK':
      return tf.topk(logits, topKSize(logits.shape[1]));
    case 'entropy': {
      const logProbs = tf.logSoftmax(logits);
      return { entropy: tf.neg(tf.sum(tf.mul(tf.exp(logProbs), logProbs), 1)) };
    }
  }
}

function read(tensors: Record<string, tf.Tensor>): Results {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, tensor.dataSync()]),
  );
}

export async function tfjsContestants(
  op: HeadlineName,
  inputs: HeadlineInputs,
): Promise<Contestant[]> {
  const contestants: Contestant[] = [];
  for (const backend of backends) {
    await useBackend(backend);
    // Both backends run an op when it is called, so nothing is left to wait for. The wasm backend reads its heap.
    const kept = upload(op, inputs);
    let last: Results = {};
    contestants.push(
      {
        name: `tfjs ${backend}`,
        threads: 1,
        trip: 'op',
        prepare: () => useBackend(backend),
        run: () => {
          tf.tidy(() => {
            evaluate(op, kept);
          });
        },
        results: () => {
          tf.tidy(() => {
            last = read(evaluate(op, kept));
          });
          return last;
        },
        dispose: async () => {
          await useBackend(backend);
          for (const tensor of [kept.logits, kept.teacher, kept.onehot]) tensor?.dispose();
        },
      },
      {
        name: `tfjs ${backend}`,
        threads: 1,
        trip: 'whole',
        prepare: () => useBackend(backend),
        run: () => {
          tf.tidy(() => {
            last = read(evaluate(op, upload(op, inputs)));
          });
        },
        results: () => last,
      },
    );
  }
  return contestants;
}
