// Seeded normal numbers. Only the logarithm and the square root are needed, which are the same in every V8.

/** Splitmix with 32 bits of state: uniform in (0, 1). */
function generator(seed: number): () => number {
  let state = (seed ^ Math.trunc(seed / 2 ** 32)) | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32 + 2 ** -33;
  };
}

/** Fills an array with normal numbers of mean 0 by the polar method of Marsaglia. */
export function normalValues<A extends Float32Array | Float64Array>(
  out: A,
  standardDeviation: number,
  seed: number,
): A {
  const uniform = generator(seed);
  for (let i = 0; i < out.length;) {
    const x = 2 * uniform() - 1;
    const y = 2 * uniform() - 1;
    const squares = x * x + y * y;
    if (squares >= 1 || squares === 0) continue;
    const scale = standardDeviation * Math.sqrt((-2 * Math.log(squares)) / squares);
    out[i] = scale * x;
    if (i + 1 < out.length) out[i + 1] = scale * y;
    i += 2;
  }
  return out;
}
