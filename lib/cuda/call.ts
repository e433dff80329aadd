import { isOnDevice, kindOf } from '../arguments.js';
import { readNumbers, type Operand } from '../operands.js';
import { planOf, type Plan, type Size } from '../plan.js';
import {
  bindSizes,
  pack,
  read,
  sizeOf,
  type DerivedSizes,
  type Request,
  type Side,
} from '../request.js';
import { cudaBinding, dtypes, type DType } from './binding.js';
import { arrayOfTensor, CudaTensor, isCudaTensor, type DeviceArray } from './tensor.js';

// A call on the device is a call on the host with handles in place of arrays. Numbers that it gives stay on the device too.

let plans: Map<string, Plan> | undefined;

function planNamed(name: string): Plan {
  plans ??= new Map(cudaBinding().records.map((record, id) => [record.name, planOf(record, id)]));
  const plan = plans.get(name);
  if (!plan) throw new Error(`${name}: the CUDA addon has no such op: build or install it again`);
  return plan;
}

/** A short list of numbers, which stays on the host. */
interface NumberList {
  readonly handle: Float64Array;
  readonly dtype: 'f64';
  readonly length: number;
}
type Argument = DeviceArray | NumberList;

// Outputs made for the call under way. No code of a caller runs between the first of them and the end of the call.
const made: DeviceArray[] = [];

function make(op: string, dtype: DType, length: number): DeviceArray {
  const handle = cudaBinding().allocate(op, dtypes.indexOf(dtype), length);
  const array = { handle, dtype, length };
  made.push(array);
  return array;
}

function arrayOf(op: string, name: string, value: unknown): DeviceArray {
  if (isCudaTensor(value)) return arrayOfTensor(value);
  const isHost =
    ArrayBuffer.isView(value) ||
    Array.isArray(value) ||
    (typeof value === 'object' && value !== null && 'data' in value);
  throw new TypeError(
    isHost
      ? `${op}: ${name} is on the host (${kindOf(value)}), but the op computes on the CUDA device: move it with tensor() of logitcore/cuda`
      : isOnDevice(value)
        ? `${op}: ${name} is a CudaTensor of another copy of logitcore, or a proxy of one`
        : `${op}: ${name} must be a CudaTensor, got ${kindOf(value)}`,
  );
}

// Logits and what is shaped like them, with classes c or a teacher's v as their last dimension, are stored alike in a call; all others
// are float32.
const hasClasses = (sizes: readonly Size[], leading = false): boolean => {
  const last = sizes[sizes.length - 1] as Size | undefined;
  return sizes.length >= (leading ? 1 : 2) && (last?.letter === 'c' || last?.letter === 'v');
};

const device: Side<Argument, DType> = {
  keepsNumbers: true,
  readInput(plan, input, value) {
    if (input.kind === 'numbers') {
      const { data, rank, shape } = readNumbers(plan, input, value);
      return { data: { handle: data, dtype: 'f64', length: data.length }, rank, shape };
    }
    const data = arrayOf(plan.name, input.label, value);
    const { shape } = data.owner!;
    return { data, rank: shape.length, shape };
  },
  readBuffer: (plan, output, value) => arrayOf(plan.name, `options.out.${output.name}`, value),
  typeOf(plan, operands) {
    const first = operands.findIndex(
      (operand, k) =>
        operand &&
        plan.inputs[k].kind === 'real' &&
        hasClasses(plan.inputs[k].sizes, plan.inputs[k].leading),
    );
    return first < 0 ? 'f32' : operands[first]!.data.dtype;
  },
  allocate(plan, output, length, type, isNumber) {
    const dtype = isNumber
      ? 'f64'
      : output.type === 'int32'
        ? 'i32'
        : hasClasses(output.sizes)
          ? type
          : 'f32';
    return make(plan.name, dtype, length);
  },
};

/** The dimensions that `*` stands for: those before the columns, or all of an array without columns. */
function freeShape(plan: Plan, operands: readonly (Operand<Argument> | undefined)[]): number[] {
  let free: number[] = [];
  for (const columns of [false, true])
    for (let i = operands.length - 1; i >= 0; i -= 1) {
      const operand = operands[i];
      const { leading, sizes } = plan.inputs[i];
      if (operand && leading && sizes.length > 0 === columns)
        free = operand.shape.slice(0, operand.rank - sizes.length);
    }
  return free;
}

function results(
  plan: Plan,
  request: Request<Argument>,
  derived: DerivedSizes | undefined,
): Record<string, CudaTensor> {
  const result: Record<string, CudaTensor> = {};
  let sizes: Record<string, number> | undefined;
  plan.outputs.forEach((output, i) => {
    // No output is a list of numbers.
    const array = request.arrays[plan.inputs.length + i] as DeviceArray | undefined;
    if (array === undefined) return;
    if (array.owner) {
      result[output.name] = array.owner;
      return;
    }
    sizes ??= bindSizes(plan, request.operands, request.values, derived);
    const shape =
      array.dtype === 'f64'
        ? []
        : output.sizes.flatMap((size) =>
            size.letter === '*'
              ? freeShape(plan, request.operands)
              : [sizeOf(plan, sizes!, request.values, size, array.length)],
          );
    result[output.name] = new CudaTensor(array, shape);
  });
  return result;
}

/** Calls an op with its positional arguments and, after them, its options. */
export function callOnDevice(
  name: string,
  args: readonly unknown[],
  derived?: DerivedSizes,
): Record<string, CudaTensor> {
  const plan = planNamed(name);
  const positional = plan.inputs.filter((input) => input.position >= 0).length;
  try {
    const tensors = args.slice(0, positional);
    const request = read(device, plan, tensors, args[positional], derived);
    pack(request, plan.frame);
    cudaBinding().call(plan.id, plan.frame, ...request.arrays.map((array) => array?.handle));
    return results(plan, request, derived);
  } catch (error) {
    for (const { handle } of made) cudaBinding().dispose(handle);
    throw error;
  } finally {
    made.length = 0;
  }
}
