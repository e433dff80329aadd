import { createRequire } from 'node:module';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as logitcore from 'logitcore';
import { createTfjsOps } from 'logitcore/tfjs';
import { afterEach, beforeAll, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { normals, opArguments, randomGenerator } from '../bench/inputs.js';

interface Call {
  op: string;
  options: Record<string, unknown>;
}
const calls: Call[] = [];

// Every native function of the adapter, with a note of its calls.
vi.mock('../lib/index.js', async (importOriginal) => {
  const original = await importOriginal<Record<string, unknown>>();
  const records = (original.ops as typeof logitcore.ops)();
  const noted = Object.fromEntries(
    records.flatMap(({ name }) => {
      const op = original[name];
      if (typeof op !== 'function') return [];
      const wrapped = (...args: unknown[]): unknown => {
        const last = args[args.length - 1] as Record<string, unknown>;
        calls.push({ op: name, options: last });
        return (op as (...all: unknown[]) => unknown)(...args);
      };
      return [[name, wrapped]];
    }),
  );
  return { ...original, ...noted };
});

const ops = createTfjsOps(tf);
const byName = ops as unknown as Record<string, (...args: unknown[]) => tf.Tensor>;
const random = randomGenerator(11);
const rows = 6;
const columns = 17;
const labels = Int32Array.from({ length: rows }, (_, row) => (5 * row + 2) % columns);

const tensor = (shape: number[] = [rows, columns]) =>
  tf.tensor(
    normals(
      shape.reduce((a, b) => a * b, 1),
      random,
      2,
    ),
    shape,
    'float32',
  );
const onehot = () => tf.oneHot(tf.tensor1d(labels, 'int32'), columns);

function expectClose(actual: tf.Tensor, expected: tf.Tensor, tolerance = 2e-6): void {
  expect(actual.shape).toEqual(expected.shape);
  const values = expected.dataSync();
  actual.dataSync().forEach((value, i) => {
    expect(Math.abs(value - values[i]), `element ${i}`).toBeLessThanOrEqual(
      tolerance * (1 + Math.abs(values[i])),
    );
  });
}

beforeAll(() => {
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${path.dirname(entry)}${path.sep}`);
});

describe.each(['cpu', 'wasm'])('on the %s backend', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
    await tf.ready();
    expect(tf.getBackend()).toBe(backend);
  });
  beforeEach(() => {
    tf.engine().startScope();
    calls.length = 0;
  });
  afterEach(() => {
    tf.engine().endScope();
  });

  it('agrees with tf.losses.softmaxCrossEntropy in value and gradient', () => {
    const x = tensor();
    const targets = tf.tensor1d(labels, 'int32');
    const own = tf.valueAndGrad(
      (logits: tf.Tensor) => ops.crossEntropy(logits, targets) as tf.Scalar,
    )(x);
    const tfs = tf.valueAndGrad((logits: tf.Tensor) =>
      tf.losses.softmaxCrossEntropy<tf.Tensor, tf.Scalar>(onehot(), logits),
    )(x);
    expectClose(own.value, tfs.value);
    expectClose(own.grad, tfs.grad);
    expect(own.value.shape).toEqual([]);
  });

  it('agrees under label smoothing, and takes labels as an array', () => {
    const x = tensor();
    const own = tf.valueAndGrad(
      (logits: tf.Tensor) => ops.crossEntropy(logits, labels, { labelSmoothing: 0.2 }) as tf.Scalar,
    )(x);
    const tfs = tf.valueAndGrad((logits: tf.Tensor) =>
      tf.losses.softmaxCrossEntropy<tf.Tensor, tf.Scalar>(onehot(), logits, undefined, 0.2),
    )(x);
    expectClose(own.value, tfs.value);
    expectClose(own.grad, tfs.grad);
  });

  it('honours the upstream gradient, scalar and by row', () => {
    const x = tensor();
    const plain = tf.grad((logits: tf.Tensor) => ops.crossEntropy(logits, labels))(x);
    const tripled = tf.grad((logits: tf.Tensor) => tf.mul(ops.crossEntropy(logits, labels), 3))(x);
    expectClose(tripled, tf.mul(plain, 3));
    const weights = tf.tensor1d([1, -2, 0, 0.5, 3, 7]);
    const own = tf.grad((logits: tf.Tensor) =>
      tf.mul(weights, ops.crossEntropy(logits, labels, { reduction: 'none' })),
    )(x);
    const expected = tf.grad((logits: tf.Tensor) =>
      tf.mul(weights, tf.neg(tf.sum(tf.mul(onehot(), tf.logSoftmax(logits)), 1))),
    )(x);
    expectClose(own, expected);
    expect(ops.crossEntropy(x, labels, { reduction: 'none' }).shape).toEqual([rows]);
  });

  it('differentiates through what comes before and after', () => {
    const x = tensor([rows, 5]);
    const w = tensor([5, columns]);
    const own = tf.grads((a: tf.Tensor, b: tf.Tensor) =>
      tf.square(ops.crossEntropy(tf.matMul(a, b), labels)),
    )([x, w]);
    const expected = tf.grads((a: tf.Tensor, b: tf.Tensor) =>
      tf.square(tf.losses.softmaxCrossEntropy(onehot(), tf.matMul(a, b))),
    )([x, w]);
    own.forEach((grad, i) => {
      expectClose(grad, expected[i], 2e-5);
    });
  });

  describe.each([
    ['softmax', (t: tf.Tensor) => tf.softmax(t)],
    ['logSoftmax', (t: tf.Tensor) => tf.logSoftmax(t)],
    ['logSumExp', (t: tf.Tensor) => tf.logSumExp(t, 1)],
  ])('%s', (name, theirs) => {
    it('agrees with tf in value and gradient', () => {
      const x = tensor();
      const weights = tensor();
      const scale = name === 'logSumExp' ? tf.sum(weights, 1) : weights;
      const own = tf.valueAndGrad((t: tf.Tensor) => tf.sum(tf.mul(scale, byName[name](t))))(x);
      const expected = tf.valueAndGrad((t: tf.Tensor) => tf.sum(tf.mul(scale, theirs(t))))(x);
      expectClose(own.value, expected.value, 1e-5);
      expectClose(own.grad, expected.grad, 1e-5);
    });
  });

  it('computes value and gradient in one native call under a tape, and the value alone without', () => {
    const x = tensor();
    tf.grad((logits: tf.Tensor) => ops.crossEntropy(logits, labels))(x);
    expect(calls.map(({ op, options }) => [op, options.grad])).toEqual([['crossEntropy', true]]);
    calls.length = 0;
    ops.crossEntropy(x, labels);
    expect(calls.map(({ op, options }) => [op, options.grad])).toEqual([
      ['crossEntropy', undefined],
    ]);
  });

  it('gives both gradients of a loss on two tensors, each only if it is needed', () => {
    const [student, teacher] = [tensor(), tensor()];
    const theirs = (q: tf.Tensor, p: tf.Tensor) => {
      const logP = tf.logSoftmax(p);
      return tf.div(tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, tf.logSoftmax(q)))), rows);
    };
    const own = tf.valueAndGrads((q: tf.Tensor, p: tf.Tensor) =>
      tf.mul<tf.Scalar>(ops.klDiv(q, p), 2),
    )([student, teacher]);
    const expected = tf.valueAndGrads((q: tf.Tensor, p: tf.Tensor) =>
      tf.mul<tf.Scalar>(theirs(q, p), 2),
    )([student, teacher]);
    expectClose(own.value, expected.value, 1e-5);
    own.grads.forEach((grad, i) => {
      expectClose(grad, expected.grads[i], 1e-5);
    });
    const asked = () => calls.map(({ options }) => [options.grad, options.gradTeacher]);
    calls.length = 0;
    tf.grad((q: tf.Tensor) => ops.klDiv(q, teacher))(student);
    expect(asked()).toEqual([[true, undefined]]);
    calls.length = 0;
    tf.grad((p: tf.Tensor) =>
      ops.klDiv({ data: student.dataSync<'float32'>(), shape: student.shape }, p),
    )(teacher);
    expect(asked()).toEqual([[undefined, true]]);
  });

  it('keeps gradients of several losses in one step apart', () => {
    const [x, y] = [tensor(), tensor()];
    const [gx, gy] = tf.grads((a: tf.Tensor, b: tf.Tensor) =>
      tf.add(ops.crossEntropy(a, labels), tf.mul(ops.crossEntropy(b, labels), 2)),
    )([x, y]) as [tf.Tensor, tf.Tensor];
    const single = (t: tf.Tensor) => tf.grad((a: tf.Tensor) => ops.crossEntropy(a, labels))(t);
    expectClose(gx, single(x));
    expectClose(gy, tf.mul(single(y), 2));
  });

  it('reads large tensors where the backend keeps them, also across growth of its memory', () => {
    for (const large of [4096, 65536]) {
      const x = tensor([4, large]);
      const targets = Int32Array.from([1, large - 1, 7, 100]);
      const own = tf.grad((t: tf.Tensor) => ops.crossEntropy(t, targets))(x);
      const native = logitcore.crossEntropy(
        { data: x.dataSync<'float32'>(), shape: [4, large] },
        targets,
        { grad: true },
      );
      // Bytes: deep equality of arrays this long takes minutes.
      const bytes = (values: ArrayLike<number>) => Buffer.from(Float32Array.from(values).buffer);
      const kept = bytes(own.dataSync());
      expect(kept.equals(bytes(native.gradLogits))).toBe(true);
      const again = tf.grad((t: tf.Tensor) => ops.crossEntropy(t, targets))(tensor([4, large]));
      expect(bytes(again.dataSync()).equals(kept)).toBe(false);
      expect(bytes(own.dataSync()).equals(kept)).toBe(true);
    }
  });

  it('refuses second derivatives instead of returning wrong ones', () => {
    const once = (x: tf.Tensor) => tf.grad((t: tf.Tensor) => ops.crossEntropy(t, labels))(x);
    expect(() => tf.grad((x: tf.Tensor) => tf.sum(tf.square(once(x))))(tensor())).toThrow(
      'crossEntropy: second derivatives are not available',
    );
  });

  it('names what is wrong with an argument', () => {
    const floats = tf.tensor1d(Float32Array.from(labels));
    expect(() => ops.crossEntropy(tensor(), floats)).toThrow(
      'targets is a tensor of float32, expected int32',
    );
    expect(() => ops.crossEntropy(tf.cast(tensor(), 'int32'), labels)).toThrow(
      'logits is a tensor of int32',
    );
    const weight = tf.ones([columns]);
    expect(() =>
      ops.crossEntropy(tensor(), labels, { weight: weight as unknown as Float32Array }),
    ).toThrow('options.weight is a constant');
    expect(() => ops.crossEntropy(tensor(), Int32Array.of(1))).toThrow(/crossEntropy: targets/);
  });

  it('leaves no tensors behind', () => {
    const x = tensor();
    const step = () => {
      tf.dispose(tf.valueAndGrad((t: tf.Tensor) => ops.crossEntropy(t, labels) as tf.Scalar)(x));
    };
    step();
    const before = tf.memory().numTensors;
    for (let i = 0; i < 5; i++) step();
    expect(tf.memory().numTensors).toBe(before);
  });

  const records = logitcore.ops().filter(({ name }) => name in byName);

  it.each(records.map((record) => [record.name, record] as const))(
    '%s: values and gradients are those of the native op',
    (name, record) => {
      const { positional, options: required } = opArguments(record, { rows, columns }, 3);
      // An option that the backward pass has to be told about, too.
      const hot = record.options.some((option) => option.name === 'temperature');
      // Which classes are the largest must not change along the central difference.
      const chooses = record.options.some((option) => option.name === 'nodes');
      const options = {
        ...required,
        ...(hot ? { temperature: 1.7 } : {}),
        ...(chooses ? { nodes: 'vocab', topK: columns } : {}),
      };
      const inputs = record.inputs.filter((input) => !input.fromOptions && !input.optional);
      const native = logitcore as unknown as Record<
        string,
        (...args: unknown[]) => Record<string, unknown>
      >;
      const asTensor = (value: unknown): tf.Tensor => {
        if (value instanceof Float32Array) return tf.tensor1d(value);
        const { data, shape } = value as { data: Float32Array; shape: number[] };
        return tf.tensor(data, shape, 'float32');
      };
      const at = inputs.flatMap(({ kind }, i) => (kind === 'real' ? [i] : []));
      const tensors = at.map((i) => asTensor(positional[i]));
      const place = (given: tf.Tensor[]) =>
        positional.map((value, i) => (at.includes(i) ? given[at.indexOf(i)] : value));
      const adapted = (...given: tf.Tensor[]) => byName[name](...place(given), options);

      const losses = record.outputs.filter(({ gradOf }) => gradOf !== undefined);
      const twin = logitcore.ops().find(({ backwardOf }) => backwardOf === name);
      const value = adapted(...tensors);
      const asks = Object.fromEntries(losses.map(({ when }) => [when ?? 'grad', true]));
      const expected = native[name](...positional, { ...options, ...asks });
      const own = expected[record.outputs[0].name];
      expect(Array.from(value.dataSync())).toEqual(
        Array.from(typeof own === 'number' ? Float32Array.of(own) : (own as Float32Array)),
      );

      const up = tf.tensor(normals(value.size, random), value.shape, 'float32');
      const sources =
        losses.length > 0 ? losses.map(({ gradOf }) => gradOf!) : [inputs[at[0]].name];
      const needed = tensors.filter((_, i) => sources.includes(inputs[at[i]].name));
      // tf.grads wants every input connected: what has no gradient (a teacher) is left out of them.
      const scalar = (...given: tf.Tensor[]) => {
        const all = tensors.map((t) => (needed.includes(t) ? given[needed.indexOf(t)] : t));
        return tf.sum(tf.mul(adapted(...all), up));
      };
      const computed = tf.grads(scalar)(needed);
      if (losses.length === 0) {
        expect(twin).toBeDefined();
        // The native twin has its own tests; here a central difference along a direction shows that it is called right.
        const step = 1e-2;
        const along = (t: tf.Tensor, sign: number, direction: tf.Tensor) =>
          scalar(tf.add(t, tf.mul(direction, sign * step))).dataSync()[0];
        const direction = tensor(needed[0].shape);
        const slope =
          (along(needed[0], 1, direction) - along(needed[0], -1, direction)) / (2 * step);
        const expectedSlope = tf.sum(tf.mul(computed[0], direction)).dataSync()[0];
        const size = tf.sum(tf.abs(tf.mul(computed[0], direction))).dataSync()[0];
        expect(Math.abs(slope - expectedSlope)).toBeLessThan(0.01 * size + 1e-3);
        return;
      }
      losses.forEach(({ name: output, gradOf }) => {
        const i = needed.indexOf(
          tensors[at.indexOf(inputs.findIndex((input) => input.name === gradOf))],
        );
        const factor = tf.reshape(up, [
          ...up.shape,
          ...new Array<number>(needed[i].rank - up.rank).fill(1),
        ]);
        const whole = tf.mul(tf.tensor(expected[output] as Float32Array, needed[i].shape), factor);
        expectClose(computed[i], whole, 1e-6);
      });
    },
  );

  it('trains a small net with Adam', () => {
    const points = 90;
    const angle = (i: number) => ((i % 3) * 2 * Math.PI) / 3;
    const noise = normals(2 * points, randomGenerator(2), 0.35);
    const inputs = tf.tensor2d(
      Float32Array.from({ length: 2 * points }, (_, i) => {
        const turn = angle(i >> 1);
        return (i % 2 ? Math.sin(turn) : Math.cos(turn)) + noise[i];
      }),
      [points, 2],
    );
    const classes = Int32Array.from({ length: points }, (_, i) => i % 3);
    const hidden = tf.variable(tf.tensor2d(normals(2 * 16, randomGenerator(3), 0.7), [2, 16]));
    const output = tf.variable(tf.tensor2d(normals(16 * 3, randomGenerator(4), 0.3), [16, 3]));
    const predict = () => tf.matMul(tf.relu(tf.matMul(inputs, hidden)), output);
    const optimizer = tf.train.adam(0.05);
    const losses: number[] = [];
    for (let step = 0; step < 60; step++) {
      const cost = optimizer.minimize(
        () => ops.crossEntropy(predict(), classes) as tf.Scalar,
        true,
      )!;
      losses.push(cost.dataSync()[0]);
    }
    const guessed = tf.argMax(predict(), 1).dataSync();
    const right = classes.filter((label, i) => guessed[i] === label).length;
    expect(losses[0]).toBeGreaterThan(0.8);
    expect(losses.at(-1)).toBeLessThan(0.3);
    expect(right / points).toBeGreaterThan(0.9);
    optimizer.dispose();
    hidden.dispose();
    output.dispose();
  });
});

it('reads a tensor of another backend where it is, without spoiling views into the wasm memory', async () => {
  await tf.setBackend('wasm');
  const { wasm } = tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } };
  // Too large for what the memory has left: moving the labels there would make it grow and move.
  const n = wasm.HEAPU8.length / 2;
  const x = tf.zeros([n, 1]);
  await tf.setBackend('cpu');
  const targets = tf.tensor1d(new Int32Array(n), 'int32');
  await tf.setBackend('wasm');
  const before = wasm.HEAPU8.length;
  expect(ops.crossEntropy(x, targets).dataSync()[0]).toBe(0);
  expect(wasm.HEAPU8.length).toBe(before);
  tf.dispose([x, targets]);
});

it('says which backends work when one cannot be read synchronously', async () => {
  class AsyncOnly extends tf.KernelBackend {
    override floatPrecision(): 32 {
      return 32;
    }
    override epsilon(): number {
      return 1e-7;
    }
    override write(): object {
      return {};
    }
    override refCount(): number {
      return 1;
    }
    override incRef(): void {
      /* nothing is counted */
    }
    override disposeData(): boolean {
      return true;
    }
    override numDataIds(): number {
      return 0;
    }
    override readSync(): never {
      throw new Error('not here');
    }
    override dispose(): void {
      /* nothing is held */
    }
  }
  tf.registerBackend('async-only', () => new AsyncOnly());
  await tf.setBackend('async-only');
  const x = tf.tensor2d([[1, 2]]);
  expect(() => ops.crossEntropy(x, Int32Array.of(0))).toThrow(
    "crossEntropy: the tfjs backend 'async-only' cannot be read synchronously",
  );
  await tf.setBackend('cpu');
  tf.removeBackend('async-only');
});

it('is typed like the native functions', () => {
  expectTypeOf(ops.crossEntropy).returns.toExtend<tf.Tensor>();
  expectTypeOf(ops.crossEntropy).parameter(0).extract<tf.Tensor>().toEqualTypeOf<tf.Tensor>();
  expectTypeOf(ops.logSumExp).returns.toExtend<tf.Tensor>();
  // Gradients come from the tape, and a backward op has none of its own.
  type Options = NonNullable<Parameters<typeof ops.crossEntropy>[2]>;
  expectTypeOf<keyof Options>().extract<'grad' | 'out' | 'signal'>().toBeNever();
  expectTypeOf<keyof Options>().extract<'labelSmoothing'>().toEqualTypeOf<'labelSmoothing'>();
  expectTypeOf<keyof typeof ops>().extract<`${string}Backward`>().toBeNever();
});
