import { checkNumbers, checkOptions, kindOf } from './arguments.js';

// Encodings of mixed-precision networks: a few numbers a layer.

export interface BitEncodingOptions {
  /** The widths that a layer may have; default `[2, 3, 4, 5, 6, 7, 8]`. */
  bitList?: readonly number[] | Float32Array | Float64Array;
  /** Steps a channel rather than a tensor; default true. */
  channelWise?: boolean;
  /** Symmetric weight quantisation; default true. */
  wSym?: boolean;
  /** Symmetric activation quantisation; default true. */
  aSym?: boolean;
  /** Leaves the blocks of the first and the last layer zero; default true. */
  skipEnds?: boolean;
  /** Leaves the flags of asymmetric quantisation zero, as the authors' code does; default false. */
  repoCompat?: boolean;
}

/**
 * One-hot encoding of a mixed-precision network for an accuracy predictor (Xu et al. 2023, arXiv 2308.07650): three pairs of flags
 * `channelWise, !channelWise, wSym, !wSym, aSym, !aSym`, then a block of `bitList.length` for the weight bits of each of the L layers,
 * then one for the activation bits of each: `6 + 2 L bitList.length` values.
 * @param wBits weight bits of each layer `[L]`
 * @param aBits activation bits of each layer `[L]`
 * @returns `out`
 * @throws TypeError or RangeError for wrong types or lengths, or a width that bitList does not have
 */
export function bitEncoding(
  wBits: Int32Array,
  aBits: Int32Array,
  options: BitEncodingOptions = {},
): { out: Float32Array } {
  const op = 'bitEncoding';
  checkBits(op, 'wBits', wBits);
  checkBits(op, 'aBits', aBits, wBits.length);
  checkOptions(op, options);
  const bitList = checkBitList(op, options.bitList);
  const [channelWise, wSym, aSym, skipEnds] = (
    ['channelWise', 'wSym', 'aSym', 'skipEnds'] as const
  ).map((name) => checkFlag(op, name, options[name], true));
  const repoCompat = checkFlag(op, 'repoCompat', options.repoCompat, false);
  const layers = wBits.length;
  const out = new Float32Array(6 + 2 * layers * bitList.length);
  out[channelWise ? 0 : 1] = 1;
  if (wSym || !repoCompat) out[wSym ? 2 : 3] = 1;
  if (aSym || !repoCompat) out[aSym ? 4 : 5] = 1;
  [wBits, aBits].forEach((bits, side) => {
    bits.forEach((width, layer) => {
      const column = bitList.indexOf(width);
      if (column < 0)
        throw new RangeError(
          `${op}: ${side ? 'aBits' : 'wBits'}[${layer}] is ${width}, expected one of ${bitList.join(', ')} (bitList)`,
        );
      if (skipEnds && (layer === 0 || layer === layers - 1)) return;
      out[6 + (side * layers + layer) * bitList.length + column] = 1;
    });
  });
  return { out };
}

export interface AverageBitsOptions {
  /** Leaves out the first and the last layer; default true. */
  skipEnds?: boolean;
}

/**
 * Bits a weight on average, `sum(bits size) / sum(size)` over the layers without the first and the last (Xu et al. 2023, arXiv
 * 2308.07650).
 * @param bits of each layer `[L]`
 * @param sizes of each layer, in weights `[L]`
 * @throws TypeError or RangeError for wrong types or lengths, no layer left, a negative size or a counted layer of size 0
 */
export function averageBits(
  bits: Int32Array,
  sizes: Float32Array | Float64Array,
  options: AverageBitsOptions = {},
): { average: number } {
  const op = 'averageBits';
  checkBits(op, 'bits', bits);
  checkNumbers(op, 'sizes', sizes, bits.length);
  checkOptions(op, options);
  const skipped = checkFlag(op, 'skipEnds', options.skipEnds, true) ? 1 : 0;
  const end = bits.length - skipped;
  if (end <= skipped)
    throw new RangeError(
      `${op}: bits has ${bits.length} layers, expected at least ${2 * skipped + 1}${skipped ? ' with options.skipEnds' : ''}`,
    );
  sizes.forEach((size, layer) => {
    const counts = layer >= skipped && layer < end;
    if (!(counts ? size > 0 : size >= 0) || size === Infinity)
      throw new RangeError(
        `${op}: sizes[${layer}] is ${size}, expected a finite number ${counts ? '> 0' : '>= 0'}`,
      );
  });
  let weighted = 0;
  let total = 0;
  for (let layer = skipped; layer < end; layer += 1) {
    weighted += bits[layer] * sizes[layer];
    total += sizes[layer];
  }
  return { average: weighted / total };
}

function checkBits(op: string, name: string, bits: unknown, length?: number): void {
  if (!(bits instanceof Int32Array))
    throw new TypeError(`${op}: ${name} must be an Int32Array, got ${kindOf(bits)}`);
  if (length !== undefined && bits.length !== length)
    throw new RangeError(`${op}: ${name} has ${bits.length} values, expected ${length}`);
}

function checkBitList(op: string, list: unknown): number[] {
  if (list === undefined) return [2, 3, 4, 5, 6, 7, 8];
  if (!Array.isArray(list) && !(list instanceof Float32Array) && !(list instanceof Float64Array))
    throw new TypeError(`${op}: options.bitList must be an array of numbers, got ${kindOf(list)}`);
  return Array.from(list as ArrayLike<unknown>, (width, i) => {
    if (typeof width !== 'number')
      throw new TypeError(`${op}: options.bitList[${i}] must be a number, got ${kindOf(width)}`);
    if (!Number.isInteger(width) || width < 1)
      throw new RangeError(`${op}: options.bitList[${i}] is ${width}, expected an integer >= 1`);
    return width;
  });
}

function checkFlag(op: string, name: string, value: unknown, usual: boolean): boolean {
  if (value === undefined) return usual;
  if (typeof value === 'boolean') return value;
  throw new TypeError(`${op}: options.${name} must be true or false, got ${kindOf(value)}`);
}
