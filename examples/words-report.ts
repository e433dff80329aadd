/** What a run prints. */
import cliProgress from 'cli-progress';
import { matmul, topK } from 'logitcore';
import { depths, qualityOf, type Quality } from './words-measure.js';
import type { Kind, Model, Recipe } from './words-models.js';
import { none, tokens, type Corpus, type Stream } from './words-text.js';

export const titles: Record<Kind, string> = {
  'z-loss': 'Z-loss, factored',
  softmax: 'log-softmax, dense',
};

/** A bar that leaves Ctrl+C and the terminal's settings alone, for work that has nothing to save. */
export const progressBar = (format: string): cliProgress.SingleBar =>
  new cliProgress.SingleBar(
    { format, clearOnComplete: true, gracefulExit: false, linewrap: true },
    cliProgress.Presets.shades_classic,
  );

export function describeRecipe(recipe: Recipe): string {
  const { hiddenRate, outputRate } = recipe;
  const shape = recipe.kind === 'z-loss' ? `a ${recipe.a}, b ${recipe.b}, ` : '';
  return `${shape}rate ${outputRate} in the output layer, ${hiddenRate} below`;
}

/** What one gets without a model: every word ranked by how frequent it is, as the vocabulary is ordered. */
export function byFrequency({ types }: Stream, positions: Int32Array): Quality {
  const ranks = Float64Array.from(positions, (position) => types[position]);
  return qualityOf(ranks.map((rank) => (rank === none ? Infinity : rank)));
}

const head = ['updates', 'words/s', ...depths.map((k) => `top-${k}`), 'mean reciprocal rank'];
const columns = (cells: readonly string[]): string =>
  cells.map((cell, i) => cell.padStart(Math.max(head[i].length, 8) + 2)).join('');
const cellsOf = ({ errors, reciprocalRank }: Quality): string[] => [
  ...errors.map((error) => (100 * error).toFixed(2)),
  reciprocalRank.toFixed(4),
];

/** A line of the table; the first cells are empty without a model. */
export function tableLine(name: string, quality: Quality, model?: Model, batch = 0): string {
  const { updates, seconds } = model?.progress ?? { updates: 0, seconds: 1 };
  const work = model ? [String(updates), ((updates * batch) / seconds).toFixed(0)] : ['', ''];
  return `  ${name.padEnd(20)}${columns([...work, ...cellsOf(quality)])}`;
}

export const tableHead = (): string => `  ${''.padEnd(20)}${columns(head)}`;

/** The words a model expects after `text`, the likeliest first. */
export function guesses(
  { hidden, output }: Model,
  { vocabulary }: Corpus,
  text: string,
  k: number,
): string[] {
  const { context } = hidden.size;
  const padding = new Array<number>(context).fill(none);
  const typesOf = tokens(text).map((token) => Math.max(none, vocabulary.indexOf(token)));
  const last = Int32Array.from([...padding, ...typesOf].slice(-context));
  const weight = output.weight();
  const { out } = matmul(hidden.forward(last), weight, { transposeB: true });
  const { indices } = topK({ data: out, shape: [1, vocabulary.length] }, { k });
  return Array.from(indices, (type) => vocabulary[type]);
}
