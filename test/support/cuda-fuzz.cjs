// Runs in a process of its own: calls the raw CUDA addon with garbage. Whatever comes in, it must throw an Error or return, and the
// process must live. Arguments: the addon's file, a seed, a number of calls. Prints how many calls threw and how many ran.
'use strict';

const { oddNumbers, random } = require('./garbage.cjs');

const { structuredClone } = globalThis;
const [, , file, seedText, countText] = process.argv;
const addon = require(file);

const { below, pick } = random(seedText);
const { records } = addon;
const slots = 9;
const f32 = 0;
const i32 = 3;
const f64 = 4;
const oddValues = [
  undefined,
  null,
  'x',
  true,
  7n,
  Symbol('x'),
  () => 1,
  {},
  [],
  new Date(),
  new ArrayBuffer(8),
];

function oddArray() {
  const length = below(20);
  const Type = pick([
    Float32Array,
    Float64Array,
    Int32Array,
    Uint16Array,
    Uint8Array,
    BigInt64Array,
  ]);
  switch (below(5)) {
    case 0:
      return new Type(new SharedArrayBuffer(8 * length));
    case 1: {
      const array = new Type(length);
      structuredClone(array.buffer, { transfer: [array.buffer] });
      return array;
    }
    case 2: {
      const array = new Type(new ArrayBuffer(8 * length, { maxByteLength: 1024 }));
      array.buffer.resize(8 * below(length + 1));
      return array;
    }
    case 3:
      return new DataView(new ArrayBuffer(length));
    default:
      return new Proxy(new Type(length), {});
  }
}
const odd = () => pick([() => pick(oddValues), () => pick(oddNumbers), oddArray])();

const old = [];
/** Tensors of calls before, disposed or not, and what only looks like one. */
function oddTensor() {
  const tensor = old.length ? pick(old) : undefined;
  switch (below(5)) {
    case 0:
      return tensor && new Proxy(tensor, {});
    case 1:
      return tensor && Object.create(tensor);
    case 2:
      return odd();
    default:
      return tensor;
  }
}

const sizes = {};
function shapeOf(dims) {
  return dims === ''
    ? []
    : dims.split(',').map((d) => {
        if (/^\d/.test(d)) return Number(d);
        const size = (letter) => (sizes[letter] ??= below(pick([4, 4, 20, 130])));
        // "b*t", "**t", "n+1"
        if (d.length === 3 && d[1] === '*') return size(d[0]) * size(d[2]);
        return size(d[0]) + (d[1] === '+' ? Number(d.slice(2)) : 0);
      });
}
const elementsOf = (dims) => shapeOf(dims).reduce((a, b) => a * b, 1);
const hasClasses = (dims) => /,[cv]$/.test(dims);

const fills = [0.5, 0, -1e30, NaN, Infinity, -Infinity, 1e-42];
function values(kind, length) {
  if (kind !== 'real')
    return Int32Array.from({ length }, () =>
      below(30) ? below(3) : pick([-100, -1, 2 ** 31 - 1, -(2 ** 31), 130]),
    );
  const same = below(3) === 0 && pick(fills);
  return Float32Array.from({ length }, () =>
    same !== false ? same : below(40) ? below(2000) / 100 - 10 : pick(fills),
  );
}

/** A call that fits the record, so that changing one thing of it gets past the first checks. */
function almostRight(id) {
  const record = records[id];
  for (const key of Object.keys(sizes)) delete sizes[key];
  const frame = new Float64Array(
    record.inputs.length * slots + 2 * record.options.length + record.outputs.length,
  );
  const stored = below(3);
  const tensors = record.inputs.map((input, i) => {
    if (input.optional && below(2)) return undefined;
    const shape = shapeOf(input.dims);
    frame[i * slots] = shape.length;
    shape.forEach((s, k) => {
      frame[i * slots + 1 + k] = s;
    });
    const data = values(
      input.kind,
      shape.reduce((a, b) => a * b, 1),
    );
    if (input.kind === 'numbers') return Float64Array.from(data);
    return addon.upload(
      'fuzz',
      input.kind !== 'real' ? i32 : hasClasses(input.dims) ? stored : f32,
      data,
    );
  });
  const at = record.inputs.length * slots;
  let perRow = false;
  record.options.forEach((option, i) => {
    if (below(2) && !option.required) return;
    const value =
      option.kind === 'choice'
        ? below(option.choices.length)
        : option.kind === 'boolean'
          ? below(2)
          : 1;
    if (option.name === 'reduction') perRow = option.choices[value] === 'none';
    frame[at + 2 * i] = 1;
    frame[at + 2 * i + 1] = value;
  });
  for (const output of record.outputs) {
    const number = output.kind === 'scalar' || (output.kind === 'reduced' && !perRow);
    const dtype = number ? f64 : hasClasses(output.dims) ? stored : f32;
    tensors.push(
      below(20) ? addon.allocate('fuzz', dtype, number ? 1 : elementsOf(output.dims)) : undefined,
    );
  }
  return { frame, tensors };
}

function damage({ frame, tensors }) {
  for (let k = below(3); k > 0; k--) {
    if (below(2)) frame[below(frame.length)] = pick(oddNumbers);
    else tensors[below(tensors.length)] = below(2) ? oddTensor() : pick(tensors);
  }
}

const pending = [];
let threw = 0;
let ran = 0;
function attempt(call) {
  try {
    const result = call();
    if (result instanceof Promise)
      pending.push(
        result.catch((error) => {
          if (!(error instanceof Error)) throw error;
        }),
      );
    ran++;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    threw++;
  }
}

function callOp() {
  const id = below(records.length);
  const request = almostRight(id);
  const made = request.tensors.filter(Boolean);
  damage(request);
  const wild = below(12) === 0;
  const first = wild && below(2) ? odd() : id;
  const second = wild && below(2) ? pick([odd(), new Float64Array(3), oddArray()]) : request.frame;
  attempt(() =>
    addon.call(
      first,
      second,
      ...(wild ? request.tensors.slice(below(3)) : request.tensors),
      ...(below(8) ? [] : [odd(), odd()]),
    ),
  );
  if (below(4) === 0 && made.length) attempt(() => addon.read(pick(made)));
  for (const tensor of made) {
    if (below(30) === 0) old.push(tensor);
    if (below(4)) attempt(() => addon.dispose(tensor));
  }
  if (old.length > 50) old.splice(0, 25);
}

const others = [
  () => addon.upload(odd(), below(6) - 1, oddArray()),
  () => addon.upload('fuzz', odd(), new Float32Array(below(9))),
  () => addon.upload('fuzz', below(5), odd()),
  () => addon.allocate('fuzz', pick([odd(), below(5)]), pick([odd(), below(100), 2 ** 40])),
  () => addon.dispose(pick([odd(), oddTensor()])),
  () => addon.read(pick([odd(), oddTensor()])),
  () => addon.synchronize(odd()),
  () => addon.memory(odd()),
  () => addon.devices(odd()),
  () => addon.upload(),
  () => addon.allocate(),
  () => addon.dispose(),
  () => addon.read(),
  () => addon.call(),
];

async function main() {
  for (let i = 0; i < Number(countText); i++) {
    if (below(4)) callOp();
    else attempt(pick(others));
    if (pending.length >= 200) await Promise.all(pending.splice(0));
    if (i % 500 === 0 && globalThis.gc) globalThis.gc();
  }
  await Promise.all(pending);
  console.log(JSON.stringify({ threw, ran, memory: addon.memory() }));
}
main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
