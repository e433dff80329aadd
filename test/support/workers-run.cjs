// Runs in a process of its own, with `terminate` or `together`, a number of workers and the addon's file.
// terminate: starts that many workers and ends each in the middle of its calls. together: all at once, each compares its results.
'use strict';

/* global __filename, setImmediate */
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const columns = 1000;
const rows = 64;

function request(addon) {
  const id = addon.records.findIndex(({ name }) => name === 'crossEntropy');
  const record = addon.records[id];
  const frame = new Float64Array(
    9 * record.inputs.length + 2 * record.options.length + record.outputs.length,
  );
  const arrays = record.inputs.map(() => undefined);
  const put = (name, array, ...shape) => {
    const at = record.inputs.findIndex((input) => input.name === name);
    arrays[at] = array;
    frame.set([shape.length, ...shape], 9 * at);
  };
  const logits = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * i));
  put('logits', logits, rows, columns);
  put(
    'targets',
    Int32Array.from({ length: rows }, (_, i) => i),
    rows,
  );
  const grad = record.options.findIndex(({ name }) => name === 'grad');
  frame.set([1, 1], 9 * record.inputs.length + 2 * grad);
  const gradient = new Float32Array(rows * columns);
  const outputs = record.outputs.map(({ name }) => (name === 'gradLogits' ? gradient : undefined));
  const loss = () =>
    frame[
      9 * record.inputs.length +
        2 * record.options.length +
        record.outputs.findIndex(({ name }) => name === 'loss')
    ];
  return { id, frame, arrays: [...arrays, ...outputs], loss };
}

async function inWorker({ file, rounds }) {
  const addon = require(file);
  const first = request(addon);
  addon.call(first.id, first.frame, ...first.arrays);
  const expected = first.loss();
  const others = [request(addon), request(addon), request(addon)];
  parentPort.postMessage('working');
  for (let round = 0; round < rounds; round++) {
    const jobs = others.map((one) => addon.callInBackground(one.id, one.frame, ...one.arrays));
    addon.call(first.id, first.frame, ...first.arrays);
    await Promise.all(jobs);
    for (const one of [first, ...others])
      if (one.loss() !== expected) throw new Error(`loss ${one.loss()}, expected ${expected}`);
  }
}

async function inMain(mode, count, file) {
  const start = (rounds) => {
    const worker = new Worker(__filename, { workerData: { file, rounds } });
    const ended = new Promise((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', resolve);
    });
    return { worker, ended };
  };
  if (mode === 'together') {
    await Promise.all(Array.from({ length: count }, () => start(50).ended));
    return;
  }
  let left = count;
  const oneAfterAnother = async (lane) => {
    while (left > 0) {
      left -= 1;
      const { worker, ended } = start(Infinity);
      // Some end while they load the addon, most in the middle of their calls.
      if ((left + lane) % 10 > 0) {
        await Promise.race([ended, new Promise((resolve) => worker.once('message', resolve))]);
        for (let i = left % 4; i > 0; i--) await new Promise((resolve) => setImmediate(resolve));
      }
      await worker.terminate();
      await ended;
    }
  };
  await Promise.all([0, 1, 2, 3].map(oneAfterAnother));
}

if (isMainThread) {
  const [mode, count, file] = process.argv.slice(2);
  inMain(mode, Number(count), file).then(
    () => console.log('done'),
    (error) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
} else {
  void inWorker(workerData);
}
