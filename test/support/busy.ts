import * as promises from 'logitcore/promises';

/**
 * A job that keeps the only thread at work, and whether it is still at it: with one thread the last row is written last. `rows` of
 * 1000 logits take some microseconds each.
 */
export function keepBusy(rows: number) {
  const untouched = 7;
  const gradLogits = new Float32Array(rows * 1000).fill(untouched);
  const done = promises.crossEntropy(
    { data: new Float32Array(rows * 1000), shape: [rows, 1000] },
    new Int32Array(rows),
    { grad: true, out: { gradLogits } },
  );
  return { done, atWork: () => gradLogits.at(-1) === untouched };
}

/**
 * Calls `attempt` with a job that keeps the thread, until that is still at work when the attempt asks: on a busy machine it may be
 * done too early, so that nothing had to wait.
 */
export async function behindBusy<T>(
  attempt: (busy: ReturnType<typeof keepBusy>) => Promise<T | undefined>,
): Promise<T> {
  for (let rows = 1000; rows < 200_000; rows *= 2) {
    const busy = keepBusy(rows);
    const result = await attempt(busy);
    await busy.done;
    if (result !== undefined) return result;
  }
  throw new Error('the job that keeps the thread was never seen at work');
}
