// Runs in a process of its own: calls the raw addon with garbage. Whatever comes in, it must throw or return, and write nowhere but
// into its outputs; the process must live. Arguments: the addon's file, a seed, a number of calls. Prints how many calls threw and
// how many ran.
'use strict';

const { oddNumbers, random } = require('./garbage.cjs');

const { structuredClone } = globalThis;
const [, , file, seedText, countText] = process.argv;
const addon = require(file);

const { below, pick } = random(seedText);
const { records } = addon;
const slots = 9;
const frameLength = (r) => r.inputs.length * slots + 2 * r.options.length + r.outputs.length;

const types = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
// One small buffer that many arrays look into, so that outputs overlap inputs.
const common = new ArrayBuffer(4096);

function oddArray() {
  const length = pick([0, 0, 1, 2, 3, 6, 12, 16, 17, 64]);
  switch (below(12)) {
    case 0:
      return new (pick(types))(length);
    case 1:
      return new Float32Array(common, 4 * below(32), length);
    case 2:
      return new Int32Array(common, 4 * below(32), length);
    case 3:
      return new Float64Array(common, 8 * below(32), length);
    case 4:
      return new Float32Array(new SharedArrayBuffer(4 * length));
    case 5: {
      const array = new (pick([Float32Array, Float64Array, Int32Array]))(length);
      structuredClone(array.buffer, { transfer: [array.buffer] });
      return array;
    }
    case 6: {
      const buffer = new ArrayBuffer(8 * length, { maxByteLength: 1024 });
      const array = new (pick([Float32Array, Float64Array, Int32Array]))(buffer);
      buffer.resize(8 * below(length + 1));
      return array;
    }
    case 7:
      return new DataView(new ArrayBuffer(length));
    case 8:
      return new Proxy(new Float32Array(length), {});
    case 9:
      return pick([
        undefined,
        null,
        0,
        NaN,
        'logits',
        true,
        7n,
        Symbol('x'),
        () => 1,
        {},
        [],
        [1, 2],
        new Date(),
        new ArrayBuffer(8),
      ]);
    case 10:
      return Object.create(Float32Array.prototype);
    default:
      return undefined;
  }
}

/**
 * Arrays of a call lie in memory with a margin of known bytes around them. `check` finds a byte written outside the arrays, or,
 * after a call that was refused, inside them.
 */
const margin = 64;
const mark = 0xa5;
class Guarded {
  blocks = [];

  make(Type, length) {
    const bytes = length * Type.BYTES_PER_ELEMENT;
    // Any alignment that a typed array may have.
    const offset = margin + Type.BYTES_PER_ELEMENT * below(4);
    const block = new Uint8Array(offset + bytes + margin).fill(mark);
    this.blocks.push({ block, offset, bytes });
    return new Type(block.buffer, offset, length);
  }

  remember() {
    for (const one of this.blocks) one.before = Buffer.from(inside(one));
  }

  check(refused, what) {
    for (const one of this.blocks) {
      const { block, offset, bytes, before } = one;
      if (!block.length) continue; // its buffer was taken away on purpose
      if (
        !isMarked(block.subarray(0, offset)) ||
        !isMarked(block.subarray(offset + bytes)) ||
        (refused && !before.equals(inside(one)))
      )
        throw new Error(`${what}: wrote into or around an array of ${bytes} bytes that it may not`);
    }
  }
}
const inside = ({ block, offset, bytes }) => block.subarray(offset, offset + bytes);
const marks = Buffer.alloc(2 * margin, mark);
const isMarked = (bytes) => marks.subarray(0, bytes.length).equals(bytes);

const sizes = {};
const sizeLimits = [4, 4, 4, 4, 20, 20, 130];
let sizeLimit = 4;
function shapeOf(dims) {
  return dims === ''
    ? []
    : dims.split(',').map((d) => {
        if (/^\d/.test(d)) return Number(d);
        const [letter, plus] = d.split('+');
        sizes[letter] ??= below(sizeLimit);
        return sizes[letter] + Number(plus ?? 0);
      });
}

const fills = [0.5, 0, -1e30, NaN, Infinity, -Infinity, 1e-42];
function fillReal(array) {
  if (below(3) === 0) return array.fill(pick(fills));
  for (let i = 0; i < array.length; i++)
    array[i] = below(40) ? below(2000) / 100 - 10 : pick(fills);
  return array;
}

/** A call that fits the record, so that changing one thing of it gets past the first checks. */
function almostRight(id, guarded) {
  const record = records[id];
  sizeLimit = pick(sizeLimits);
  const frame = new Float64Array(frameLength(record));
  for (const key of Object.keys(sizes)) delete sizes[key];
  const Real = pick([Float32Array, Float64Array]);
  const make = (kind, length) =>
    kind === 'real'
      ? fillReal(guarded.make(Real, length))
      : kind === 'real64' || kind === 'numbers'
        ? guarded.make(Float64Array, length).fill(0.5)
        : guarded.make(Int32Array, length).fill(kind === 'sign' ? 1 : 0);
  const arrays = record.inputs.map((input, i) => {
    if (input.optional && below(2)) return undefined;
    const shape = shapeOf(input.dims);
    frame[i * slots] = shape.length;
    shape.forEach((s, k) => {
      frame[i * slots + 1 + k] = s;
    });
    return make(
      input.kind,
      shape.reduce((a, b) => a * b, 1),
    );
  });
  const at = record.inputs.length * slots;
  record.options.forEach((option, i) => {
    if (below(2)) return;
    frame[at + 2 * i] = 1;
    frame[at + 2 * i + 1] =
      option.kind === 'choice'
        ? below(option.choices.length)
        : option.kind === 'boolean'
          ? below(2)
          : 1;
  });
  for (const output of record.outputs) {
    const length = shapeOf(output.dims).reduce((a, b) => a * b, 1);
    arrays.push(below(4) === 0 ? undefined : make(output.type, length));
  }
  return { frame, arrays };
}

function damage({ frame, arrays }) {
  for (let k = below(3); k > 0; k--) {
    if (frame.length && below(2)) frame[below(frame.length)] = pick(oddNumbers);
    else if (arrays.length)
      arrays[below(arrays.length)] = below(3) ? oddArray() : pick([frame, ...arrays]);
  }
}

// An op takes as many steps as it is asked for, which is no mistake but would be no end.
const counted = ['maxSteps', 'steps', 'outerIterations', 'innerIterations'];
function fewSteps(record, frame) {
  record.options.forEach(({ name }, i) => {
    const at = record.inputs.length * slots + 2 * i + 1;
    if (counted.includes(name) && frame[at] > 50) frame[at] = 50;
  });
}

const oddIds = [
  -1,
  0.5,
  NaN,
  Infinity,
  1e9,
  2 ** 32,
  undefined,
  null,
  '0',
  {},
  [],
  1n,
  Symbol('id'),
  records.length,
];
const oddFrames = [
  undefined,
  null,
  {},
  [],
  new Float64Array(0),
  new Float64Array(3),
  new Float32Array(400),
  new DataView(common),
  'frame',
  new Float64Array(new SharedArrayBuffer(8 * 400)),
];

const pending = [];
let threw = 0;
let ran = 0;

function callNow(all, guarded, what) {
  guarded.remember();
  let refused = false;
  try {
    addon.call(...all);
    ran++;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // An op that found its numbers diverging has begun to write.
    refused = !/diverges|out of memory/.test(error.message);
    threw++;
  }
  guarded.check(refused, what);
}

function callInBackground(all, guarded, what) {
  try {
    const promise = addon.callInBackground(...all).then(
      () => {
        ran++;
      },
      () => {
        threw++;
      },
    );
    pending.push(promise.then(() => guarded.check(false, what)));
    // While the job runs or waits, its numbers change, or it is no longer wanted.
    const array = all[2 + below(Math.max(1, all.length - 2))];
    if (below(4) === 0 && ArrayBuffer.isView(array) && array.length && array !== all[1]) {
      if (array instanceof Int32Array) array.fill(pick([-5, 1e9]));
      else if (array instanceof Float32Array || array instanceof Float64Array) fillReal(array);
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    threw++;
  }
}

// Frames of calls under way, of calls that are over, and what is none.
function cancel(frame) {
  const done = addon.cancelInBackground(frame, 'no');
  if (typeof done !== 'boolean') throw new Error(`cancelInBackground returned ${String(done)}`);
}

async function main() {
  for (let i = 0; i < Number(countText); i++) {
    const id = below(records.length);
    const guarded = new Guarded();
    const request = almostRight(id, guarded);
    damage(request);
    fewSteps(records[id], request.frame);
    const wild = below(10) === 0;
    const first = wild && below(2) ? pick(oddIds) : id;
    const second = wild && below(2) ? pick(oddFrames) : request.frame;
    const rest = wild ? request.arrays.slice(0, below(request.arrays.length + 1)) : request.arrays;
    const all =
      below(50) === 0
        ? []
        : [first, second, ...rest, ...(below(8) === 0 ? [oddArray(), oddArray()] : [])];
    const what = `call ${i}, ${records[id].name}`;
    if (below(4) === 0) callInBackground(all, guarded, what);
    else callNow(all, guarded, what);
    if (below(10) === 0) cancel(pick([second, second, ...all, undefined]));
    if (pending.length >= 1000) await Promise.all(pending.splice(0));
  }
  for (const value of [undefined, null, '2', {}, -1, 0, 1.5, NaN, Infinity, 1e9, 2n, Symbol('n')])
    try {
      addon.setNumThreads(value);
      throw new RangeError('setNumThreads took it', { cause: value });
    } catch (error) {
      if (String(error.message).includes('took it')) throw error;
    }
  await Promise.all(pending);
  if (global.gc) global.gc();
  process.stdout.write(`${JSON.stringify({ threw, ran })}\n`);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
