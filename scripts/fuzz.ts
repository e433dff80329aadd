/**
 * npm run fuzz -- --calls 1000000 --seed 1
 *
 * Calls the addon with random and hostile arguments, in child processes so that one that dies is seen: half of the calls go to the
 * addon's own functions, half to the public ones. Stops at the first failure, with the command that repeats it.
 */
import { availableParallelism } from 'node:os';
import { SingleBar } from 'cli-progress';
import { Command, InvalidArgumentError } from 'commander';
import { fuzz } from '../test/support/fuzz.js';

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('expected a whole number from 1');
  return value;
};

const options = new Command()
  .name('npm run fuzz --')
  .description('Calls the addon with random and hostile arguments.')
  .option('--calls <n>', 'how many calls', count, 1_000_000)
  .option('--seed <n>', 'where to begin; other seeds make other calls', count, 1)
  .parse()
  .opts<{ calls: number; seed: number }>();

// A process begins anew after this many calls, so that a failure is repeated within seconds.
const perProcess = 10_000;
const parts = Math.ceil(options.calls / perProcess);
const bar = new SingleBar({
  format: 'fuzz {bar} {value}/{total} calls, {threw} refused, {eta_formatted} left',
  noTTYOutput: true,
  notTTYSchedule: 30_000,
});
bar.start(options.calls, 0, { threw: 0 });

let next = 0;
let threw = 0;
async function worker(): Promise<void> {
  while (next < parts) {
    const part = next++;
    const calls = Math.min(perProcess, options.calls - part * perProcess);
    const counts = await fuzz(part % 2 === 0 ? 'door' : 'api', options.seed + part, calls);
    if (counts.ran + counts.threw !== calls)
      throw new Error(`${counts.ran + counts.threw} of ${calls} calls came back`);
    threw += counts.threw;
    bar.increment(calls, { threw });
  }
}
try {
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  bar.stop();
} catch (error) {
  bar.stop();
  console.error((error as Error).message);
  process.exitCode = 1;
}
