/** How the models learn, and how that was chosen: a grid for each, on addresses that are neither trained on nor held out. */
import cliProgress from 'cli-progress';
import { randomGenerator } from '../bench/inputs.js';
import { shuffled } from './mnist.js';
import { Model, type Kind, type Recipe } from './words-models.js';
import type { NetworkSize } from './words-network.js';
import { describeRecipe, tableHead, tableLine, titles } from './words-report.js';
import { Batches, buildCorpus, splitAddresses } from './words-text.js';
import { takeTurns } from './words-train.js';

/** Which of every ten addresses is held out, and of what is left, which of every ten the search measures on. */
export const heldOutAddress = 9;
const searchAddress = 4;

/** The best of the grids below at the default settings. */
export const recipes: Readonly<Record<Kind, Recipe>> = {
  'z-loss': { kind: 'z-loss', a: 0.1, b: 10, outputRate: 1, hiddenRate: 0.05 },
  softmax: { kind: 'softmax', outputRate: 1, hiddenRate: 0.05 },
};

const product = <A, B>(left: readonly A[], right: readonly B[]): [A, B][] =>
  left.flatMap((x) => right.map((y): [A, B] => [x, y]));

const grids: Readonly<Record<Kind, readonly Recipe[]>> = {
  'z-loss': product(product([0.05, 0.1, 0.2], [5, 10, 20]), product([0.3, 1, 3], [0.05])).map(
    ([[a, b], [outputRate, hiddenRate]]) => ({ kind: 'z-loss', a, b, outputRate, hiddenRate }),
  ),
  softmax: product([0.3, 1, 3, 10], [0.02, 0.05]).map(([outputRate, hiddenRate]) => ({
    kind: 'softmax',
    outputRate,
    hiddenRate,
  })),
};

export interface Search {
  readonly addresses: readonly (readonly string[])[];
  readonly size: Omit<NetworkSize, 'types'>;
  readonly batch: number;
  readonly seed: number;
  /** Training time of every recipe. */
  readonly seconds: number;
  readonly interrupted: () => boolean;
}

/** Trains every recipe of the grids and prints them, the best mean reciprocal rank first. */
export async function search(options: Search): Promise<void> {
  const { size, batch, seed, seconds, interrupted } = options;
  const { training: addresses } = splitAddresses(options.addresses, heldOutAddress);
  const { vocabulary, training, heldOut } = buildCorpus(addresses, size.context, searchAddress);
  const order = shuffled(heldOut.positions.length, randomGenerator(seed));
  const positions = order.subarray(0, 5000).map((which) => heldOut.positions[which]);
  for (const [kind, grid] of Object.entries(grids) as [Kind, readonly Recipe[]][]) {
    const bar = new cliProgress.SingleBar(
      { format: `${titles[kind]} {bar} {value} of {total} s`, clearOnComplete: true },
      cliProgress.Presets.shades_classic,
    );
    const models = grid.map((recipe) =>
      Model.create(recipe, { ...size, types: vocabulary.length }, seed),
    );
    bar.start(Math.round(seconds * models.length), 0);
    const finished = await takeTurns({
      models,
      batches: () => new Batches(training, size.context, batch, seed),
      seconds,
      turns: 3,
      stream: heldOut,
      positions,
      interrupted,
      onTick: () => {
        bar.update(Math.round(models.reduce((sum, { progress }) => sum + progress.seconds, 0)));
      },
    });
    bar.stop();
    if (!finished) return;
    console.log(`${titles[kind]}, ${seconds} s each:\n${tableHead()}`);
    const last = ({ progress }: Model) => progress.curve[progress.curve.length - 1];
    models.sort((a, b) => last(b).reciprocalRank - last(a).reciprocalRank);
    for (const model of models)
      console.log(`${tableLine('', last(model), model, batch)}  ${describeRecipe(model.recipe)}`);
    for (const model of models) model.output.dispose();
  }
}
