/**
 * What a careful programmer writes in JavaScript without a library: typed arrays, three passes over each row (largest
 * value, sum of exponentials, result), and no allocation in the loops.
 */
import { topKSize, type HeadlineName } from '../shapes.js';
import type { HeadlineInputs } from '../inputs.js';
import type { Contestant, Results } from '../measure.js';

function maximum(x: Float32Array, start: number, end: number): number {
  let max = -Infinity;
  for (let i = start; i < end; i++) if (x[i] > max) max = x[i]!;
  return max;
}

function logSoftmax(x: Float32Array, columns: number, out: Float32Array): void {
  for (let start = 0; start < x.length; start += columns) {
    const end = start + columns;
    const max = maximum(x, start, end);
    let sum = 0;
    for (let i = start; i < end; i++) sum += Math.exp(x[i] - max);
    const shift = max + Math.log(sum);
    for (let i = start; i < end; i++) out[i] = x[i] - shift;
  }
}

/** Leaves exp(x − max) in `out` between the passes, which saves the second exponential. */
function softmax(x: Float32Array, columns: number, out: Float32Array): void {
  for (let start = 0; start < x.length; start += columns) {
    const end = start + columns;
    const max = maximum(x, start, end);
    let sum = 0;
    for (let i = start; i < end; i++) {
      const e = Math.exp(x[i] - max);
      out[i] = e;
      sum += e;
    }
    const factor = 1 / sum;
    for (let i = start; i < end; i++) out[i] *= factor;
  }
}

function crossEntropy(x: Float32Array, columns: number, targets: Int32Array): number {
  let total = 0;
  for (let row = 0, start = 0; start < x.length; row++, start += columns) {
    const end = start + columns;
    const max = maximum(x, start, end);
    let sum = 0;
    for (let i = start; i < end; i++) sum += Math.exp(x[i] - max);
    total += max + Math.log(sum) - x[start + targets[row]];
  }
  return total / targets.length;
}

/** Mean loss; the gradient goes to `out`. */
export function crossEntropyWithGradient(
  x: Float32Array,
  columns: number,
  targets: Int32Array,
  out: Float32Array,
): number {
  const rows = targets.length;
  let total = 0;
  for (let row = 0, start = 0; start < x.length; row++, start += columns) {
    const end = start + columns;
    const max = maximum(x, start, end);
    let sum = 0;
    for (let i = start; i < end; i++) {
      const e = Math.exp(x[i] - max);
      out[i] = e;
      sum += e;
    }
    const factor = 1 / (sum * rows);
    for (let i = start; i < end; i++) out[i] *= factor;
    const target = start + targets[row];
    out[target] -= 1 / rows;
    total += max + Math.log(sum) - x[target];
  }
  return total / rows;
}

function klDiv(
  student: Float32Array,
  teacher: Float32Array,
  columns: number,
  out: Float32Array,
): number {
  const rows = student.length / columns;
  let total = 0;
  for (let start = 0; start < student.length; start += columns) {
    const end = start + columns;
    const maxQ = maximum(student, start, end);
    const maxP = maximum(teacher, start, end);
    let sumQ = 0;
    let sumP = 0;
    let product = 0;
    for (let i = start; i < end; i++) {
      const q = Math.exp(student[i] - maxQ);
      const p = Math.exp(teacher[i] - maxP);
      out[i] = q;
      sumQ += q;
      sumP += p;
      product += p * (teacher[i] - maxP - (student[i] - maxQ));
    }
    total += product / sumP - Math.log(sumP) + Math.log(sumQ);
    for (let i = start; i < end; i++)
      out[i] = (out[i] / sumQ - Math.exp(teacher[i] - maxP) / sumP) / rows;
  }
  return total / rows;
}

/** Mean loss at the temperature 2; the gradient goes to `out`. Both rows are standardised as they are read. */
function standardizedKlDiv(
  student: Float32Array,
  teacher: Float32Array,
  columns: number,
  out: Float32Array,
): number {
  const rows = student.length / columns;
  const temperature = 2;
  let total = 0;
  for (let start = 0; start < student.length; start += columns) {
    const end = start + columns;
    let sumS = 0;
    let sumT = 0;
    for (let i = start; i < end; i++) {
      sumS += student[i];
      sumT += teacher[i];
    }
    const meanS = sumS / columns;
    const meanT = sumT / columns;
    let squaresS = 0;
    let squaresT = 0;
    for (let i = start; i < end; i++) {
      squaresS += (student[i] - meanS) * (student[i] - meanS);
      squaresT += (teacher[i] - meanT) * (teacher[i] - meanT);
    }
    const deviation = Math.sqrt(squaresS / (columns - 1));
    const scaleS = 1 / ((deviation + 1e-7) * temperature);
    const scaleT = 1 / ((Math.sqrt(squaresT / (columns - 1)) + 1e-7) * temperature);
    const maxS = (maximum(student, start, end) - meanS) * scaleS;
    const maxT = (maximum(teacher, start, end) - meanT) * scaleT;
    let sumP = 0;
    let sumQ = 0;
    let product = 0;
    for (let i = start; i < end; i++) {
      const a = (student[i] - meanS) * scaleS - maxS;
      const b = (teacher[i] - meanT) * scaleT - maxT;
      const p = Math.exp(a);
      const q = Math.exp(b);
      out[i] = p;
      sumP += p;
      sumQ += q;
      product += q * (b - a);
    }
    total += temperature * temperature * (product / sumQ - Math.log(sumQ) + Math.log(sumP));
    let along = 0;
    for (let i = start; i < end; i++) {
      const b = (teacher[i] - meanT) * scaleT - maxT;
      const slope = out[i] / sumP - Math.exp(b) / sumQ;
      out[i] = slope;
      along += slope * (student[i] - meanS);
    }
    const tilt = along / ((columns - 1) * deviation * (deviation + 1e-7));
    const factor = (temperature * temperature * scaleS) / rows;
    for (let i = start; i < end; i++) out[i] = factor * (out[i] - tilt * (student[i] - meanS));
  }
  return total / rows;
}

function zLoss(x: Float32Array, columns: number, targets: Int32Array, out: Float32Array): number {
  const rows = targets.length;
  let total = 0;
  for (let row = 0, start = 0; start < x.length; row++, start += columns) {
    const end = start + columns;
    let sum = 0;
    for (let i = start; i < end; i++) sum += x[i];
    const mean = sum / columns;
    let squares = 0;
    for (let i = start; i < end; i++) squares += (x[i] - mean) * (x[i] - mean);
    const deviation = Math.sqrt(squares / columns);
    const z = (x[start + targets[row]] - mean) / (deviation + 1e-12);
    total += z < 0 ? -z + Math.log1p(Math.exp(z)) : Math.log1p(Math.exp(-z));
    const slope = -1 / ((1 + Math.exp(z)) * (deviation + 1e-12) * rows);
    const tilt = z / (columns * deviation);
    for (let i = start; i < end; i++) out[i] = -slope * (1 / columns + tilt * (x[i] - mean));
    out[start + targets[row]] += slope;
  }
  return total / rows;
}

/** Keeps the k best of a row sorted; most values fail the first comparison. */
function topK(
  x: Float32Array,
  columns: number,
  k: number,
  values: Float32Array,
  indices: Int32Array,
): void {
  for (let row = 0, start = 0; start < x.length; row++, start += columns) {
    const first = row * k;
    values.fill(-Infinity, first, first + k);
    for (let j = 0; j < columns; j++) {
      const value = x[start + j];
      if (!(value > values[first + k - 1])) continue;
      let at = first + k - 1;
      for (; at > first && value > values[at - 1]; at--) {
        values[at] = values[at - 1]!;
        indices[at] = indices[at - 1]!;
      }
      values[at] = value;
      indices[at] = j;
    }
  }
}

function entropy(x: Float32Array, columns: number, out: Float32Array): void {
  for (let row = 0, start = 0; start < x.length; row++, start += columns) {
    const end = start + columns;
    const max = maximum(x, start, end);
    let sum = 0;
    let product = 0;
    for (let i = start; i < end; i++) {
      const shifted = x[i] - max;
      const e = Math.exp(shifted);
      sum += e;
      product += e * shifted;
    }
    out[row] = Math.log(sum) - product / sum;
  }
}

interface Buffers {
  readonly full: Float32Array;
  readonly small: Float32Array;
  readonly indices: Int32Array;
}

function allocate(op: HeadlineName, { rows, columns }: HeadlineInputs): Buffers {
  const writesAll = op !== 'crossEntropy' && op !== 'topK' && op !== 'entropy';
  const k = op === 'topK' ? topKSize(columns) : 1;
  return {
    full: new Float32Array(writesAll ? rows * columns : 0),
    small: new Float32Array(rows * k),
    indices: new Int32Array(op === 'topK' ? rows * k : 0),
  };
}

function runOp(
  op: HeadlineName,
  inputs: HeadlineInputs,
  { full, small, indices }: Buffers,
): Results {
  const { logits, teacher, targets, columns } = inputs;
  switch (op) {
    case 'logSoftmax':
      logSoftmax(logits, columns, full);
      return { out: full };
    case 'softmax':
      softmax(logits, columns, full);
      return { out: full };
    case 'crossEntropy':
      return { loss: [crossEntropy(logits, columns, targets)] };
    case 'crossEntropy+grad':
      return { loss: [crossEntropyWithGradient(logits, columns, targets, full)], grad: full };
    case 'klDiv+grad':
      return { loss: [klDiv(logits, teacher, columns, full)], grad: full };
    case 'standardizedKlDiv+grad':
      return { loss: [standardizedKlDiv(logits, teacher, columns, full)], grad: full };
    case 'zLoss+grad':
      return { loss: [zLoss(logits, columns, targets, full)], grad: full };
    case 'topK':
      topK(logits, columns, topKSize(columns), small, indices);
      return { values: small, indices };
    case 'entropy':
      entropy(logits, columns, small);
      return { entropy: small };
  }
}

export function plainContestants(op: HeadlineName, inputs: HeadlineInputs): Contestant[] {
  return (['op', 'whole'] as const).map((trip) => {
    const kept = trip === 'op' ? allocate(op, inputs) : undefined;
    let last: Results = {};
    return {
      name: 'plain JS',
      threads: 1,
      trip,
      run: () => {
        last = runOp(op, inputs, kept ?? allocate(op, inputs));
      },
      results: () => last,
    };
  });
}
