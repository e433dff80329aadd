/**
 * Runs in a process of its own: a background job of some seconds. With `handler`, SIGINT ends the process by process.exit, as
 * command line tools do.
 */
import { crossEntropy } from 'logitcore/promises';
import { getNumThreads } from 'logitcore';

const rows = 64;
const columns = 500_000;
const logits = new Float32Array(rows * columns);
const targets = new Int32Array(rows);
if (process.argv[2] === 'handler')
  process.on('SIGINT', () => {
    process.exit(130);
  });
const out = { gradLogits: new Float32Array(rows * columns) };
let ended = 0;
// More jobs than threads: some run, some wait.
for (let i = 0; i < getNumThreads() + 2; i++)
  void (async () => {
    for (;;) {
      await crossEntropy({ data: logits, shape: [rows, columns] }, targets, { grad: true, out });
      ended += 1;
      if (ended === 1) console.log('working');
    }
  })();
