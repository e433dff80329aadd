/** Training against the clock. */
import { measure, type Quality } from './words-measure.js';
import type { Model } from './words-models.js';
import type { Batches, Stream } from './words-text.js';

export interface Turns {
  readonly models: readonly Model[];
  /** Called once a model: batches of one order, each model at its own place in it. */
  readonly batches: () => Batches;
  /** Training time of each model. */
  readonly seconds: number;
  /** How many turns each model takes; it is measured after each. */
  readonly turns: number;
  /** What it is measured on. */
  readonly stream: Stream;
  readonly positions: Int32Array;
  readonly interrupted?: () => boolean;
  /** Milliseconds; default performance.now. */
  readonly now?: () => number;
  /** Called several times a second. */
  readonly onTick?: (model: Model) => void;
  /** Called after every turn of all models. */
  readonly onTurn?: () => Promise<void>;
}

/** Lets timers and signals in, which a loop of synchronous steps would keep out. */
export const breathe = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

async function trainUntil(
  model: Model,
  batches: Batches,
  until: number,
  { seconds, interrupted, onTick, now = () => performance.now() }: Turns,
): Promise<void> {
  const { progress } = model;
  const start = now();
  const before = progress.seconds;
  let lastTick = start;
  while (progress.seconds < until && !interrupted?.()) {
    model.step(batches.at(progress.updates), progress.seconds / seconds);
    const time = now();
    progress.seconds = before + (time - start) / 1e3;
    if (time - lastTick > 200) {
      onTick?.(model);
      await breathe();
      lastTick = time;
    }
  }
  onTick?.(model);
  await breathe();
}

export function measureModel(
  { hidden, output }: Model,
  stream: Stream,
  positions: Int32Array,
  onBlock?: (words: number) => void | Promise<void>,
): Promise<Quality> {
  return measure(hidden, output.weight(), stream, positions, onBlock);
}

/**
 * Trains all models for the same time, a turn each in rotation: whatever else the machine does then slows all of them alike.
 * Models that come from a checkpoint go on where they were.
 * @returns whether it came to the end without an interruption
 */
export async function takeTurns(turns: Turns): Promise<boolean> {
  const { models, seconds, stream, positions, interrupted, onTurn } = turns;
  const batches = new Map(models.map((model) => [model, turns.batches()]));
  for (let turn = 1; turn <= turns.turns; turn++) {
    const until = (seconds * turn) / turns.turns;
    let anyTrained = false;
    for (const model of models) {
      const { progress } = model;
      if (progress.seconds >= until) continue;
      await trainUntil(model, batches.get(model)!, until, turns);
      if (progress.seconds < until) return false;
      const quality = await measureModel(model, stream, positions);
      progress.curve.push({ seconds: progress.seconds, updates: progress.updates, ...quality });
      anyTrained = true;
      if (interrupted?.()) return false;
    }
    if (anyTrained) await onTurn?.();
  }
  return true;
}
