/**
 * `npm run example:words`: a small word model on the State of the Union addresses, twice. Both read the last few words, embed them, and have
 * one hidden layer; they differ in the output layer over all word types of the training part. One has the Z-loss in the factored
 * layer, whose step costs the same for any number of types, the other log-softmax, which computes every score in every step. Both are
 * given the same wall time. Prints how far down they rank the words of held-out addresses, and draws it against time and updates into
 * examples/out. Ctrl+C saves a checkpoint; `--resume` goes on from it.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import cliProgress from 'cli-progress';
import { Command, InvalidArgumentError } from 'commander';
import { info } from 'logitcore';
import { loadCheckpoint, saveCheckpoint } from './words-checkpoint.js';
import { kinds, Model, type Progress, type Recipe } from './words-models.js';
import { drawCurves } from './words-picture.js';
import {
  byFrequency,
  describeRecipe,
  guesses,
  progressBar,
  tableHead,
  tableLine,
  titles,
} from './words-report.js';
import { heldOutAddress, recipes, search } from './words-search.js';
import { Batches, buildCorpus, loadAddresses, sample, type Corpus } from './words-text.js';
import { breathe, measureModel, takeTurns } from './words-train.js';

const folder = fileURLToPath(new URL('./out/words', import.meta.url));
const picture = fileURLToPath(new URL('./out/words.svg', import.meta.url));
const turns = 15;
const curveWords = 2000;
const checkpointEvery = 20e3;

/** What a checkpoint must share with the run that goes on from it. */
interface Settings {
  readonly dimensions: number;
  readonly context: number;
  readonly batch: number;
  readonly seed: number;
}

interface Options extends Settings {
  readonly seconds?: number;
  readonly measure?: number;
  readonly quick?: boolean;
  readonly resume?: boolean;
  readonly search?: number;
}

interface State {
  readonly settings: Settings;
  readonly seconds: number;
  readonly models: readonly { recipe: Recipe; progress: Progress }[];
}

const above =
  (least: number, whole = true) =>
  (text: string): number => {
    const value = Number(text);
    if (!(value >= least) || (whole && !Number.isSafeInteger(value)))
      throw new InvalidArgumentError(
        `It should be ${whole ? 'a whole number, ' : ''}at least ${least}.`,
      );
    return value;
  };

function parseOptions() {
  const command = new Command('npm run example:words --')
    .option('--seconds <number>', 'training time of each model (default: 90)', above(1, false))
    .option('--dimensions <number>', 'inputs of the output layer', above(2), 128)
    .option('--context <number>', 'words read before each prediction', above(1), 4)
    .option('--batch <number>', 'words of a batch', above(1), 128)
    .option('--seed <number>', 'of weights, batches and samples', above(0), 1)
    .option('--measure <number>', 'held-out words of the final table (default: all)', above(1))
    .option('--quick', '8 seconds each and 5000 words in the table, to see it work')
    .option('--resume', 'go on from the checkpoint')
    .option(
      '--search <updates>',
      'instead, search for the recipes, with so many updates each',
      above(1, false),
    )
    .parse();
  const options = command.opts<Options>();
  const given = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
  const fail = (message: string): never => command.error(`error: ${message}`);
  return { options, given, fail };
}

/**
 * Ctrl+C ends the run after the step under way. One that comes a second later or more ends the process at once; until then it may be
 * the first again, handed on by npm or tsx.
 */
function watchInterrupt() {
  let since: number | undefined;
  const note = (): void => {
    since ??= performance.now();
    if (performance.now() - since > 1000) process.exit(130);
  };
  process.on('SIGINT', note);
  return {
    interrupted: () => since !== undefined,
    /** Ctrl+C ends the process again. */
    release: () => process.off('SIGINT', note),
  };
}

const sizeOf = ({ dimensions, context }: Settings) => ({
  dimensions,
  context,
  embedding: Math.ceil(dimensions / 2),
});

async function resume({ options, given, fail }: ReturnType<typeof parseOptions>) {
  const found = await loadCheckpoint(folder);
  if (!found) return fail(`there is no checkpoint in ${path.relative(process.cwd(), folder)}`);
  const state = found.state as State;
  for (const name of Object.keys(state.settings) as (keyof Settings)[])
    if (given(name) && options[name] !== state.settings[name])
      fail(`the checkpoint was made with --${name} ${state.settings[name]}`);
  return { ...found, state };
}

async function train(
  models: readonly Model[],
  corpus: Corpus,
  { settings, seconds }: Omit<State, 'models'>,
  interrupted: () => boolean,
): Promise<boolean> {
  const bars = new cliProgress.MultiBar(
    {
      format: '{name} {bar} {value} of {total} s | {updates} updates | loss {loss}',
      clearOnComplete: true,
      hideCursor: true,
    },
    cliProgress.Presets.shades_classic,
  );
  const bar = new Map(
    models.map((model) => {
      const name = titles[model.recipe.kind].padEnd(20);
      const start = Math.round(model.progress.seconds);
      return [model, bars.create(seconds, start, { name, updates: '', loss: '' })];
    }),
  );
  const save = () => {
    const state: State = {
      settings,
      seconds,
      models: models.map(({ recipe, progress }) => ({ recipe, progress })),
    };
    return saveCheckpoint(folder, state, async (stem) => {
      for (const model of models) await model.save(`${stem}${model.recipe.kind}`);
    });
  };
  let saved = performance.now();
  const { positions } = corpus.heldOut;
  const finished = await takeTurns({
    models,
    batches: () => new Batches(corpus.training, settings.context, settings.batch, settings.seed),
    seconds,
    turns,
    stream: corpus.heldOut,
    positions: sample(positions, curveWords, settings.seed),
    interrupted,
    onTick: (model) => {
      const { seconds: done, updates, loss } = model.progress;
      bar.get(model)?.update(Math.round(done), { updates, loss: loss.toFixed(3) });
    },
    onTurn: async () => {
      if (performance.now() - saved < checkpointEvery) return;
      await save();
      saved = performance.now();
    },
  });
  bars.stop();
  await save();
  return finished;
}

async function report(
  models: readonly Model[],
  corpus: Corpus,
  positions: Int32Array,
  batch: number,
): Promise<void> {
  const bar = progressBar('ranks of held-out words {bar} {percentage} %');
  bar.start(models.length * positions.length, 0);
  const lines: string[] = [];
  for (const model of models) {
    const quality = await measureModel(model, corpus.heldOut, positions, async (words) => {
      bar.increment(words);
      await breathe();
    });
    lines.push(tableLine(titles[model.recipe.kind], quality, model, batch));
  }
  bar.stop();
  console.log(
    `errors in % on ${positions.length} held-out words, ranks among all types, equal scores counted against the model:`,
  );
  console.log(tableHead());
  for (const line of lines) console.log(line);
  console.log(tableLine('by frequency alone', byFrequency(corpus.heldOut, positions)));
  for (const text of ['the congress of the', 'peace and prosperity of', 'it is my duty to'])
    for (const model of models)
      console.log(
        `  ${text} ... ${titles[model.recipe.kind]}: ${guesses(model, corpus, text, 5).join(', ')}`,
      );
}

async function main(): Promise<void> {
  const parsed = parseOptions();
  const { options } = parsed;
  const started = performance.now();
  const checkpoint = options.resume ? await resume(parsed) : undefined;
  const { dimensions, context, batch, seed } = checkpoint?.state.settings ?? options;
  const settings = { dimensions, context, batch, seed };
  const addresses = loadAddresses();
  if (options.search !== undefined) {
    const size = sizeOf(settings);
    await search({ addresses, size, batch, seed, updates: options.search });
    return;
  }
  const { interrupted, release } = watchInterrupt();
  const seconds = options.seconds ?? checkpoint?.state.seconds ?? (options.quick ? 8 : 90);
  const corpus = buildCorpus(addresses, context, heldOutAddress);
  const { vocabulary, training, heldOut } = corpus;
  console.log(
    `${training.positions.length} words of ${corpus.addresses.training} addresses to train on, ` +
      `${heldOut.positions.length} of ${corpus.addresses.heldOut} held out; ${vocabulary.length} types, which ` +
      `${(100 * corpus.unseen).toFixed(2)} % of the held-out words are not among (always an error). logitcore ${info().version} (${info().isa})`,
  );
  const size = { ...sizeOf(settings), types: vocabulary.length };
  const models = checkpoint
    ? await Promise.all(
        checkpoint.state.models.map(({ recipe, progress }) =>
          Model.load(`${checkpoint.stem}${recipe.kind}`, recipe, size, progress),
        ),
      )
    : kinds.map((kind) => Model.create(recipes[kind], size, seed));
  for (const { recipe } of models)
    console.log(`${titles[recipe.kind].padEnd(20)} ${describeRecipe(recipe)}`);
  console.log(
    '(the best of `--search 2500`, which trains and measures on the other addresses only)',
  );
  const finished = await train(models, corpus, { settings, seconds }, interrupted);
  if (!finished) {
    console.log(`interrupted; \`npm run example:words -- --resume\` goes on`);
    return;
  }
  release(); // all is saved
  const measured = options.measure ?? (options.quick ? 5000 : heldOut.positions.length);
  await report(models, corpus, sample(heldOut.positions, measured, seed), batch);
  await drawCurves(
    picture,
    models,
    `${vocabulary.length} word types, ${dimensions} dimensions, ${curveWords} held-out words`,
  );
  console.log(`curves: ${path.relative(process.cwd(), picture)}`);
  console.log(`${((performance.now() - started) / 1e3).toFixed(0)} s in all`);
}

await main();
