// Files of a spherical output layer: the same bits again, whole or not at all, and nothing else taken for one.
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SphericalOutputLayer } from 'logitcore';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyOf, tensor, typed, values } from './support/layer.js';
import { Random } from './support/random.js';

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
interface Header {
  V: Entry;
  __metadata__: Record<string, unknown>;
}

describe('files', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'layer-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  const steps = (layer: SphericalOutputLayer, count: number, double: boolean, seed: number) => {
    const random = new Random(seed);
    const seen: number[] = [];
    for (let i = 0; i < count; i++) {
      const hidden = tensor(typed(values(random, 15, 1), double), 5);
      const targets = Int32Array.from({ length: 3 }, () => random.integer(0, 10));
      const { loss, gradHidden } = layer.step(hidden, targets, 0.3);
      seen.push(loss, ...gradHidden);
    }
    return seen;
  };
  const make = (double: boolean) => {
    const layer = SphericalOutputLayer.create(
      tensor(typed(values(new Random(1), 55, 1), double), 5),
      {
        loss: 'taylor',
        weightDecay: 0.01,
        stabilizePeriod: 6,
        singularRange: [0.9, 1.1],
      },
    ) as SphericalOutputLayer;
    steps(layer, 10, double, 2);
    return layer;
  };
  for (const double of [false, true])
    test(`training goes on with the same bits, ${double ? 'float64' : 'float32'}`, async () => {
      const layer = make(double);
      const path = join(folder, `same-${double}.safetensors`);
      const seen: number[] = [];
      await layer.save(path, {
        onProgress: ({ bytes, totalBytes }) => seen.push(bytes / totalBytes),
      });
      expect(seen.at(-1)).toBe(1);
      const again = await SphericalOutputLayer.load(path);
      expect(copyOf(again.state)).toEqual(copyOf(layer.state));
      expect(again.state.V.constructor).toBe(layer.state.V.constructor);
      expect(again.steps).toBe(10);
      expect(steps(again, 9, double, 3)).toEqual(steps(layer, 9, double, 3));
      expect(copyOf(again.state)).toEqual(copyOf(layer.state));
      // The header is JSON behind its length, and arrays start at multiples of 8.
      const bytes = await readFile(path);
      const length = Number(bytes.readBigUInt64LE());
      expect(length % 8).toBe(0);
      const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, unknown>;
      expect(header.V).toMatchObject({ dtype: double ? 'F64' : 'F32', shape: [11, 5] });
      expect(header.__metadata__).toMatchObject({ step: '10' });
    });
  test('steps are refused while a file is written, reading is not', async () => {
    const layer = make(false);
    const saving = layer.save(join(folder, 'busy.safetensors'));
    const hidden = tensor(new Float32Array(5), 5);
    expect(() => layer.step(hidden, Int32Array.of(0), 0.1)).toThrow(/save is pending/);
    layer.forward(hidden, Int32Array.of(0));
    await saving;
    layer.step(hidden, Int32Array.of(0), 0.1);
  });
  test('a run that stops while it writes leaves the old file, and no other', async () => {
    const layer = make(false);
    const inside = await mkdtemp(join(folder, 'crash-'));
    const path = join(inside, 'layer.safetensors');
    await layer.save(path);
    const old = await readFile(path);
    steps(layer, 1, false, 4);
    const stop = new Error('stopped');
    const stopped = layer.save(path, {
      onProgress: ({ bytes }) => {
        if (bytes > 300) throw stop;
      },
    });
    await expect(stopped).rejects.toBe(stop);
    expect(await readFile(path)).toEqual(old);
    expect(await readdir(inside)).toEqual(['layer.safetensors']);
    // What a killed process leaves behind is beside the file, and harms nothing.
    await writeFile(join(inside, '.layer.safetensors.0123456789ab.tmp'), old.subarray(0, 100));
    expect((await SphericalOutputLayer.load(path)).steps).toBe(10);
    await layer.save(path);
    expect((await SphericalOutputLayer.load(path)).steps).toBe(11);
    await expect(layer.save(join(inside, 'no', 'such', 'folder'))).rejects.toThrow(/ENOENT/);
  });
  test('damaged files are refused, at every length', async () => {
    const path = join(folder, 'good.safetensors');
    await make(false).save(path);
    const good = await readFile(path);
    const bad = join(folder, 'bad.safetensors');
    const refuse = async (bytes: Uint8Array, message: RegExp) => {
      await writeFile(bad, bytes);
      await expect(SphericalOutputLayer.load(bad)).rejects.toThrow(RangeError);
      await expect(SphericalOutputLayer.load(bad)).rejects.toThrow(message);
    };
    for (const length of [0, 7, 8, 9, 100, 500, good.length - 1])
      await refuse(good.subarray(0, length), /^safetensors: .*bad\.safetensors has/);
    await refuse(Buffer.concat([good, Buffer.alloc(1)]), /expected \d+/);
    const size = Number(good.readBigUInt64LE());
    const edited = (change: (header: Header) => void): Buffer => {
      const header = JSON.parse(good.toString('utf8', 8, 8 + size)) as Header;
      change(header);
      const text = Buffer.from(JSON.stringify(header));
      const prefix = Buffer.alloc(8);
      prefix.writeBigUInt64LE(BigInt(text.length));
      return Buffer.concat([prefix, text, good.subarray(8 + size)]);
    };
    await refuse(
      edited((h) => {
        h.V.dtype = 'I32';
      }),
      /tensor 'V' of type I32, expected F32 or F64/,
    );
    await refuse(
      edited((h) => {
        h.V.shape = [11, 6];
      }),
      /tensor 'V' of 220 bytes, expected 264/,
    );
    await refuse(
      edited((h) => {
        h.V.shape = [5, 11];
      }),
      /tensor 'U' of shape \[5, 5\], expected \[11, 11\]/,
    );
    await refuse(
      edited((h) => {
        h.V.data_offsets[1] += 4;
      }),
      /tensor 'V'/,
    );
    await refuse(
      edited((h) => {
        Object.assign(h, { W: h.V, V: undefined });
      }),
      /has no tensor 'V'/,
    );
    await refuse(
      edited((h) => {
        h.__metadata__ = {};
      }),
      /is no logitcore\.SphericalOutputLayer/,
    );
    await refuse(
      edited((h) => {
        h.__metadata__.version = '2';
      }),
      /has version 2, expected 1/,
    );
    await refuse(
      edited((h) => {
        h.__metadata__.step = 'many';
      }),
      /many for a step counter/,
    );
    await refuse(
      edited((h) => {
        h.__metadata__.options = '{';
      }),
      /options that are no JSON/,
    );
    await refuse(
      edited((h) => {
        h.__metadata__.step = 3;
      }),
      /metadata that are no strings/,
    );
    await refuse(
      edited((h) => {
        h.__metadata__.options = '{"a":0}';
      }),
      /options\.a is 0/,
    );
    const huge = Buffer.from(good);
    huge.writeBigUInt64LE(2n ** 60n);
    await refuse(huge, /has a header of \d+ bytes/);
    const garbled = Buffer.from(good);
    garbled[9] = 0;
    await refuse(garbled, /header that is no JSON/);
    await expect(SphericalOutputLayer.load(join(folder, 'none'))).rejects.toThrow(/ENOENT/);
  });
});
