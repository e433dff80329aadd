/**
 * npm run bench:sort
 *
 * Nanoseconds an entry of sort, argsort and topK on rows of 131 072 floats, one thread, beside Float32Array.prototype.sort and memcpy of the row.
 */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { argsort, setNumThreads, sort, topK } from 'logitcore';
import { describeMachine } from './machine.js';
import { race, type Contestant } from './measure.js';

const length = 131_072;
const k = 64;
const rounds = 15;
const load = loadavg()[0];

// Small and reproducible: the order of a row is all that counts here.
let state = 1;
const uniform = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};
const row = (value: (i: number) => number) => Float32Array.from({ length }, (_, i) => value(i));
const inputs = {
  random: row(() => 16 * uniform() - 8),
  sorted: row((i) => i / length),
  reversed: row((i) => -i / length),
  constant: row(() => 1),
  'five values': row(() => Math.floor(5 * uniform())),
  'organ pipe': row((i) => Math.min(i, length - i)),
};

setNumThreads(1);
const results: Record<string, Record<string, number>> = {};
const columns = ['sort', 'argsort', `topK ${k}`, 'Float32Array sort', 'memcpy'];
console.log(`nanoseconds an entry, ${length} floats, medians of ${rounds} rounds`);
console.log(`${'row'.padEnd(12)}${columns.map((name) => name.padStart(19)).join('')}`);
for (const [name, x] of Object.entries(inputs)) {
  const values = new Float32Array(length);
  const indices = new Int32Array(length);
  const top = { values: new Float32Array(k), indices: new Int32Array(k) };
  const copy = new Float32Array(length);
  const check = () => {
    const expected = x.slice().sort();
    if (!sort(x).values.every((value, i) => value === expected[i]))
      throw new Error(`sort of the row "${name}" is wrong`);
  };
  check();
  const contestant = (label: string, run: () => unknown): Contestant => ({
    name: label,
    threads: 1,
    trip: 'op',
    run,
  });
  const timings = await race(
    [
      contestant('sort', () => sort(x, { out: { values } })),
      contestant('argsort', () => argsort(x, { out: { indices } })),
      contestant(`topK ${k}`, () => topK(x, { k, out: top })),
      contestant('Float32Array sort', () => {
        copy.set(x);
        copy.sort();
      }),
      contestant('memcpy', () => {
        copy.set(x);
      }),
    ],
    { rounds, fewestRounds: 5, clock: 'wall' },
  );
  const each = Object.fromEntries(timings.map((t) => [t.name, t.ns.median / length]));
  results[name] = each;
  console.log(
    `${name.padEnd(12)}${columns.map((column) => each[column].toFixed(2).padStart(19)).join('')}`,
  );
}
const { sort: own, 'Float32Array sort': theirs } = results.random;
console.log(
  `Float32Array.prototype.sort takes ${(theirs / own).toFixed(1)} times as long (random)`,
);
writeFileSync(
  fileURLToPath(new URL('./results/sort.json', import.meta.url)),
  `${JSON.stringify({ machine: describeMachine(load), length, rounds, nanosecondsAnEntry: results }, null, 2)}\n`,
);
