import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { softmax as hostSoftmax } from 'logitcore';
import {
  crossEntropy,
  CudaTensor,
  devices,
  isAvailable,
  logSumExp,
  memory,
  softmax,
  synchronize,
  tensor,
  unavailableReason,
  type DType,
  type HostArray,
} from 'logitcore/cuda';
import { expect, test } from 'vitest';
import { describeCuda } from '../support/cuda.js';

const floats = Float32Array.of(1.5, -2, NaN, Infinity, -0, 65504);

describeCuda('tensors', () => {
  test('the device', () => {
    expect(isAvailable()).toBe(true);
    expect(unavailableReason()).toBeUndefined();
    const used = devices().filter((device) => device.used);
    expect(used).toHaveLength(1);
    expect(used[0].memory).toBe(memory().total);
    expect(Number(used[0].computeCapability)).toBeGreaterThanOrEqual(8);
  });

  const roundTrips: [DType, HostArray, HostArray][] = [
    ['f32', floats, floats],
    ['f64', Float64Array.of(Math.PI, -0, NaN), Float64Array.of(Math.PI, -0, NaN)],
    ['i32', Int32Array.of(-2147483648, 0, 7), Int32Array.of(-2147483648, 0, 7)],
    ['bf16', Float32Array.of(1.5, -2, 1.00390625), Float32Array.of(1.5, -2, 1)],
    ['f16', floats, floats],
    ['bf16', Uint16Array.of(0x3f80, 0xc000), Float32Array.of(1, -2)],
    ['f16', Uint16Array.of(0x3c00, 0xc000), Float32Array.of(1, -2)],
  ];
  for (const [dtype, data, expected] of roundTrips)
    test(`a ${data.constructor.name} as ${dtype}`, async () => {
      const made = tensor(data, [1, data.length], { dtype });
      expect(made).toBeInstanceOf(CudaTensor);
      expect(made).toMatchObject({ shape: [1, data.length], dtype, size: data.length });
      expect(await made.read()).toEqual(expected);
    });

  test('types and shapes that are not said', () => {
    expect(tensor(new Float32Array(3))).toMatchObject({ shape: [3], dtype: 'f32' });
    expect(tensor(new Int32Array(3))).toMatchObject({ shape: [3], dtype: 'i32' });
    expect(tensor(new Float64Array(3))).toMatchObject({ shape: [3], dtype: 'f64' });
    expect(() => tensor(new Uint16Array(3))).toThrow(/options.dtype is missing/);
  });

  test('without elements', async () => {
    const made = tensor(new Float32Array(0), [0, 5]);
    expect(await made.read()).toEqual(new Float32Array(0));
    expect(await softmax(made).out.read()).toEqual(new Float32Array(0));
  });

  test('what a read gives is of the time of its call', async () => {
    const logits = tensor(new Float32Array(4).fill(1), [4]);
    const before = logits.read();
    softmax(logits, { out: { out: logits } });
    const after = logits.read();
    logits.dispose();
    tensor(new Float32Array(4).fill(9));
    expect(await before).toEqual(new Float32Array(4).fill(1));
    expect(await after).toEqual(new Float32Array(4).fill(0.25));
  });

  test('large ones', async () => {
    const data = Float32Array.from({ length: 3_000_001 }, (_, i) => i);
    const [a, b] = [tensor(data), tensor(data, undefined, { dtype: 'bf16' })];
    const [first, second, third] = await Promise.all([a.read(), b.read(), a.read()]);
    expect(Buffer.compare(Buffer.from(first.buffer), Buffer.from(data.buffer))).toBe(0);
    expect(third[3_000_000]).toBe(3_000_000);
    expect(second[3_000_000]).toBe(2_998_272);
  });

  test('item', async () => {
    expect(await tensor(Float32Array.of(7), [1, 1]).item()).toBe(7);
    await expect(tensor(new Float32Array(2)).item()).rejects.toThrow(
      new RangeError('item: the tensor has 2 values, expected 1; use read()'),
    );
  });

  test('wrong arguments', () => {
    const bad =
      (...args: unknown[]) =>
      () =>
        (tensor as (...all: unknown[]) => unknown)(...args);
    const data = new Float32Array(6);
    expect(bad()).toThrow('tensor: data must be a typed array, got undefined');
    expect(bad([1, 2])).toThrow('tensor: data must be a typed array, got an array');
    expect(bad(new DataView(data.buffer))).toThrow(TypeError);
    expect(bad(new BigInt64Array(1))).toThrow(/must be a Float32Array for dtype f32/);
    expect(bad(data, [6], { dtype: 'i32' })).toThrow(/must be an Int32Array for dtype i32/);
    expect(bad(data, [6], { dtype: 'f8' })).toThrow(/is 'f8', expected one of 'f32', 'bf16'/);
    expect(bad(data, [6], 'bf16')).toThrow(/options must be an object/);
    expect(bad(data, 6)).toThrow('tensor: shape must be an array of sizes, got number 6');
    expect(bad(data, [2, '3'])).toThrow(/shape\[1\] must be a number/);
    expect(bad(data, [2, -3])).toThrow(/shape\[1\] is -3, expected a non-negative integer/);
    expect(bad(data, [2, 4])).toThrow('data has 6 values, but shape [2, 4] has 8 elements');
    expect(bad(data, [1, 1, 1, 1, 1, 1, 1, 1, 6])).toThrow(/has 9 dimensions, expected at most 8/);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    expect(bad(data)).toThrow('tensor: data has a detached ArrayBuffer');
  });
});

describeCuda('memory', () => {
  test('dispose gives it back, once', async () => {
    const before = memory();
    const made = tensor(new Float32Array(1000));
    expect(memory().tensors).toBe(before.tensors + 1);
    expect(memory().used).toBeGreaterThanOrEqual(before.used + 4000);
    made.dispose();
    made.dispose();
    made[Symbol.dispose]();
    expect(memory()).toMatchObject({ tensors: before.tensors, used: before.used });
    expect(() => softmax(made)).toThrow(new TypeError('softmax: logits has been disposed of'));
    await expect(made.read()).rejects.toThrow('read: the tensor has been disposed of');
  });

  test('10 000 tensors take the memory of one', () => {
    const logits = tensor(new Float32Array(3), [1, 3]);
    const step = () => {
      tensor(new Int32Array(100)).dispose();
      softmax(logits).out.dispose();
    };
    step();
    const before = memory();
    for (let i = 0; i < 5000; i++) step();
    expect(memory()).toEqual(before);
  });

  test('tensors that nobody holds are collected', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const before = memory().tensors;
    for (let i = 0; i < 1000; i++) tensor(new Float32Array(100));
    for (let i = 0; i < 100 && memory().tensors > before; i++) {
      collect();
      await setImmediate();
    }
    expect(memory().tensors).toBeLessThanOrEqual(before);
  });

  test('outputs of a call that is refused are given back', () => {
    const logits = tensor(new Float32Array(6), [2, 3]);
    const before = memory();
    expect(() => softmax(logits, { temperature: -1 })).toThrow(RangeError);
    expect(memory()).toMatchObject({ used: before.used, tensors: before.tensors });
  });
});

describeCuda('host and device', () => {
  test('do not mix', () => {
    const data = new Float32Array(6);
    const onDevice = tensor(data, [2, 3]);
    const targets = new Int32Array(2);
    const anything = crossEntropy as (...args: unknown[]) => unknown;
    const host = hostSoftmax as (...args: unknown[]) => unknown;
    expect(() => anything(onDevice, targets)).toThrow(
      new TypeError(
        'crossEntropy: targets is on the host (Int32Array), but the op computes on the CUDA device: move it with tensor() of logitcore/cuda',
      ),
    );
    expect(() => anything({ data, shape: [2, 3] }, tensor(targets))).toThrow(
      /logits is on the host/,
    );
    expect(() => anything(onDevice, tensor(targets), { weight: data })).toThrow(
      /options.weight is on the host/,
    );
    expect(() => anything(onDevice, tensor(targets), { out: { loss: data } })).toThrow(
      /options.out.loss is on the host/,
    );
    expect(() => anything(7, targets)).toThrow('logits must be a CudaTensor, got number 7');
    expect(() => anything(new Proxy(onDevice, {}), targets)).toThrow(/or a proxy of one/);
    expect(() => host(onDevice)).toThrow(
      new TypeError(
        'softmax: logits is on the CUDA device, but this function computes on the host: pass what its read() gives, or call softmax of logitcore/cuda',
      ),
    );
    expect(() => host(data, { out: { out: onDevice } })).toThrow(
      /options.out.out must be a typed array, got a tensor on the CUDA device/,
    );
  });

  test('types of tensors', () => {
    const logits = tensor(new Float32Array(6), [2, 3]);
    const half = tensor(new Float32Array(6), [2, 3], { dtype: 'bf16' });
    const targets = tensor(new Int32Array(2));
    expect(() => softmax(targets)).toThrow(
      /must be a device tensor of dtype f32, bf16 or f16, got i32/,
    );
    expect(() => crossEntropy(logits, logits)).toThrow(/targets must be .* of dtype i32, got f32/);
    expect(() => softmax(logits, { out: { out: half } })).toThrow(
      /options.out.out must be a device tensor of dtype f32 like logits, got bf16/,
    );
    expect(() => crossEntropy(half, targets, { weight: half })).toThrow(
      /options.weight must be a device tensor of dtype f32, got bf16/,
    );
    expect(() => crossEntropy(logits, targets, { out: { loss: targets } })).toThrow(
      /options.out.loss must be a device tensor of dtype f64, got i32/,
    );
  });

  test('outputs of the caller are the results', async () => {
    const logits = tensor(new Float32Array(6), [2, 3], { dtype: 'f16' });
    const targets = tensor(new Int32Array(2));
    const loss = crossEntropy(logits, targets).loss;
    const again = crossEntropy(logits, targets, { out: { loss, gradLogits: logits } });
    expect(again.loss).toBe(loss);
    expect(again.gradLogits).toBe(logits);
    expect(await loss.item()).toBeCloseTo(Math.log(3), 12);
    expect((await logits.read())[0]).toBeCloseTo(-1 / 3, 3);
  });

  test('results have the leading dimensions of the logits', () => {
    const logits = tensor(new Float32Array(24), [2, 3, 4], { dtype: 'f16' });
    expect(softmax(logits).out).toMatchObject({ shape: [2, 3, 4], dtype: 'f16' });
    expect(logSumExp(logits).out).toMatchObject({ shape: [2, 3], dtype: 'f32' });
    expect(logSumExp(tensor(new Float32Array(4))).out).toMatchObject({ shape: [], size: 1 });
    const { loss } = crossEntropy(tensor(new Float32Array(6), [2, 3]), tensor(new Int32Array(2)));
    expect(loss).toMatchObject({ shape: [], size: 1, dtype: 'f64' });
  });
});

describeCuda('indices out of range', () => {
  const logits = () => tensor(new Float32Array(6), [2, 3]);
  const wrong = () => crossEntropy(logits(), tensor(Int32Array.of(0, 3)));
  const message = new RangeError(
    'crossEntropy: targets holds an index out of range that is not ignoreIndex',
  );

  test('the next read says so, and those after it do not', async () => {
    const { loss } = wrong();
    const other = tensor(new Float32Array(1));
    await expect(other.read()).rejects.toThrow(message);
    await loss.read();
    await synchronize();
  });

  test('synchronize says so', async () => {
    wrong();
    wrong();
    await expect(synchronize()).rejects.toThrow(message);
    await synchronize();
  });

  test('ignoreIndex is in range', async () => {
    const targets = tensor(Int32Array.of(-7, 1));
    const { loss } = crossEntropy(logits(), targets, { ignoreIndex: -7 });
    expect(await loss.item()).toBeCloseTo(Math.log(3), 12);
  });
});
