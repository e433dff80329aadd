// The addon's own functions, which JavaScript can call with anything.
import { expect, test } from 'vitest';
import { runScript } from '../support/child.js';
import { cudaBinary, describeCuda, isEmulated, rawAddon } from '../support/cuda.js';

const calls = isEmulated ? 4000 : 3000;

describeCuda('the addon', () => {
  for (const seed of [1, 2, 3])
    test(`garbage is refused or survived, seed ${seed}`, async () => {
      const { code, signal, stdout, stderr } = await runScript(
        'cuda-fuzz.cjs',
        [cudaBinary!, String(seed), String(calls)],
        { flags: ['--expose-gc'], env: { MALLOC_PERTURB_: '165' } },
      );
      expect([code, signal], stderr).toEqual([0, null]);
      const { threw, ran } = JSON.parse(stdout) as { threw: number; ran: number };
      // Both kinds of call must be among them, or the test says little.
      expect(threw).toBeGreaterThan(calls / 10);
      expect(ran).toBeGreaterThan(calls / 10);
    });

  test('frames and op numbers', () => {
    const addon = rawAddon();
    const id = addon.records.findIndex(({ name }) => name === 'softmax');
    const softmax =
      (...args: unknown[]) =>
      () =>
        addon.call(id, ...args);
    expect(() => addon.call()).toThrow('the first argument of call is no op number');
    for (const wrong of [-1, 0.5, NaN, 1e9, addon.records.length, '0', {}, undefined])
      expect(() => addon.call(wrong, new Float64Array(99))).toThrow(RangeError);
    for (const wrong of [undefined, {}, new Float64Array(3), new Float32Array(99), 'frame'])
      expect(softmax(wrong)).toThrow('softmax: the frame must be a Float64Array of 12 numbers');
    expect(softmax(new Float64Array(12))).toThrow(
      'softmax: logits is missing, expected a device tensor',
    );
  });

  test('tensors', () => {
    const addon = rawAddon();
    const id = addon.records.findIndex(({ name }) => name === 'softmax');
    const frame = new Float64Array(12);
    frame.set([2, 2, 3]);
    const real = addon.upload('test', 0, new Float32Array(6));
    const out = addon.allocate('test', 0, 6);
    expect(addon.call(id, frame, real, out)).toBeUndefined();
    for (const wrong of [
      null,
      7,
      {},
      new Float32Array(6),
      new Proxy(real as object, {}),
      Object.create(real as object),
    ])
      expect(() => addon.call(id, frame, wrong, out)).toThrow(
        /^softmax: logits must be a device tensor, got /,
      );
    expect(() => addon.call(id, frame, real)).toThrow(/^softmax: options.out.out is missing/);
    expect(() => addon.call(id, frame, real, addon.allocate('test', 0, 5))).toThrow(
      'softmax: options.out.out has 5 values, expected 6',
    );
    expect(() => addon.call(id, frame, addon.allocate('test', 0, 5), out)).toThrow(
      /6 elements\) but 5 values/,
    );
    for (const dtype of [-1, 5, 0.5, 'f32', undefined])
      expect(() => addon.allocate('test', dtype, 1)).toThrow(
        'test: dtype must be a number from 0 to 4',
      );
    for (const length of [-1, 0.5, NaN, 2 ** 41, '1', undefined])
      expect(() => addon.allocate('test', 0, length)).toThrow(
        'test: the number of values must be an integer from 0 to 2^40',
      );
    expect(() => addon.allocate('test', 0, 2 ** 40)).toThrow(
      /^test: out of device memory \(wanted 4398046511104 bytes, free \d+ bytes\)$/,
    );
    expect(() => addon.dispose({})).toThrow(
      'dispose: the argument must be a device tensor, got an object',
    );
    expect(() => addon.read(7)).toThrow('read: the argument must be a device tensor, got a number');
  });

  test('numbers that an op gives need places of their own', () => {
    const addon = rawAddon();
    const id = addon.records.findIndex(({ name }) => name === 'decoupledKd');
    const record = addon.records[id] as unknown as {
      inputs: unknown[];
      options: unknown[];
      outputs: unknown[];
    };
    const frame = new Float64Array(
      9 * record.inputs.length + 2 * record.options.length + record.outputs.length,
    );
    frame.set([2, 2, 3]);
    frame.set([2, 2, 3], 9);
    frame.set([1, 2], 18);
    const [a, b] = [0, 1].map(() => addon.upload('test', 0, new Float32Array(6)));
    const targets = addon.upload('test', 3, new Int32Array(2));
    const [x, y, z, many] = [1, 1, 1, 2].map((length) => addon.allocate('test', 4, length));
    expect(addon.call(id, frame, a, b, targets, x, y, z)).toBeUndefined();
    expect(() => addon.call(id, frame, a, b, targets, x, y, x)).toThrow(
      /options.out.nckd overlaps options.out.loss/,
    );
    expect(() => addon.call(id, frame, a, b, targets, x, y, many)).toThrow(
      /options.out.nckd has 2 values, expected 1/,
    );
    expect(() => addon.call(id, frame, a, b, targets, x, y)).toThrow(
      /options.out.nckd is missing, expected a device tensor of dtype f64/,
    );
    expect(() => addon.call(id, frame, a, b, targets, x, y, a)).toThrow(
      /options.out.nckd must be .* of dtype f64, got f32/,
    );
  });
});
