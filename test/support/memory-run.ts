/** Runs in a process of its own, with --expose-gc and a number of calls: prints what memory a process has after a part and after all. */
import { ops } from 'logitcore';
import { argumentsOf, call, promiseOp } from './invoke.js';
import { validSample } from './samples.js';

declare const gc: () => void;

export interface MemoryReport {
  readonly heap: readonly number[];
  readonly external: readonly number[];
  readonly resident: readonly number[];
}

const calls = Number(process.argv[2]);

async function main(): Promise<void> {
  const report = { heap: [] as number[], external: [] as number[], resident: [] as number[] };
  const samples = ops().flatMap((record) => [
    validSample(record),
    validSample(record, { double: true, optional: 'all', sizes: { n: 20, c: 300 } }),
  ]);
  const refused = samples.map((sample) => ({ ...sample, inputs: {} }));
  const measure = async () => {
    // Finalizers run between two collections.
    for (let i = 0; i < 4; i++) {
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    report.heap.push(heapUsed);
    report.external.push(external);
    report.resident.push(rss);
  };
  const parts = 5;
  for (let part = 0; part < parts; part++) {
    for (let i = 0; i < calls / parts; i += 100) {
      const jobs: Promise<unknown>[] = [];
      for (let k = 0; k < 100; k++) {
        const which = (i + k) % samples.length;
        const sample = samples[which];
        if (k % 10 === 0)
          jobs.push(promiseOp(sample.record.name)(...argumentsOf(sample)).catch(() => undefined));
        else if (k % 10 === 1)
          try {
            call(refused[which]);
          } catch {
            // As it should.
          }
        else call(sample);
      }
      await Promise.all(jobs);
    }
    await measure();
  }
  process.stdout.write(JSON.stringify(report));
}

// Imported for its types only, this file must do nothing.
if (calls > 0) await main();
