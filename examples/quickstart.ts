import { crossEntropy, logSoftmax } from 'logitcore';

// Two rows of logits over three classes, and the class each row should have.
const logits = { data: Float32Array.of(2, 1, 0.1, 0.5, 2.5, 0.3), shape: [2, 3] };
const targets = Int32Array.of(0, 2);

const { loss, gradLogits } = crossEntropy(logits, targets, { grad: true });
const { out: logProbs } = logSoftmax(logits);

console.log('mean loss', loss);
console.log('gradient ', gradLogits);
console.log('log-probs', logProbs);
