import { wantsBackground, background } from './call.js';

// An op that is put together from other ops is a generator of calls: `const { loss } = yield* step(() => crossEntropy(...))`. The
// same generator runs through at once, or call by call on a background thread.

/** A composed op under way; it yields the calls it wants made and is given their results. */
export type Steps<R> = Generator<() => unknown, R, never>;

/** The result of one call of a composed op. */
export function* step<R>(start: () => R): Generator<() => R, R, R> {
  return yield start;
}

/** Runs a composed op; its promise form makes the same calls on a background thread. */
export function compose<R>(steps: () => Steps<R>): R {
  return wantsBackground() ? (runLater(steps) as R) : run(steps());
}

function run<R>(steps: Steps<R>): R {
  let next = steps.next();
  while (!next.done) next = steps.next(next.value() as never);
  return next.value;
}

async function runLater<R>(steps: () => Steps<R>): Promise<R> {
  const all = steps();
  let next = all.next();
  while (!next.done) next = all.next((await background(next.value)) as never);
  return next.value;
}
