/**
 * Runs in a process of its own, at the instruction level of its environment: reads cases from a file and prints a hash of every
 * result and of what it runs on.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { info, setNumThreads } from 'logitcore';
import { call, flatten } from './invoke.js';
import { makeSample, recordOf, type Spec } from './samples.js';

export interface HashCase {
  readonly op: string;
  readonly spec: Spec;
  readonly threads: readonly number[];
}

export interface HashReport {
  readonly isa: string;
  /** By case, then by thread count: a hash, or the message of the refusal. */
  readonly hashes: readonly (readonly string[])[];
}

const canonicalNaN = 0x7fc00000;

/** Two independent 32-bit hashes; all NaNs count as one, since their bits mean nothing. */
export function hash(arrays: [string, ArrayLike<number> & ArrayBufferView][]): string {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  const add = (word: number) => {
    a = Math.imul(a ^ word, 0x01000193);
    b = Math.imul((b << 13) | (b >>> 19), 5) + Math.imul(word, 0x5bd1e995);
  };
  for (const [name, array] of arrays) {
    for (let i = 0; i < name.length; i++) add(name.charCodeAt(i));
    const words = new Uint32Array(array.buffer, array.byteOffset, array.byteLength / 4);
    const perNumber = words.length / array.length;
    for (let i = 0; i < array.length; i++) {
      if (array[i] !== array[i]) add(canonicalNaN);
      else for (let k = 0; k < perNumber; k++) add(words[i * perNumber + k]);
    }
  }
  return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0');
}

export function run({ op, spec, threads }: HashCase): string[] {
  try {
    const sample = makeSample(recordOf(op), spec);
    return threads.map((count) => {
      setNumThreads(count);
      return hash(flatten(call(sample)));
    });
  } catch (error) {
    return [`refused: ${String(error)}`];
  }
}

// Imported for its types only, this file must do nothing.
const [input = '', output = ''] = process.argv.slice(2);
if (input.endsWith('.cases.json')) {
  const cases = JSON.parse(readFileSync(input, 'utf8')) as HashCase[];
  const report: HashReport = { isa: info().isa, hashes: cases.map(run) };
  writeFileSync(output, JSON.stringify(report));
}
