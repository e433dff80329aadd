/**
 * Runs in a process of its own: all ops on inputs that another thread keeps overwriting with random bits. Results mean nothing then;
 * the process must live, and memory around the outputs stay as it is. Prints the number of calls.
 */
import { Worker } from 'node:worker_threads';
import { ops } from 'logitcore';
import { argumentsOf, op, promiseOp } from './invoke.js';
import { validSample, type ArrayValue, type Numbers, type Sample } from './samples.js';

const [seconds] = process.argv.slice(2).map(Number);

/** Writes floats of all kinds: random bits, few distinct values (so that counts of equal ones change), and order reversed. */
const scribbler = `
  const { workerData: shared, parentPort } = require('node:worker_threads');
  const words = new Uint32Array(shared);
  let x = 1;
  const next = () => { x ^= x << 13; x ^= x >>> 17; x ^= x << 5; return x >>> 0; };
  const few = [0x3f800000, 0x7fc00000, 0xff800000, 0x7f800000, 0, 0x40490fdb];
  parentPort.postMessage('writing');
  for (;;) {
    const kind = next() % 3;
    for (let i = 0; i < words.length; i++)
      words[i] = kind === 0 ? next() : kind === 1 ? few[next() % few.length] : words[words.length - 1 - i];
  }
`;

const shared = new SharedArrayBuffer(1 << 20);
type SharedType = new (buffer: SharedArrayBuffer, offset: number, length: number) => Numbers;

/** The same sample with its real inputs in the memory that is written to. Indices stay: they are copied before they are checked. */
function inShared(sample: Sample): Sample | undefined {
  const inputs: Record<string, ArrayValue> = {};
  let at = 0;
  for (const [name, { data, shape }] of Object.entries(sample.inputs)) {
    if (at + data.byteLength > shared.byteLength) return undefined;
    const moved = new (data.constructor as unknown as SharedType)(shared, at, data.length);
    inputs[name] = { data: moved, shape };
    at += Math.ceil(data.byteLength / 64) * 64;
  }
  return { ...sample, inputs };
}

async function main(): Promise<void> {
  // Its search for a zero can take minutes on random bits.
  const records = ops().filter(({ name }) => name !== 'partitionZeroRadius');
  const samples = records.flatMap((record) =>
    [false, true].flatMap((double) =>
      [
        {},
        { n: 30, c: 257, '*': [30] },
        { n: 2, c: 5000, '*': [2] },
        { n: 400, c: 7, '*': [4000] },
      ].map((sizes) => validSample(record, { double, optional: 'all', sizes })),
    ),
  );
  const moved = samples.map(inShared).filter((sample) => sample !== undefined);
  const worker = new Worker(scribbler, { eval: true, workerData: shared });
  await new Promise((resolve) => worker.once('message', resolve));
  const end = Date.now() + 1000 * seconds;
  let calls = 0;
  do {
    for (const sample of moved) {
      try {
        op(sample.record.name)(...argumentsOf(sample));
      } catch (error) {
        if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
      }
      if (calls++ % 4 === 0)
        await promiseOp(sample.record.name)(...argumentsOf(sample)).catch(() => undefined);
    }
  } while (Date.now() < end);
  await worker.terminate();
  process.stdout.write(JSON.stringify({ calls, samples: moved.length }));
}

// Imported for its types only, this file must do nothing.
if (seconds > 0) await main();
