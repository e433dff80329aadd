/**
 * logitcore losses as differentiable TensorFlow.js ops: `tf.grad`, `tf.variableGrads` and the optimisers of tfjs flow
 * through them. tfjs is not a dependency; the caller hands in its own module:
 *
 * ```ts
 * import * as tf from '@tensorflow/tfjs';
 * import { createTfjsOps } from 'logitcore/tfjs';
 *
 * const { crossEntropy } = createTfjsOps(tf);
 * optimizer.minimize(() => crossEntropy(model.predict(images), labels, { labelSmoothing: 0.1 }));
 * ```
 *
 * Everything here is made from the records of `ops()`, so a new native loss appears without a change.
 *
 * @module logitcore/tfjs
 */
import * as native from './index.js';
import type { InputRecord, OpRecord, OutputRecord, RealArray, Targets, Tensor } from './index.js';
import { completed, valueShape, type Shape } from './tfjs-shape.js';

/** The members of a tfjs tensor that the adapter reads. */
export interface TfjsTensor {
  readonly shape: number[];
  readonly dtype: string;
  readonly size: number;
  readonly dataId: object;
  /** The values on the side of JavaScript. */
  dataSync(): ArrayLike<number>;
}

/* eslint-disable @typescript-eslint/no-explicit-any -- the generic signatures of tfjs are matched by shape only */
/** The members of the tfjs module that the adapter calls; `@tensorflow/tfjs` has them. */
export interface TfjsModule<T extends TfjsTensor> {
  readonly Tensor: abstract new (...args: any[]) => T;
  /** A constant of these values. */
  tensor(values: any, shape: any, dtype: any): any;
  /** Elementwise sum. */
  add(a: any, b: any): any;
  /** Elementwise product. */
  mul(a: any, b: any): any;
  /** The same values in another shape. */
  reshape(x: any, shape: any): any;
  /** An op with a gradient of its own. */
  customGrad(f: (...inputs: any[]) => any): (...inputs: any[]) => any;
  /** Says whether a tape records the ops. */
  engine(): {
    /** True within `tf.grad` and the like. */
    isTapeOn(): boolean;
  };
  /** The object of the backend in use. */
  backend(): object;
  /** Its name. */
  getBackend(): string;
}

type AnyOp = (...args: any[]) => unknown;
/* eslint-enable @typescript-eslint/no-explicit-any */

type Native = typeof native;
type ParametersOf<K extends keyof Native> = Native[K] extends AnyOp ? Parameters<Native[K]> : [];
/** The keys of each member of a union, not only those that all share. */
type KeysOfEach<U> = U extends object ? keyof U : never;

/** Ops with an option that asks for a gradient, and ops that have a `...Backward` twin. */
type DifferentiableName = {
  [K in keyof Native]: K extends `${string}Backward`
    ? never
    : `${K}Backward` extends keyof Native
      ? K
      : 'grad' extends KeysOfEach<ParametersOf<K>[number]>
        ? K
        : never;
}[keyof Native];

/** Gradients come from the tape, so neither the options that ask for them nor `out` are taken. */
type AdaptedOptions<O> = {
  [K in keyof O as K extends 'out' | 'signal' | `grad${string}` ? never : K]: O[K];
};
type AdaptedArguments<P extends unknown[], T> = {
  [I in keyof P]: Exclude<P[I], undefined> extends Tensor | RealArray | Targets
    ? P[I] | T
    : AdaptedOptions<P[I]>;
};

/** The differentiable native ops under their own names, over tensors of type `T`. */
export type TfjsOps<T> = {
  [K in DifferentiableName]: Native[K] extends AnyOp
    ? (...args: AdaptedArguments<Parameters<Native[K]>, T>) => T
    : never;
};

type Options = Record<string, unknown>;

/** One call: tf tensors by input index, and what else the native function takes. */
interface Operands<T> {
  readonly values: readonly unknown[];
  readonly options: Options;
  /** Indices of the inputs that came as tf tensors. */
  readonly tensorAt: readonly number[];
  readonly tensors: readonly T[];
}

/** What the wasm backend of tfjs has. */
interface HeapBackend<T> {
  readonly dataIdMap?: { has(dataId: object): boolean };
  typedArrayFromHeap?(tensor: T): ArrayLike<number>;
}

/** Below this a copy out of the backend costs less than making a view. */
const smallestView = 1 << 14;

/**
 * Gradient buffers between a forward and its backward pass. New pages cost far more than the loss itself, so buffers
 * are used again, but only on backends that copy what they are given: others keep the very array.
 */
class GradientBuffers {
  private spare: Float32Array[] = [];

  take(size: number): Float32Array {
    const at = this.spare.findIndex((buffer) => buffer.length === size);
    return at < 0 ? new Float32Array(size) : this.spare.splice(at, 1)[0];
  }

  give(buffer: Float32Array): void {
    this.spare.push(buffer);
    if (this.spare.length > 4) this.spare.shift();
  }
}

class Adapter<T extends TfjsTensor> {
  private readonly buffers = new GradientBuffers();
  private readonly copies = new Map<string, boolean>();

  constructor(private readonly tf: TfjsModule<T>) {}

  isTensor(value: unknown): value is T {
    return value instanceof this.tf.Tensor;
  }

  tensor(values: Float32Array, shape: Shape): T {
    return this.tf.tensor(values, [...shape], 'float32') as T;
  }

  /** Makes a tensor of a buffer from `buffers`, and takes the buffer back where that is safe. */
  tensorOfBuffer(values: Float32Array, shape: Shape): T {
    const tensor = this.tensor(values, shape);
    if (this.backendCopies()) this.buffers.give(values);
    return tensor;
  }

  takeBuffer(size: number): Float32Array {
    return this.backendCopies() ? this.buffers.take(size) : new Float32Array(size);
  }

  /** Whether a tensor is a copy of the array it is made from, found out by changing one. */
  private backendCopies(): boolean {
    const name = this.tf.getBackend();
    let copies = this.copies.get(name);
    if (copies === undefined) {
      const probe = Float32Array.of(1);
      const tensor = this.tensor(probe, [1]) as T & { dispose(): void };
      probe[0] = 2;
      copies = tensor.dataSync()[0] === 1;
      tensor.dispose();
      this.copies.set(name, copies);
    }
    return copies;
  }

  split(record: OpRecord, args: readonly unknown[]): Operands<T> {
    const inputs = record.inputs.filter((input) => !input.fromOptions);
    const values = args.slice(0, inputs.length);
    const options = (args[inputs.length] ?? {}) as Options;
    for (const [name, value] of Object.entries(options)) {
      if (this.isTensor(value))
        throw new TypeError(
          `${record.name}: options.${name} is a constant, pass a typed array (${name}.dataSync())`,
        );
    }
    const tensorAt: number[] = [];
    const tensors: T[] = [];
    values.forEach((value, i) => {
      if (!this.isTensor(value)) return;
      const expected = inputs[i].kind === 'real' ? 'float32' : 'int32';
      if (value.dtype !== expected)
        throw new TypeError(
          `${record.name}: ${inputs[i].name} is a tensor of ${value.dtype}, expected ${expected} (tf.cast)`,
        );
      tensorAt.push(i);
      tensors.push(value);
    });
    return { values, options, tensorAt, tensors };
  }

  /** The positional arguments of the native function, with `tensors` in place of those of `operands`. */
  arguments(record: OpRecord, operands: Operands<T>, tensors = operands.tensors): unknown[] {
    return this.place(operands, this.readAll(record, tensors));
  }

  private place(operands: Operands<T>, read: readonly unknown[]): unknown[] {
    const args = [...operands.values];
    operands.tensorAt.forEach((at, i) => {
      args[at] = read[i];
    });
    return args;
  }

  private readAll(record: OpRecord, tensors: readonly T[]): { data: unknown; shape: Shape }[] {
    return tensors.map((tensor) => ({ data: this.read(record, tensor), shape: tensor.shape }));
  }

  private read(record: OpRecord, tensor: T): ArrayLike<number> {
    // The wasm backend can show a tensor in its heap instead of copying it. The view is good only until the heap
    // grows, that is, for one native call. A tensor of another backend would first be moved into the heap, which may
    // make it grow and spoil other views, so such tensors are read where they are.
    const backend = this.tf.backend() as HeapBackend<T>;
    if (
      tensor.size >= smallestView &&
      backend.typedArrayFromHeap &&
      backend.dataIdMap?.has(tensor.dataId)
    )
      return backend.typedArrayFromHeap(tensor);
    let data: ArrayLike<number> | undefined;
    let cause: unknown;
    try {
      data = tensor.dataSync();
    } catch (error) {
      cause = error;
    }
    if (data?.length === tensor.size) return data;
    throw new Error(
      `${record.name}: the tfjs backend '${this.tf.getBackend()}' cannot be read synchronously; ` +
        "use the 'cpu' or 'wasm' backend, or call logitcore on the array of await tensor.data()",
      { cause },
    );
  }

  /**
   * A gradient as a tensor times the upstream gradient `dy`: a scalar, or one value a row or element. The result
   * depends on `input` on the tape, but not in a way that could be differentiated again: that fails loudly.
   */
  scaled(record: OpRecord, gradient: Float32Array, input: T, dy: T): T {
    const value = (): T => {
      const tensor = this.tensorOfBuffer(gradient, input.shape);
      if (dy.shape.length === 0 && dy.dataSync()[0] === 1) return tensor;
      const { shape } = dy;
      if (shape.some((size, k) => size !== input.shape[k]))
        throw new Error(
          `${record.name}: without a reduction the gradient of an input of shape [${input.shape.join()}] is not defined`,
        );
      const ones = new Array<number>(input.shape.length - shape.length).fill(1);
      return this.tf.mul(tensor, this.tf.reshape(dy, [...shape, ...ones])) as T;
    };
    return this.constantInTape(record, value, input, dy);
  }

  constantInTape(record: OpRecord, value: () => T, ...inputs: T[]): T {
    if (!this.tf.engine().isTapeOn()) return value();
    return this.tf.customGrad(() => ({
      value: value(),
      gradFunc: () => {
        throw new Error(`${record.name}: second derivatives are not available`);
      },
    }))(...inputs) as T;
  }

  /** A loss whose record has gradient outputs. */
  adaptLoss(record: OpRecord, op: AnyOp): (...args: unknown[]) => T {
    const gradients = record.outputs.filter((output) => output.gradOf !== undefined);
    const inputIndex = (output: OutputRecord) =>
      record.inputs.findIndex((input) => input.name === output.gradOf);
    return (...args) => {
      const operands = this.split(record, args);
      const run = (tensors: readonly T[], wanted: Options) =>
        op(...this.arguments(record, operands, tensors), {
          ...operands.options,
          ...wanted,
        }) as Options;
      const shapeOf = () => valueShape(record, operands.values);
      const nodes = gradients.filter((output) => operands.tensorAt.includes(inputIndex(output)));
      if (nodes.length === 0) return this.value(record, run(operands.tensors, {}), shapeOf());

      // One node of the tape an input: tfjs asks each for its gradient only if that input needs it, so a constant
      // teacher costs nothing. The first node carries the loss, the others add zero to it.
      let sum: T | undefined;
      for (const output of nodes) {
        const at = operands.tensorAt.indexOf(inputIndex(output));
        const ask = (tensors: readonly T[]) => {
          const buffer = this.takeBuffer(tensors[at].size);
          return run(tensors, { [output.when ?? 'grad']: true, out: { [output.name]: buffer } });
        };
        // Under a tape the gradient will most likely be wanted, and one fused call reads the logits once where the value
        // now and the gradient later would read them twice. Without a tape (prediction,
        // validation) the value is enough. Should the tape be misjudged, the gradient is computed when it is asked for.
        const fused = sum === undefined && this.tf.engine().isTapeOn();
        const node = this.tf.customGrad((...inputs: unknown[]) => {
          const save = inputs[inputs.length - 1] as (tensors: readonly T[]) => void;
          save(operands.tensors);
          const result = fused ? ask(operands.tensors) : sum ? {} : run(operands.tensors, {});
          let gradient = result[output.name] as Float32Array | undefined;
          return {
            value: sum
              ? this.tensor(new Float32Array(sum.size), sum.shape)
              : this.value(record, result, shapeOf()),
            gradFunc: (dy: T, saved: T[]) => {
              const computed = gradient ?? (ask(saved)[output.name] as Float32Array);
              gradient = undefined; // the buffer is given away below
              return this.scaled(record, computed, saved[at], dy);
            },
          };
        })(operands.tensors[at]) as T;
        sum = sum ? (this.tf.add(sum, node) as T) : node;
      }
      return sum!;
    };
  }

  /** An op whose gradient is another op, its vector-Jacobian product. */
  adaptForward(
    record: OpRecord,
    op: AnyOp,
    twin: OpRecord,
    backward: AnyOp,
  ): (...args: unknown[]) => T {
    const sourceOf = (output: OutputRecord) =>
      record.inputs.findIndex(
        (input) => input.name === output.gradOf || gradientName(input) === output.name,
      );
    return (...args) => {
      const operands = this.split(record, args);
      const forward = (tensors: readonly T[]) =>
        op(...this.arguments(record, operands, tensors), operands.options) as Options;
      const shape = valueShape(record, operands.values);
      const outputs = twin.outputs.filter((output) => operands.tensorAt.includes(sourceOf(output)));
      if (outputs.length === 0) return this.value(record, forward(operands.tensors), shape);
      const at = outputs.map((output) => operands.tensorAt.indexOf(sourceOf(output)));
      const options = Object.fromEntries(
        Object.entries(operands.options).filter(([name]) => hasOption(twin, name)),
      );
      const evaluate = (...inputs: unknown[]) => {
        const save = inputs[inputs.length - 1] as (tensors: readonly T[]) => void;
        const value = this.value(record, forward(operands.tensors), shape);
        save([...operands.tensors, value]);
        const gradFunc = (dy: T, saved: T[]) => {
          const read = this.readAll(record, [...saved, dy]);
          const given = this.place(operands, read);
          const twinArguments = twin.inputs
            .filter((input) => !input.fromOptions)
            .map((input) => {
              const source = record.inputs.findIndex((other) => other.name === input.name);
              if (source >= 0) return given[source];
              return read[input.domain === 'gradient' ? saved.length : saved.length - 1];
            });
          const computed = backward(...twinArguments, options) as Record<string, Float32Array>;
          const tensors = outputs.map((output, i) =>
            this.constantInTape(
              record,
              () => this.tensor(computed[output.name], saved[at[i]].shape),
              saved[at[i]],
              dy,
            ),
          );
          return tensors.length === 1 ? tensors[0] : tensors;
        };
        return { value, gradFunc };
      };
      return this.tf.customGrad(evaluate)(...at.map((i) => operands.tensors[i])) as T;
    };
  }

  private value(record: OpRecord, result: Options, shape: Shape): T {
    const value = result[record.outputs[0].name];
    return typeof value === 'number'
      ? this.tensor(Float32Array.of(value), [])
      : this.tensor(value as Float32Array, completed(shape, (value as Float32Array).length));
  }
}

/** `logits` -> `gradLogits`. */
function gradientName(input: InputRecord): string {
  return `grad${input.name[0].toUpperCase()}${input.name.slice(1)}`;
}

function hasOption(record: OpRecord, name: string): boolean {
  return (
    record.options.some((option) => option.name === name) ||
    record.inputs.some((input) => input.fromOptions && input.name === name)
  );
}

/**
 * The differentiable ops of logitcore over the tensors of the given tfjs module.
 *
 * Each takes what its native twin takes, with tf tensors for arrays (int32 for class indices), and returns the value
 * as a tensor: a scalar for reduction 'mean' and 'sum', one value a row or element for 'none'. Arrays that are not tf
 * tensors, and options, are constants. Gradients of gradients are refused.
 */
export function createTfjsOps<T extends TfjsTensor>(tf: TfjsModule<T>): TfjsOps<T> {
  const adapter = new Adapter(tf);
  const functions = native as unknown as Record<string, AnyOp | undefined>;
  const adapted: Record<string, (...args: unknown[]) => T> = {};
  const records = native.ops();
  for (const record of records) {
    const op = functions[record.name];
    if (!op || record.backwardOf !== undefined) continue;
    if (record.outputs.some((output) => output.gradOf !== undefined)) {
      adapted[record.name] = adapter.adaptLoss(record, op);
      continue;
    }
    const twin = records.find((other) => other.backwardOf === record.name);
    const backward = twin && functions[twin.name];
    if (backward) adapted[record.name] = adapter.adaptForward(record, op, twin, backward);
  }
  return adapted as TfjsOps<T>;
}
