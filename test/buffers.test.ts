// Memory that JavaScript can take away or share: resizable and shared buffers, getters that pull it from under a call.
import { ops, type OpRecord } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { sameResult } from './support/compare.js';
import { argumentsOf, call, inputOf, op, promiseOp, reproducer } from './support/invoke.js';
import {
  validSample,
  type ArrayValue,
  type Numbers,
  type Sample,
  type Spec,
} from './support/samples.js';

type Constructor = new (buffer: ArrayBufferLike, offset?: number, length?: number) => Numbers;
type Resizable = ArrayBuffer & { resize(bytes: number): void };

function moveTo(sample: Sample, make: (bytes: number) => ArrayBufferLike): Sample {
  const inputs: Record<string, ArrayValue> = {};
  for (const [name, { data, shape }] of Object.entries(sample.inputs)) {
    const copy = new (data.constructor as unknown as Constructor)(make(data.byteLength));
    copy.set(data);
    inputs[name] = { data: copy, shape };
  }
  return { ...sample, inputs };
}

const resizable = (bytes: number): Resizable =>
  new (
    ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => Resizable
  )(bytes, { maxByteLength: bytes + 64 });

const variants = (record: OpRecord): Sample[] =>
  [false, true].map((double) =>
    validSample(record, { double, optional: 'all', ignored: true } satisfies Spec),
  );

describe('shared buffers', () => {
  for (const record of ops())
    test(`${record.name} reads and writes them`, async () => {
      for (const sample of variants(record)) {
        const plain = call(sample);
        const shared = moveTo(sample, (bytes) => new SharedArrayBuffer(bytes));
        expect(sameResult(call(shared), plain), reproducer(sample)).toBeUndefined();
        expect(
          sameResult(await promiseOp(record.name)(...argumentsOf(shared)), plain),
        ).toBeUndefined();
        const out: Record<string, Numbers> = {};
        for (const { name } of record.outputs) {
          const array = plain[name];
          if (!ArrayBuffer.isView(array)) continue;
          out[name] = new (array.constructor as Constructor)(
            new SharedArrayBuffer(array.byteLength),
          );
        }
        const written = call(shared, { 'options.out': out });
        expect(sameResult(written, plain), reproducer(sample)).toBeUndefined();
        for (const [name, array] of Object.entries(out)) expect(written[name]).toBe(array);
      }
    });
});

describe('resizable buffers', () => {
  for (const record of ops()) {
    test(`${record.name} works on them at once`, () => {
      for (const sample of variants(record))
        expect(
          sameResult(call(moveTo(sample, resizable)), call(sample)),
          reproducer(sample),
        ).toBeUndefined();
    });
    test(`${record.name} refuses them in the background`, async () => {
      for (const sample of variants(record)) {
        const moved = moveTo(sample, resizable);
        await expect(promiseOp(record.name)(...argumentsOf(moved))).rejects.toThrow(TypeError);
        await expect(promiseOp(record.name)(...argumentsOf(moved))).rejects.toThrow(
          `${record.name}: `,
        );
      }
    });
  }
});

/** Ways to lose an array's memory between two reads of the arguments. */
const pulls: Record<string, (data: Numbers) => void> = {
  detached: (data) => {
    structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] });
  },
  'shrunk to nothing': (data) => {
    (data.buffer as Resizable).resize(0);
  },
  'shrunk by one': (data) => {
    (data.buffer as Resizable).resize(data.byteLength - data.BYTES_PER_ELEMENT);
  },
  grown: (data) => {
    (data.buffer as Resizable).resize(data.byteLength + data.BYTES_PER_ELEMENT);
  },
};

function throwsOrNot(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

function checkPull(record: OpRecord, name: string, way: string): void {
  const sample = variants(record)[0];
  if (!inputOf(sample, name)) return;
  const moved = moveTo(sample, way === 'detached' ? (bytes) => new ArrayBuffer(bytes) : resizable);
  const { data, shape } = moved.inputs[name];
  let pulled = false;
  const pull = () => {
    if (pulled) return;
    pulled = true;
    pulls[way](data);
  };
  const lateShape = {
    data,
    get shape() {
      pull();
      return shape;
    },
  };
  const error = throwsOrNot(() => call(moved, { [name]: lateShape }));
  expect(
    error instanceof TypeError || error instanceof RangeError,
    `${name} ${way} by its shape: ${String(error)}`,
  ).toBe(true);
  expect(String(error)).toContain(record.name);
}

/** The same through a getter among the options, which are read after the inputs. */
function checkOptionPull(record: OpRecord, name: string, option: string): void {
  const sample = variants(record)[0];
  const data = inputOf(sample, name)?.data;
  if (!data) return;
  const args = argumentsOf(sample);
  const options = args.pop() as object;
  const before = sample.options[option];
  Object.defineProperty(options, option, {
    enumerable: true,
    get() {
      if (data.length) pulls.detached(data);
      return before;
    },
  });
  const error = throwsOrNot(() => op(record.name)(...args, options));
  // `signal` is read first: then nothing has been read of the array, and it is plainly detached.
  expect(
    error instanceof TypeError || error instanceof RangeError,
    `${name} detached by ${option}: ${String(error)}`,
  ).toBe(true);
}

describe('memory lost while arguments are read', () => {
  for (const record of ops())
    test(record.name, () => {
      for (const { name, fromOptions } of record.inputs) {
        for (const way of Object.keys(pulls)) checkPull(record, name, way);
        if (fromOptions) continue;
        for (const option of [...record.options.map((o) => o.name), 'out', 'signal'])
          checkOptionPull(record, name, option);
      }
    });
  test('a shape that runs the op again', () => {
    const sample = variants(ops().find(({ name }) => name === 'softmax')!)[0];
    const { data, shape } = sample.inputs.logits;
    const expected = call(sample);
    const inside = { data: data.map((x) => x + 3), shape: [1, data.length] };
    const again = {
      data,
      get shape() {
        op('softmax')(inside, { temperature: 7 });
        return shape;
      },
    };
    expect(sameResult(call(sample, { logits: again }), expected)).toBeUndefined();
  });
  test('an option that runs another op', () => {
    const sample = variants(ops().find(({ name }) => name === 'crossEntropy')!)[0];
    const expected = call(sample);
    const args = argumentsOf(sample);
    const options = args.pop() as object;
    Object.defineProperty(options, 'temperature', {
      get() {
        call(sample, { temperature: 3, reduction: 'none' });
        return undefined;
      },
    });
    expect(sameResult(op('crossEntropy')(...args, options), expected)).toBeUndefined();
  });
});
