/** The parts of the word model of `npm run example:words`. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crossEntropy, matmul, zLoss } from 'logitcore';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { normals, randomGenerator } from '../bench/inputs.js';
import { loadCheckpoint, saveCheckpoint } from '../examples/words-checkpoint.js';
import { measure, qualityOf, ranks } from '../examples/words-measure.js';
import { Model, type Kind, type Progress, type Recipe } from '../examples/words-models.js';
import { HiddenLayers } from '../examples/words-network.js';
import { byFrequency } from '../examples/words-report.js';
import {
  Batches,
  buildCorpus,
  encode,
  loadAddresses,
  none,
  splitAddresses,
  tokens,
  vocabularyOf,
  windows,
  type Stream,
} from '../examples/words-text.js';
import { takeTurns } from '../examples/words-train.js';

const addresses = [
  ['the', 'union', 'is', 'strong', '.'],
  ['the', 'state', 'of', 'the', 'union'],
];

describe('text', () => {
  it('is split into lower-case words, numbers and signs', () => {
    expect(tokens('Fellow-Citizens: “Congress’s” 1,234.50 acts — of 1862.\n')).toEqual(
      ['fellow', '-', 'citizens', ':', '"', "congress's", '"', '0,000.00', 'acts', '-'].concat([
        'of',
        '1862',
        '.',
      ]),
    );
    expect(tokens("the people's élan'")).toEqual(['the', "people's", 'élan', "'"]);
  });

  it('has whole addresses held out, each in one part only', () => {
    const all = Array.from({ length: 25 }, (_, i) => i);
    const { training, heldOut } = splitAddresses(all, 9);
    expect(heldOut).toEqual([9, 19]);
    expect([...training, ...heldOut].sort((a, b) => a - b)).toEqual(all);
  });

  it('has types in order of frequency, and none for unseen words', () => {
    const vocabulary = vocabularyOf(addresses);
    expect(vocabulary.slice(0, 3)).toEqual(['', 'the', 'union']);
    expect(new Set(vocabulary).size).toBe(vocabulary.length);
    const { types, positions } = encode([['the', 'nation']], vocabulary, 2);
    expect([...types]).toEqual([none, none, 1, none]);
    expect([...positions]).toEqual([2, 3]);
  });

  it('has contexts that end at the target and do not reach into another address', () => {
    const vocabulary = vocabularyOf(addresses);
    const stream = encode(addresses, vocabulary, 3);
    const { contexts, targets } = windows(stream, stream.positions, 3);
    const spelled = (row: number) =>
      Array.from(contexts.subarray(3 * row, 3 * row + 3), (type) => vocabulary[type]);
    const words = addresses.flat();
    expect(Array.from(targets, (type) => vocabulary[type])).toEqual(words);
    expect(spelled(0)).toEqual(['', '', '']);
    expect(spelled(4)).toEqual(['union', 'is', 'strong']);
    expect(spelled(5)).toEqual(['', '', '']);
    expect(spelled(6)).toEqual(['', '', 'the']);
    expect(spelled(9)).toEqual(['state', 'of', 'the']);
  });

  it('of the package keeps its size, and its held-out words out of training', () => {
    const corpus = buildCorpus(loadAddresses(), 4, 9);
    expect(corpus.addresses).toEqual({ training: 210, heldOut: 23 });
    expect(corpus.vocabulary.length).toBe(24235);
    expect(corpus.training.positions.length + corpus.heldOut.positions.length).toBe(1981741);
    expect(corpus.training.types.filter((type) => type === none).length).toBe(4 * 210);
    const { types, positions } = corpus.heldOut;
    const unseen = positions.filter((position) => types[position] === none).length;
    expect(corpus.unseen).toBe(unseen / positions.length);
    expect(corpus.unseen).toBeLessThan(0.01);
  });
});

describe('batches', () => {
  const stream: Stream = {
    types: Int32Array.from({ length: 26 }, (_, i) => i),
    positions: Int32Array.from({ length: 25 }, (_, i) => i + 1),
  };

  it('go through all positions once a pass, in another order each time', () => {
    const batches = new Batches(stream, 1, 5, 3);
    const pass = (from: number) =>
      Array.from({ length: batches.perEpoch }, (_, i) => [...batches.at(from + i).targets]).flat();
    const [first, second] = [pass(0), pass(5)];
    expect(first).not.toEqual(second);
    for (const seen of [first, second])
      expect(seen.sort((a, b) => a - b)).toEqual([...stream.positions]);
  });

  it('depend on their number only', () => {
    const forward = new Batches(stream, 1, 4, 3);
    const inOrder = Array.from({ length: 14 }, (_, i) => forward.at(i));
    const jumping = new Batches(stream, 1, 4, 3);
    for (const i of [13, 2, 7, 6, 0]) expect(jumping.at(i)).toEqual(inOrder[i]);
  });
});

describe('ranks', () => {
  it('count the larger scores, and equal ones and NaN against the model', () => {
    const scores = Float32Array.of(9, 3, 2, 1, 0, 5, 5, 5, 0, NaN, 1, 7, 0, 0, NaN, 0, 9, 4, 1, 2);
    expect([...ranks(scores, Int32Array.of(2, 1, 2, none))]).toEqual([3, 4, 5, Infinity]);
    expect([...ranks(Float32Array.of(7, 0, 1), Int32Array.of(1))]).toEqual([3]);
  });

  it('become errors and mean reciprocal rank', () => {
    const { errors, reciprocalRank } = qualityOf(Float64Array.of(1, 2, 5, 6, 11, 101, Infinity, 1));
    expect(errors).toEqual([6 / 8, 4 / 8, 3 / 8, 2 / 8]);
    expect(reciprocalRank).toBeCloseTo((2 + 1 / 2 + 1 / 5 + 1 / 6 + 1 / 11 + 1 / 101) / 8, 12);
  });

  it('are those of the vocabulary for a model that knows frequencies only', () => {
    const stream: Stream = {
      types: Int32Array.of(none, 1, 4, none),
      positions: Int32Array.of(1, 2, 3),
    };
    expect(byFrequency(stream, stream.positions).reciprocalRank).toBeCloseTo(1.25 / 3, 12);
  });
});

const size = { types: 13, context: 3, embedding: 4, dimensions: 6 };

describe('hidden layers', () => {
  const random = randomGenerator(5);
  // Words that occur twice in one context and in several.
  const contexts = Int32Array.of(1, 2, 1, 5, 2, 7, 12, 0, 5, 1, 1, 1);
  const upstream = normals(4 * size.dimensions, random);

  const value = (layers: HiddenLayers): number =>
    layers.forward(contexts).data.reduce((sum, x, i) => sum + x * upstream[i], 0);

  it('end with a column of ones', () => {
    const { data, shape } = new HiddenLayers(size, 1).forward(contexts) as {
      data: Float32Array;
      shape: number[];
    };
    expect(shape).toEqual([4, 6]);
    expect([5, 11, 17, 23].map((i) => data[i])).toEqual([1, 1, 1, 1]);
  });

  it('have the gradients of central differences', () => {
    const layers = new HiddenLayers(size, 1);
    value(layers);
    const gradients = layers.backward(contexts, upstream);
    const numeric = (array: Float32Array, i: number): number => {
      const [kept, step] = [array[i], 1 / 128];
      array[i] = kept + step;
      const above = value(layers);
      array[i] = kept - step;
      const below = value(layers);
      array[i] = kept;
      return (above - below) / (2 * step);
    };
    layers.weights.forEach((_, i) => {
      expect(gradients.weights[i]).toBeCloseTo(numeric(layers.weights, i), 3);
    });
    expect([...gradients.touched].sort((a, b) => a - b)).toEqual([0, 1, 2, 5, 7, 12]);
    gradients.touched.forEach((type, slot) => {
      for (let j = 0; j < size.embedding; j++)
        expect(gradients.embeddings[slot * size.embedding + j]).toBeCloseTo(
          numeric(layers.embeddings, type * size.embedding + j),
          3,
        );
    });
  });

  it('are changed by Adagrad, and only where the batch touched them', () => {
    const layers = new HiddenLayers(size, 1);
    const before = layers.embeddings.slice();
    for (const rate of [0.5, 0.25]) {
      const old = layers.embeddings.slice();
      value(layers);
      const gradients = layers.backward(contexts, upstream);
      const squares = layers.embeddingSquares.slice();
      layers.update(gradients, rate);
      const at = gradients.touched[1] * size.embedding;
      const g = gradients.embeddings[size.embedding];
      const expected = old[at] - (rate * g) / Math.sqrt(squares[at] + g * g);
      expect(layers.embeddings[at]).toBeCloseTo(expected, 5);
    }
    for (const type of [3, 4, 6, 8, 9, 10, 11])
      for (let j = 0; j < size.embedding; j++)
        expect(layers.embeddings[type * size.embedding + j]).toBe(
          before[type * size.embedding + j],
        );
  });
});

const recipes: Record<Kind, Recipe> = {
  'z-loss': { kind: 'z-loss', a: 0.2, b: 2, hiddenRate: 0.1, outputRate: 0.5 },
  softmax: { kind: 'softmax', hiddenRate: 0.1, outputRate: 0.5 },
};
/** Every word is followed by one word. */
const counting: Stream = {
  types: Int32Array.from({ length: 603 }, (_, i) => (i < 3 ? none : 1 + (i % 99))),
  positions: Int32Array.from({ length: 600 }, (_, i) => i + 3),
};
const smallSize = { types: 100, context: 3, embedding: 8, dimensions: 16 };
const batches = () => new Batches(counting, smallSize.context, 20, 1);

function run(model: Model, from: number, to: number): void {
  const source = batches();
  for (let i = from; i < to; i++) model.step(source.at(i), i / 200);
}

describe.each(['z-loss', 'softmax'] as const)('the model with %s', (kind) => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'words-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('has the loss its name says, before the step', () => {
    const model = Model.create(recipes[kind], smallSize, 1);
    const batch = batches().at(0);
    const weight = { ...model.output.weight(), data: model.output.weight().data.slice() };
    const { out } = matmul(model.hidden.forward(batch.contexts), weight, { transposeB: true });
    const logits = { data: out, shape: [batch.targets.length, smallSize.types] };
    const { loss } =
      kind === 'softmax'
        ? crossEntropy(logits, batch.targets)
        : zLoss(logits, batch.targets, { a: 0.2, b: 2 });
    const before = model.hidden.weights.slice();
    model.step(batch, 1); // at the end of its time, when rates are 0
    expect(model.progress.loss).toBeCloseTo(loss, 4);
    expect(model.output.weight().data).toEqual(weight.data);
    expect(model.hidden.weights).toEqual(before);
    model.step(batch, 0);
    expect(model.progress.loss).toBeCloseTo(loss, 4);
    expect(model.output.weight().data).not.toEqual(weight.data);
    expect(model.hidden.weights).not.toEqual(before);
  });

  it('learns which word follows', async () => {
    const model = Model.create(recipes[kind], smallSize, 1);
    run(model, 0, 200);
    const { errors, reciprocalRank } = await measure(
      model.hidden,
      model.output.weight(),
      counting,
      counting.positions,
    );
    expect(errors[0]).toBeLessThan(0.02);
    expect(reciprocalRank).toBeGreaterThan(0.99);
  });

  it('goes on from a checkpoint as if nothing had happened', async () => {
    // Saving lets in what waits beside a layer's factors, so that this run is not the one that never saves, to the last bit.
    const whole = Model.create(recipes[kind], smallSize, 1);
    run(whole, 0, 23);
    for (const progress of [{ updates: 1 }, whole.progress])
      await saveCheckpoint(folder, { progress }, (stem) => whole.save(stem));
    expect(readdirSync(folder).length).toBe(3); // what the first call wrote is gone
    const { state, stem } = (await loadCheckpoint(folder))!;
    const { progress } = state as { progress: Progress };
    const resumed = await Model.load(stem, recipes[kind], smallSize, progress);
    expect(progress.updates).toBe(23);
    run(resumed, progress.updates, 60);
    run(whole, 23, 60);

    expect(resumed.hidden.state()).toEqual(whole.hidden.state());
    expect(resumed.output.weight()).toEqual(whole.output.weight());
    expect(resumed.progress).toEqual(whole.progress);
  });

  it('keeps the old checkpoint if the new one cannot be written', async () => {
    await saveCheckpoint(folder, { good: true }, () => Promise.resolve());
    const failing = saveCheckpoint(folder, { good: false }, () =>
      Promise.reject(new Error('full')),
    );
    await expect(failing).rejects.toThrow('full');
    expect((await loadCheckpoint(folder))?.state).toEqual({ good: true });
    expect(await loadCheckpoint(path.join(folder, 'nothing'))).toBeUndefined();
  });
});

describe('turns', () => {
  /** On a clock on which every step takes 10 ms, and for 0.205 s, which is no whole number of steps. */
  const turns = (interrupted: () => boolean) => {
    const models = (['z-loss', 'softmax'] as const).map((kind) =>
      Model.create(recipes[kind], smallSize, 1),
    );
    let time = 0;
    const options = {
      models,
      batches,
      seconds: 0.205,
      turns: 2,
      stream: counting,
      positions: counting.positions,
      now: () => (time += 10),
    };
    return { models, options, done: takeTurns({ ...options, interrupted }) };
  };

  it('give each model the same time, measured after each', async () => {
    const { models, options, done } = turns(() => false);
    expect(await done).toBe(true);
    expect(await takeTurns(options)).toBe(true); // nothing is left to do
    for (const { progress } of models) {
      expect(progress.seconds).toBeCloseTo(0.21, 9);
      expect(progress.updates).toBe(21);
      expect(progress.curve.map(({ updates }) => updates)).toEqual([11, 21]);
      expect(progress.curve.map(({ seconds }) => Math.round(seconds * 1e3))).toEqual([110, 210]);
    }
  });

  it('end when interrupted, and go on from there', async () => {
    let checks = 0;
    const { models, options, done } = turns(() => checks++ > 3);
    expect(await done).toBe(false);
    expect(models.map(({ progress }) => progress.updates)).toEqual([4, 0]);
    expect(await takeTurns(options)).toBe(true);
    expect(models.map(({ progress }) => progress.updates)).toEqual([21, 21]);
  });
});
