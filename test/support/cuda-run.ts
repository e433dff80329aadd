/** Runs in a process of its own, whose environment says how the device is: does what its argument names, and prints JSON. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { info, softmax as hostSoftmax } from 'logitcore';
import * as cuda from 'logitcore/cuda';

const messageOf = (call: () => unknown): string => {
  try {
    call();
    return '';
  } catch (error) {
    return String(error);
  }
};

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
