/** How far down a model ranks the word that came. */
import { matmul, type Tensor } from 'logitcore';
import { none, windows, type Stream } from './words-text.js';
import type { HiddenLayers } from './words-network.js';

/** The k of the top-k errors. */
export const depths = [1, 5, 10, 100] as const;

export interface Quality {
  /** Share of words that are not among the k highest scores, for each of {@link depths}. */
  readonly errors: readonly number[];
  /** Mean of 1 / rank. */
  readonly reciprocalRank: number;
}

/**
 * Rank of each row's target among all classes, from 1. Classes with the target's own score count as larger, and so does NaN:
 * a model gains nothing by not telling classes apart.
 * @param scores `[n, c]`
 * @returns `[n]`; Infinity where the target is {@link none}, a word that no class stands for
 */
export function ranks(scores: Float32Array, targets: Int32Array): Float64Array {
  const classes = scores.length / targets.length;
  return Float64Array.from(targets, (target, row) => {
    if (target === none) return Infinity;
    const start = row * classes;
    const own = scores[start + target];
    let smaller = 0;
    for (let j = start; j < start + classes; j++) if (scores[j] < own) smaller++;
    return classes - smaller;
  });
}

export function qualityOf(allRanks: Float64Array): Quality {
  const mean = (value: (rank: number) => number): number =>
    allRanks.reduce((sum, rank) => sum + value(rank), 0) / allRanks.length;
  return {
    errors: depths.map((k) => mean((rank) => (rank > k ? 1 : 0))),
    reciprocalRank: mean((rank) => 1 / rank),
  };
}

const block = 256;

/**
 * Exact ranks over all classes, block by block.
 * @param weight of the output layer `[types, dimensions]`
 * @param positions of the words to rank, in the stream
 * @param onBlock called after every block with the number of words it had; training may be interrupted there
 */
export async function measure(
  hidden: HiddenLayers,
  weight: Tensor<Float32Array>,
  stream: Stream,
  positions: Int32Array,
  onBlock?: (words: number) => void | Promise<void>,
): Promise<Quality> {
  const all = new Float64Array(positions.length);
  const scores = new Float32Array(block * hidden.size.types);
  for (let start = 0; start < positions.length; start += block) {
    const part = positions.subarray(start, start + block);
    const { contexts, targets } = windows(stream, part, hidden.size.context);
    const out = scores.subarray(0, part.length * hidden.size.types);
    matmul(hidden.forward(contexts), weight, { transposeB: true, out: { out } });
    all.set(ranks(out, targets), start);
    await onBlock?.(part.length);
  }
  return qualityOf(all);
}
