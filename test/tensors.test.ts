/** Tensors of ONNX Runtime and transformers.js go straight into the ops, as their `{ data, dims }` are. */
import { Tensor as TransformersTensor } from '@huggingface/transformers';
import { crossEntropy, gatherLogProbs, logSoftmax, logSumExp, softmax } from 'logitcore';
import { InferenceSession, Tensor as OnnxTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { encodeModel } from '../bench/onnx-model.js';
import { normals, randomGenerator } from '../bench/inputs.js';
import * as reference from './reference.js';

const rows = 7;
const columns = 33;
const data = normals(rows * columns, randomGenerator(5), 3);
const targets = Int32Array.from({ length: rows }, (_, row) => (row * 11) % columns);

interface Float32Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

const makers: Record<string, (values: Float32Array, dims: number[]) => Float32Tensor> = {
  // Both classes type `data` by every element type they can hold.
  'onnxruntime-node': (values, dims) => new OnnxTensor('float32', values, dims),
  '@huggingface/transformers': (values, dims) => new TransformersTensor('float32', values, dims),
};

describe.each(Object.entries(makers))('a tensor of %s', (_, make) => {
  const tensor = make(data, [rows, columns]);
  const plain = { data, shape: [rows, columns] };

  it('is no copy of our making', () => {
    expect(tensor.dims).toEqual([rows, columns]);
    expect(Array.from(tensor.data)).toEqual(Array.from(data));
  });

  it('gives the results of plain arrays', () => {
    expect(softmax(tensor).out).toEqual(softmax(plain).out);
    expect(logSoftmax(tensor, { temperature: 2 })).toEqual(logSoftmax(plain, { temperature: 2 }));
    expect(logSumExp(tensor)).toEqual(logSumExp(plain));
    expect(gatherLogProbs(tensor, targets)).toEqual(gatherLogProbs(plain, targets));
    expect(crossEntropy(tensor, targets, { grad: true, labelSmoothing: 0.1 })).toEqual(
      crossEntropy(plain, targets, { grad: true, labelSmoothing: 0.1 }),
    );
  });

  it('gives the right results', () => {
    const expected = reference.crossEntropy(data, columns, targets);
    const { loss, gradLogits } = crossEntropy(tensor, targets, { reduction: 'none', grad: true });
    loss.forEach((value, row) => {
      expect(value).toBeCloseTo(expected.loss[row], 5);
    });
    gradLogits.forEach((value, i) => {
      expect(value).toBeCloseTo(expected.grad[i], 6);
    });
  });

  it('takes leading dimensions, results into a tensor, and targets as a tensor', () => {
    const deep = make(data, [1, rows, columns]);
    expect(softmax(deep).out).toEqual(softmax(plain).out);
    const result = make(new Float32Array(rows * columns), [rows, columns]);
    softmax(tensor, { out: { out: result.data } });
    expect(result.data).toEqual(softmax(plain).out);
    const labels = { data: targets, dims: [rows] };
    expect(crossEntropy(tensor, labels)).toEqual(crossEntropy(plain, targets));
  });

  it('is refused when its size is wrong or its numbers are not float', () => {
    expect(() => crossEntropy(tensor, targets.subarray(1))).toThrow(/crossEntropy: targets/);
    const integers = new OnnxTensor('int32', new Int32Array(6), [2, 3]);
    expect(() => softmax(integers as unknown as Float32Tensor)).toThrow(/softmax: logits/);
  });
});

it('takes what an ONNX Runtime session returns', async () => {
  const shape = [rows, columns];
  const model = encodeModel({
    nodes: [{ op: 'Mul', inputs: ['x', 'two'], outputs: ['y'] }],
    inputs: [{ name: 'x', type: 'float', shape }],
    outputs: [{ name: 'y', type: 'float', shape }],
    constants: [{ name: 'two', type: 'float', shape: [], values: [2] }],
  });
  const session = await InferenceSession.create(model);
  const { y } = await session.run({ x: new OnnxTensor('float32', data, shape) });
  const doubled = data.map((value) => 2 * value);
  expect(logSoftmax(y as unknown as Float32Tensor).out).toEqual(
    logSoftmax({ data: doubled, shape }).out,
  );
  await session.release();
});
