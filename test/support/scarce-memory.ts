/**
 * Runs in a process of its own: calls ops that need working memory, before, while and after the process may take no more of it.
 * Prints what each call came to.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { argsort, sort, matmul } from 'logitcore';
import { argsort as argsortLater } from 'logitcore/promises';

const n = 6_000_000;
const values = Float32Array.from({ length: n }, (_, i) => (i * 7919) % 10007);
const outcome: Record<string, string[]> = { sort: [], argsort: [], later: [], output: [] };
const attempt = async (name: string, run: () => unknown) => {
  try {
    await run();
    outcome[name].push('done');
  } catch (error) {
    outcome[name].push(`${(error as Error).constructor.name}: ${(error as Error).message}`);
  }
};
const out = { indices: new Int32Array(n) };
const sorted = { values: new Float32Array(n) };
const all = async () => {
  await attempt('argsort', () => argsort(values, { out }));
  await attempt('sort', () => sort(values, { out: sorted }));
  await attempt('later', () => argsortLater(values, { out }));
  await attempt('output', () =>
    matmul(
      { data: new Float32Array(2 ** 20), shape: [2 ** 20, 1] },
      { data: new Float32Array(2 ** 20), shape: [1, 2 ** 20] },
    ),
  );
};
// The limit of the address space, by util-linux.
const limit = (bytes: number | string) =>
  execFileSync('prlimit', ['--pid', String(process.pid), `--as=${bytes}:unlimited`]);
const mapped = () =>
  1024 * Number(/VmSize:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);

await all();
limit(mapped() + 4_000_000);
await all();
limit('unlimited');
await all();
process.stdout.write(JSON.stringify(outcome));
