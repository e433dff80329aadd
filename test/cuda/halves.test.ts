// Halves are rounded on the host when they are uploaded, and widened when they are read.
import { tensor } from 'logitcore/cuda';
import { expect, test } from 'vitest';
import { describeCuda } from '../support/cuda.js';

type Half = 'f16' | 'bf16';
const shape = {
  f16: { exponentBits: 5, fractionBits: 10, bias: 15 },
  bf16: { exponentBits: 8, fractionBits: 7, bias: 127 },
};

/** What the bits of a half mean, in float64. */
function valueOf(dtype: Half, bits: number): number {
  const { exponentBits, fractionBits, bias } = shape[dtype];
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = bits & (2 ** fractionBits - 1);
  if (exponent === 2 ** exponentBits - 1) return fraction ? NaN : sign * Infinity;
  return exponent
    ? sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias)
    : sign * (fraction / 2 ** fractionBits) * 2 ** (1 - bias);
}

const allBits = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);

/** Floats between two neighbouring halves: the tie, its neighbours among floats, and one nearer to each side. */
function between(low: number, high: number): Float32Array {
  const middle = (low + high) / 2;
  const floats = Float32Array.of(middle, middle, middle, low + (high - low) / 4, low, high);
  const bits = new Uint32Array(floats.buffer);
  bits[1] -= 1;
  bits[2] += 1;
  return floats;
}

/** The half nearest to a float of at least 0 that lies from `low`, of bits `at`, to `high`; ties go to even bits. */
function nearest(x: number, at: number, low: number, high: number): number {
  const [below, above] = [x - low, high - x];
  if (below === above) return at & 1 ? at + 1 : at;
  return below < above ? at : at + 1;
}

describeCuda('halves', () => {
  for (const dtype of ['f16', 'bf16'] as const) {
    const infinity = dtype === 'f16' ? 0x7c00 : 0x7f80;
    test(`every ${dtype} is read as the number that it is`, async () => {
      const values = (await tensor(allBits, undefined, { dtype }).read()) as Float32Array;
      const expected = Float32Array.from(allBits, (bits) => valueOf(dtype, bits));
      expect(values.every((x, bits) => Object.is(x, expected[bits]))).toBe(true);
    });

    test(`floats between all neighbours among ${dtype} are rounded to the nearest, ties to even`, async () => {
      const floats: number[] = [];
      const expected: number[] = [];
      for (let at = 0; at < infinity; at++) {
        const low = valueOf(dtype, at);
        // Infinity stands where the next number would.
        const high = at + 1 < infinity ? valueOf(dtype, at + 1) : 2 * low - valueOf(dtype, at - 1);
        for (const x of between(low, high)) {
          if (!(x >= low && x <= high)) continue;
          const half = nearest(x, at, low, high);
          floats.push(x, -x);
          expected.push(valueOf(dtype, half), valueOf(dtype, half | 0x8000));
        }
      }
      expect(floats.length).toBeGreaterThan(10 * infinity);
      const values = (await tensor(Float32Array.from(floats), undefined, {
        dtype,
      }).read()) as Float32Array;
      const wrong = floats.findIndex((_, i) => !Object.is(values[i], Math.fround(expected[i])));
      expect(wrong, `${floats[wrong]} became ${values[wrong]}`).toBe(-1);
    });

    test(`NaN, infinities and what ${dtype} cannot hold`, async () => {
      const floats = Float32Array.of(
        NaN,
        Infinity,
        -Infinity,
        3.4028234663852886e38,
        -3.4028234663852886e38,
        0,
        -0,
        1e-45,
        -1e-45,
      );
      const expected = [NaN, Infinity, -Infinity, Infinity, -Infinity, 0, -0, 0, -0];
      expect([...(await tensor(floats, undefined, { dtype }).read())]).toEqual(expected);
      const nans = new Float32Array(
        Uint32Array.of(0x7f800001, 0xffc00000, 0x7fffffff, 0xff800001).buffer,
      );
      expect([...(await tensor(nans, undefined, { dtype }).read())]).toEqual([NaN, NaN, NaN, NaN]);
    });
  }
});
