/** How the models learn, and how that was chosen: a grid for each, on addresses that are neither trained on nor held out. */
import type { Quality } from './words-measure.js';
import { kinds, Model, type Kind, type Recipe } from './words-models.js';
import type { NetworkSize } from './words-network.js';
import { describeRecipe, progressBar, tableHead, tableLine, titles } from './words-report.js';
import { Batches, buildCorpus, sample, splitAddresses, type Corpus } from './words-text.js';
import { breathe, measureModel } from './words-train.js';

/** Which of every ten addresses is held out, and of what is left, which of every ten the search measures on. */
export const heldOutAddress = 9;
const searchAddress = 4;

/** The best finalists of the search below at the default settings. */
export const recipes: Readonly<Record<Kind, Recipe>> = {
  'z-loss': { kind: 'z-loss', a: 0.02, b: 5, outputRate: 1, hiddenRate: 0.1 },
  softmax: { kind: 'softmax', outputRate: 2, hiddenRate: 0.1 },
};

/**
 * Each stage varies some of the best recipe so far. Steps are counted, not seconds: within a kind all cost the same, and what else
 * the machine does must not choose.
 */
const stages: Readonly<Record<Kind, readonly ((best: Recipe) => readonly Recipe[])[]>> = {
  'z-loss': [
    (best) => grid([0.01, 0.02, 0.05, 0.1], [5, 10, 20], (a, b) => ({ ...best, a, b })),
    (best) => grid([1, 3, 10], [0.05, 0.1, 0.2], rates(best)),
  ],
  softmax: [(best) => grid([1, 2, 4], [0.05, 0.1, 0.2], rates(best))],
};
const start: Readonly<Record<Kind, Recipe>> = {
  'z-loss': { kind: 'z-loss', a: 0.1, b: 10, outputRate: 3, hiddenRate: 0.1 },
  softmax: { kind: 'softmax', outputRate: 2, hiddenRate: 0.1 },
};
/** About the updates of a dense step in the time of one factored step, at the default settings. */
const softmaxShare = 1 / 8;

function grid<T>(xs: readonly number[], ys: readonly number[], make: (x: number, y: number) => T) {
  return xs.flatMap((x) => ys.map((y) => make(x, y)));
}

function rates(best: Recipe) {
  return (outputRate: number, hiddenRate: number): Recipe => ({ ...best, outputRate, hiddenRate });
}

/** The best of the last stage are trained again for so many times the updates, about as many as a run of the example has. */
const finalists = { recipes: 3, times: 6 };

export interface Search {
  readonly addresses: readonly (readonly string[])[];
  readonly size: Omit<NetworkSize, 'types'>;
  readonly batch: number;
  readonly seed: number;
  /** Updates of every Z-loss recipe; log-softmax gets fewer. */
  readonly updates: number;
}

/** Tries all stages, then the finalists, and prints them, the best mean reciprocal rank first. */
export async function search(options: Search): Promise<void> {
  const { addresses, size } = options;
  const { training } = splitAddresses(addresses, heldOutAddress);
  const corpus = buildCorpus(training, size.context, searchAddress);
  for (const kind of kinds) {
    const updates = Math.ceil(options.updates * (kind === 'softmax' ? softmaxShare : 1));
    let found: readonly Recipe[] = [start[kind]];
    for (const stage of stages[kind])
      found = await ranked(stage(found[0]), updates, corpus, options);
    await ranked(found.slice(0, finalists.recipes), finalists.times * updates, corpus, options);
  }
}

/** Trains each recipe, prints what came of it, and returns them in order. */
export async function ranked(
  recipes: readonly Recipe[],
  updates: number,
  { vocabulary, training, heldOut }: Corpus,
  { size, batch, seed }: Search,
): Promise<Recipe[]> {
  const title = titles[recipes[0].kind];
  const bar = progressBar(`${title} {bar} {value} of {total} updates`);
  bar.start(recipes.length * updates, 0);
  const positions = sample(heldOut.positions, 5000, seed);
  const results: { recipe: Recipe; quality: Quality }[] = [];
  for (const recipe of recipes) {
    const model = Model.create(recipe, { ...size, types: vocabulary.length }, seed);
    const batches = new Batches(training, size.context, batch, seed);
    for (let i = 0; i < updates; i++) {
      model.step(batches.at(i), i / updates);
      if (i % 20 > 0) continue;
      bar.increment(20);
      await breathe();
    }
    results.push({ recipe, quality: await measureModel(model, heldOut, positions) });
    model.output.dispose();
  }
  bar.stop();
  results.sort((a, b) => b.quality.reciprocalRank - a.quality.reciprocalRank);
  console.log(`${title}, ${updates} updates each:\n${tableHead()}`);
  for (const { recipe, quality } of results)
    console.log(`${tableLine('', quality)}  ${describeRecipe(recipe)}`);
  return results.map(({ recipe }) => recipe);
}
