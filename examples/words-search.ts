/** How the models learn, and how that was chosen: a grid for each, on addresses that are neither trained on nor held out. */
import cliProgress from 'cli-progress';
import type { Quality } from './words-measure.js';
import { kinds, Model, type Kind, type Recipe } from './words-models.js';
import type { NetworkSize } from './words-network.js';
import { describeRecipe, tableHead, tableLine, titles } from './words-report.js';
import { Batches, buildCorpus, sample, splitAddresses } from './words-text.js';
import { breathe, measureModel } from './words-train.js';

/** Which of every ten addresses is held out, and of what is left, which of every ten the search measures on. */
export const heldOutAddress = 9;
const searchAddress = 4;

/** The best of the search below at the default settings. */
export const recipes: Readonly<Record<Kind, Recipe>> = {
  'z-loss': { kind: 'z-loss', a: 0.02, b: 5, outputRate: 1, hiddenRate: 0.2 },
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

export interface Search {
  readonly addresses: readonly (readonly string[])[];
  readonly size: Omit<NetworkSize, 'types'>;
  readonly batch: number;
  readonly seed: number;
  /** Updates of every Z-loss recipe; log-softmax gets fewer. */
  readonly updates: number;
  readonly interrupted: () => boolean;
}

/** Tries all stages and prints their recipes, the best mean reciprocal rank first. */
export async function search(options: Search): Promise<void> {
  const { size, batch, seed, interrupted } = options;
  const { training: addresses } = splitAddresses(options.addresses, heldOutAddress);
  const { vocabulary, training, heldOut } = buildCorpus(addresses, size.context, searchAddress);
  const positions = sample(heldOut.positions, 5000, seed);
  for (const kind of kinds) {
    const updates = Math.ceil(options.updates * (kind === 'softmax' ? softmaxShare : 1));
    let best = start[kind];
    for (const stage of stages[kind]) {
      const recipes = stage(best);
      const bar = new cliProgress.SingleBar(
        { format: `${titles[kind]} {bar} {value} of {total} updates`, clearOnComplete: true },
        cliProgress.Presets.shades_classic,
      );
      bar.start(recipes.length * updates, 0);
      const results: { recipe: Recipe; quality: Quality; line: string }[] = [];
      for (const recipe of recipes) {
        const model = Model.create(recipe, { ...size, types: vocabulary.length }, seed);
        const batches = new Batches(training, size.context, batch, seed);
        for (let i = 0; i < updates; i++) {
          model.step(batches.at(i), i / updates);
          if (i % 20 === 0) {
            bar.increment(20);
            await breathe();
            if (interrupted()) {
              bar.stop();
              return;
            }
          }
        }
        const quality = await measureModel(model, heldOut, positions);
        model.output.dispose();
        results.push({ recipe, quality, line: tableLine('', quality) });
      }
      bar.stop();
      results.sort((a, b) => b.quality.reciprocalRank - a.quality.reciprocalRank);
      console.log(`${titles[kind]}, ${updates} updates each:\n${tableHead()}`);
      for (const { recipe, line } of results) console.log(`${line}  ${describeRecipe(recipe)}`);
      best = results[0].recipe;
    }
  }
}
