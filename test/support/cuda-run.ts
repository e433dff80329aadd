/** Runs in a process of its own, whose environment says how the device is: does what its argument names, and prints JSON. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { classCorrelation, info, matmul, softmax as hostSoftmax } from 'logitcore';
import * as cuda from 'logitcore/cuda';
import { Random } from './random.js';

const messageOf = (call: () => unknown): string => {
  try {
    call();
    return '';
  } catch (error) {
    return String(error);
  }
};

const numbers = (length: number, seed: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.bell());
};
/** How far two arrays are apart at most. */
const apart = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
  Array.from(x).reduce((most, value, i) => Math.max(most, Math.abs(value - y[i])), 0);

const scenarios = {
  reason: () => ({
    available: cuda.isAvailable(),
    reason: cuda.unavailableReason(),
    devices: cuda.devices().length,
    info: info().cuda,
    thrown: messageOf(() => cuda.tensor(new Float32Array(1))),
  }),

  /** Whether the addon's file is in this process before the first use, and after. */
  lazy: () => {
    const file = process.env.LOGITCORE_CUDA_BINARY!;
    const isLoaded = () => readFileSync('/proc/self/maps', 'utf8').includes(file);
    hostSoftmax(new Float32Array(3));
    const before = isLoaded();
    cuda.isAvailable();
    return { before, after: isLoaded() };
  },

  /** On a device of 1 MiB. */
  memory: async () => {
    const kept = cuda.tensor(new Float32Array(100_000), [100, 1000]);
    const second = cuda.softmax(kept).out;
    const tensors = cuda.memory().tensors;
    const [upload, op, reduced] = [
      () => cuda.tensor(new Float32Array(100_000)),
      () => cuda.softmax(kept),
      () => cuda.standardizeLogits(kept),
    ].map(messageOf);
    const leaked = cuda.memory().tensors - tensors;
    second.dispose();
    // Of another size: the block that was given back is not used, but its memory is.
    const third = cuda.tensor(new Float32Array(120_000));
    const value = (await cuda.softmax(cuda.tensor(new Float32Array(4))).out.read())[0];
    return { upload, op, reduced, leaked, third: third.size, value, ...cuda.memory() };
  },

  /** Products in float32 and in double, against the host's in double. */
  products: async () => {
    const [m, k, n] = [70, 130, 150];
    const [a, b, before] = [numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3)];
    const wide = (x: Float32Array) => Float64Array.from(x);
    const deviations: number[] = [];
    let isRounded = true;
    // Twice: the second time, what was found for a size is known.
    for (const [alpha, beta] of [
      [1, 0],
      [-0.5, 2],
      [3, 1],
    ])
      for (const transposeA of [false, true])
        for (const transposeB of [false, true]) {
          const shapeA = transposeA ? [k, m] : [m, k];
          const shapeB = transposeB ? [n, k] : [k, n];
          const options = { transposeA, transposeB, alpha, beta };
          const { out: expected } = matmul(
            { data: wide(a), shape: shapeA },
            { data: wide(b), shape: shapeB },
            { ...options, out: { out: wide(before) } },
          );
          const { out } = cuda.matmul(cuda.tensor(a, shapeA), cuda.tensor(b, shapeB), {
            ...options,
            out: { out: cuda.tensor(before, [m, n]) },
          });
          const got = await out.read();
          deviations.push(apart(got, expected));
          isRounded &&= got.every((x, i) => x === Math.fround(expected[i]));
        }
    const shape = [80, 160];
    const [student, teacher] = [numbers(80 * 160, 4), numbers(80 * 160, 5)];
    const { gradStudent: expected } = classCorrelation(
      { data: wide(student), shape },
      { data: wide(teacher), shape },
      { grad: true },
    );
    const { gradStudent } = cuda.classCorrelation(
      cuda.tensor(student, shape),
      cuda.tensor(teacher, shape),
      { grad: true },
    );
    const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    return {
      cublasLt: cuda.versions().cublasLt,
      most: Math.max(...deviations),
      isRounded,
      correlation: apart(await gradStudent.read(), expected) / largest,
    };
  },

  /** Worker threads that end with reads under way. */
  workers: async () => {
    const code = `
      const addon = require(${JSON.stringify(process.env.LOGITCORE_CUDA_BINARY)});
      const { parentPort } = require('node:worker_threads');
      const tensor = addon.upload('test', 0, new Float32Array(100_000).fill(3));
      addon.read(tensor).then(([x]) => {
        for (let i = 0; i < 8; i++) addon.read(tensor);
        parentPort.postMessage(x);
      });`;
    const values: number[] = [];
    for (let i = 0; i < 10; i++) {
      const worker = new Worker(code, { eval: true });
      const [value] = (await once(worker, 'message')) as [number];
      values.push(value);
      await (i % 2 ? worker.terminate() : once(worker, 'exit'));
    }
    return { values, tensors: cuda.memory().tensors };
  },
};

const name = process.argv[2] as keyof typeof scenarios;
console.log(JSON.stringify(await scenarios[name]()));
