/**
 * npm run bench:load
 *
 * A thousand background jobs at once: how long the event loop is held up meanwhile, and the time of all against the same calls made
 * one after another on the main thread.
 */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { crossEntropy, getNumThreads, info } from 'logitcore';
import * as promises from 'logitcore/promises';
import { describeMachine } from './machine.js';

const count = 1000;
const loadBefore = loadavg()[0];
const [rows, columns] = [256, 4096];
const logits = {
  data: Float32Array.from({ length: rows * columns }, () => Math.random() * 8),
  shape: [rows, columns],
};
const targets = Int32Array.from({ length: rows }, (_, i) => i);
// Sixteen gradients in turn, so that jobs at the same time write different ones.
const outs = Array.from({ length: 16 }, () => ({
  gradLogits: new Float32Array(rows * columns),
}));
const options = (i: number) => ({ grad: true as const, out: outs[i % outs.length] });

async function loop(work: () => Promise<unknown>) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const begin = performance.now();
  await work();
  const milliseconds = performance.now() - begin;
  delay.disable();
  // The histogram counts the whole time between two looks; the resolution is what it would be without any delay.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - 1);
  return {
    milliseconds,
    p50: late(delay.percentile(50)),
    p99: late(delay.percentile(99)),
    worst: late(delay.max),
  };
}

const idle = await loop(() => new Promise((resolve) => setTimeout(resolve, 2000)));
const background = await loop(() =>
  Promise.all(
    Array.from({ length: count }, (_, i) => promises.crossEntropy(logits, targets, options(i))),
  ),
);
const begin = performance.now();
for (let i = 0; i < count; i++) crossEntropy(logits, targets, options(i));
const plain = performance.now() - begin;

const fixed = (x: number) => x.toFixed(2);
console.log(
  `${count} jobs of crossEntropy with gradient, [${rows},${columns}], ${getNumThreads()} threads, ${info().isa}`,
);
console.log(
  `event loop late by, ms   p50 ${fixed(background.p50)}   p99 ${fixed(background.p99)}   worst ${fixed(background.worst)}`,
);
console.log(
  `the same without jobs    p50 ${fixed(idle.p50)}   p99 ${fixed(idle.p99)}   worst ${fixed(idle.worst)}`,
);
console.log(
  `all jobs ${fixed(background.milliseconds)} ms, one after another on the main thread ${fixed(plain)} ms`,
);
writeFileSync(
  fileURLToPath(new URL('./results/load.json', import.meta.url)),
  `${JSON.stringify({ machine: describeMachine(loadBefore), count, shape: [rows, columns], threads: getNumThreads(), background, idle, plainMilliseconds: plain }, null, 2)}\n`,
);
