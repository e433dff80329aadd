/** ONNX Runtime: one node where it has the op, else the shortest stable graph found for it. */
import { createRequire } from 'node:module';
import type * as Ort from 'onnxruntime-node';
import { encodeModel, type Constant, type Graph, type Node, type Value } from '../onnx-model.js';
import { topKSize, type HeadlineName } from '../shapes.js';
import type { HeadlineInputs } from '../inputs.js';
import type { Contestant, Results } from '../measure.js';

const load = () => createRequire(import.meta.url)('onnxruntime-node') as typeof Ort;

const node = (
  op: string,
  inputs: string,
  outputs: string,
  attributes?: Node['attributes'],
): Node => ({
  op,
  inputs: inputs.split(' '),
  outputs: outputs.split(' '),
  ...(attributes ? { attributes } : {}),
});
const scalar = (name: string, value: number): Constant => ({
  name,
  type: 'float',
  shape: [],
  values: [value],
});
const indices = (name: string, values: number[]): Constant => ({
  name,
  type: 'int64',
  shape: [values.length],
  values,
});

function graphOf(op: HeadlineName, { rows, columns }: HeadlineInputs): Graph | undefined {
  const full = (name: string): Value => ({ name, type: 'float', shape: [rows, columns] });
  const loss: Value = { name: 'loss', type: 'float', shape: [] };
  const targets: Value = { name: 'targets', type: 'int64', shape: [rows, 1] };
  const last = { axis: -1 };
  switch (op) {
    case 'logSoftmax':
    case 'softmax':
      return {
        nodes: [node(op === 'softmax' ? 'Softmax' : 'LogSoftmax', 'logits', 'out', last)],
        inputs: [full('logits')],
        outputs: [full('out')],
      };
    case 'crossEntropy':
      return {
        nodes: [node('SoftmaxCrossEntropyLoss', 'logits classes', 'loss', { reduction: 'mean' })],
        inputs: [full('logits'), { name: 'classes', type: 'int64', shape: [rows] }],
        outputs: [loss],
      };
    case 'crossEntropy+grad':
      // Subtracting 1 at the targets before scaling was the fastest of five graphs tried; ScatterElements with
      // addition, a one-hot matrix and a second Softmax were slower.
      return {
        nodes: [
          node('LogSoftmax', 'logits', 'logProbs', last),
          node('GatherElements', 'logProbs targets', 'own', { axis: 1 }),
          node('ReduceMean', 'own', 'mean', { keepdims: 0 }),
          node('Neg', 'mean', 'loss'),
          node('Exp', 'logProbs', 'probs'),
          node('GatherElements', 'probs targets', 'ownProb', { axis: 1 }),
          node('Sub', 'ownProb one', 'update'),
          node('ScatterElements', 'probs targets update', 'rowGrad', { axis: 1 }),
          node('Mul', 'rowGrad share', 'grad'),
        ],
        inputs: [full('logits'), targets],
        outputs: [loss, full('grad')],
        constants: [scalar('one', 1), scalar('share', 1 / rows)],
      };
    case 'klDiv+grad':
      return {
        nodes: [
          node('LogSoftmax', 'logits', 'logQ', last),
          node('LogSoftmax', 'teacher', 'logP', last),
          node('Exp', 'logP', 'p'),
          node('Exp', 'logQ', 'q'),
          node('Sub', 'logP logQ', 'ratio'),
          node('Mul', 'p ratio', 'terms'),
          node('ReduceSum', 'terms', 'sum', { keepdims: 0 }),
          node('Mul', 'sum share', 'loss'),
          node('Sub', 'q p', 'rowGrad'),
          node('Mul', 'rowGrad share', 'grad'),
        ],
        inputs: [full('logits'), full('teacher')],
        outputs: [loss, full('grad')],
        constants: [scalar('share', 1 / rows)],
      };
    case 'standardizedKlDiv+grad': {
      // Rows over (sd + eps) T, then the Kullback-Leibler divergence and its gradient back through the deviation.
      const standardize = (x: string, as: string) => [
        node('ReduceMean', `${x} axes`, `${as}Mean`),
        node('Sub', `${x} ${as}Mean`, `${as}Centred`),
        node('ReduceSumSquare', `${as}Centred axes`, `${as}Squares`),
        node('Mul', `${as}Squares freedom`, `${as}Variance`),
        node('Sqrt', `${as}Variance`, `${as}Deviation`),
        node('Add', `${as}Deviation eps`, `${as}Scale`),
        node('Mul', `${as}Scale temperature`, `${as}Divisor`),
        node('Div', `${as}Centred ${as}Divisor`, `${as}Z`),
        node('LogSoftmax', `${as}Z`, `${as}LogProbs`, last),
        node('Exp', `${as}LogProbs`, `${as}Probs`),
      ];
      return {
        nodes: [
          ...standardize('logits', 's'),
          ...standardize('teacher', 't'),
          node('Sub', 'tLogProbs sLogProbs', 'ratio'),
          node('Mul', 'tProbs ratio', 'terms'),
          node('ReduceSum', 'terms', 'sum', { keepdims: 0 }),
          node('Mul', 'sum share', 'loss'),
          node('Sub', 'sProbs tProbs', 'slope'),
          node('Mul', 'slope sCentred', 'products'),
          node('ReduceSum', 'products axes', 'along'),
          node('Mul', 'sDeviation sScale', 'square'),
          node('Div', 'along square', 'tiltSum'),
          node('Mul', 'tiltSum freedom', 'tilt'),
          node('Mul', 'sCentred tilt', 'back'),
          node('Sub', 'slope back', 'direction'),
          node('Div', 'share sDivisor', 'factor'),
          node('Mul', 'direction factor', 'grad'),
        ],
        inputs: [full('logits'), full('teacher')],
        outputs: [loss, full('grad')],
        constants: [
          scalar('share', 4 / rows),
          scalar('freedom', 1 / (columns - 1)),
          scalar('eps', 1e-7),
          scalar('temperature', 2),
          indices('axes', [1]),
        ],
      };
    }
    case 'topK': {
      const k = topKSize(columns);
      return {
        nodes: [node('TopK', 'logits k', 'values indices', { axis: -1, largest: 1, sorted: 1 })],
        inputs: [full('logits')],
        outputs: [
          { name: 'values', type: 'float', shape: [rows, k] },
          { name: 'indices', type: 'int64', shape: [rows, k] },
        ],
        constants: [indices('k', [k])],
      };
    }
    case 'entropy':
      return {
        nodes: [
          node('LogSoftmax', 'logits', 'logProbs', last),
          node('Exp', 'logProbs', 'probs'),
          node('Mul', 'probs logProbs', 'terms'),
          node('ReduceSum', 'terms axes', 'sum', { keepdims: 0 }),
          node('Neg', 'sum', 'entropy'),
        ],
        inputs: [full('logits')],
        outputs: [{ name: 'entropy', type: 'float', shape: [rows] }],
        constants: [indices('axes', [1])],
      };
    case 'zLoss+grad':
      return undefined;
  }
}

/** `op` reuses output tensors and wraps the inputs once; `whole` makes both anew for every call. */
export async function onnxContestants(
  op: HeadlineName,
  inputs: HeadlineInputs,
  threads: readonly number[],
): Promise<Contestant[]> {
  const graph = graphOf(op, inputs);
  if (!graph) return [];
  const ort = load();
  const model = encodeModel(graph);
  const classes = BigInt64Array.from(inputs.targets, BigInt);
  const feed = () =>
    Object.fromEntries(
      graph.inputs.map(({ name, type, shape }) => [
        name,
        type === 'int64'
          ? new ort.Tensor('int64', classes, shape)
          : new ort.Tensor('float32', name === 'teacher' ? inputs.teacher : inputs.logits, shape),
      ]),
    );
  const fetch = () =>
    Object.fromEntries(
      graph.outputs.map(({ name, type, shape }) => {
        const size = shape.reduce((product, length) => product * length, 1);
        return [
          name,
          type === 'int64'
            ? new ort.Tensor('int64', new BigInt64Array(size), shape)
            : new ort.Tensor('float32', new Float32Array(size), shape),
        ];
      }),
    );
  const contestants: Contestant[] = [];
  for (const count of threads) {
    const session = await ort.InferenceSession.create(model, {
      intraOpNumThreads: count,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      // Its threads would go on spinning after a run and take a core from whoever is timed next.
      extra: { session: { force_spinning_stop: '1' } },
    });
    const feeds = feed();
    const fetches = fetch();
    let last: Awaited<ReturnType<typeof session.run>> = {};
    const results = (): Results =>
      Object.fromEntries(
        Object.entries(last).map(([name, tensor]) => [
          name,
          tensor.type === 'int64'
            ? Float64Array.from(tensor.data as BigInt64Array, Number)
            : (tensor.data as Float32Array),
        ]),
      );
    contestants.push(
      {
        name: 'onnxruntime',
        threads: count,
        trip: 'op',
        async: true,
        run: async () => {
          last = await session.run(feeds, fetches);
        },
        results,
      },
      {
        name: 'onnxruntime',
        threads: count,
        trip: 'whole',
        async: true,
        run: async () => {
          last = await session.run(feed());
        },
        results,
        dispose: () => session.release(),
      },
    );
  }
  return contestants;
}
