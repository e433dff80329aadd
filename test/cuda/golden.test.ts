// The cases of test/golden whose op has a kernel, with float32 tensors.
import { synchronize, type CudaTensor, type DType } from 'logitcore/cuda';
import { afterEach, describe, expect, test } from 'vitest';
import { deviceNames, deviceOp, deviceRecords, readAll, Tensors } from '../support/cuda-ops.js';
import type { InputRecord } from '../../lib/record.js';
import { describeCuda } from '../support/cuda.js';
import { argumentsFor, difference } from '../support/golden-check.js';
import { goldenCases, title, type GoldenCase } from '../support/golden.js';
import type { Numbers } from '../support/samples.js';

const plain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** The same argument with tensors in place of arrays. Lists of numbers stay on the host. */
function moved(value: unknown, kind: InputRecord['kind'] | undefined, tensors: Tensors): unknown {
  if (kind === undefined || kind === 'numbers') return value;
  if (kind === 'mask' && Array.isArray(value))
    return tensor(Int32Array.from(value as number[]), undefined, tensors);
  if (ArrayBuffer.isView(value)) return tensor(value as Numbers | Uint8Array, undefined, tensors);
  if (!plain(value) || !ArrayBuffer.isView(value.data)) return value;
  return tensor(value.data as Numbers | Uint8Array, value.shape as number[], tensors);
}

function movedOptions(
  options: Readonly<Record<string, unknown>>,
  inputs: readonly InputRecord[],
  tensors: Tensors,
): Record<string, unknown> {
  const kindOf = (name: string) => inputs.find((input) => input.name === name)?.kind;
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, moved(value, kindOf(name), tensors)]),
  );
}

function tensor(
  data: Numbers | Uint8Array,
  shape: readonly number[] | undefined,
  tensors: Tensors,
): CudaTensor {
  const values = data instanceof Uint8Array ? Int32Array.from(data) : data;
  const dtype: DType = values instanceof Int32Array ? 'i32' : 'f32';
  return tensors.make(values, shape ?? [values.length], dtype);
}

/** What is true or false on the host is 1 or 0 in a tensor. */
const inTensors = (golden: GoldenCase): GoldenCase => ({
  ...golden,
  outputs: Object.fromEntries(
    Object.entries(golden.outputs ?? {}).map(([name, value]) => [
      name,
      typeof value === 'boolean' ? Number(value) : value,
    ]),
  ),
});

async function run(golden: GoldenCase): Promise<Record<string, unknown>> {
  using tensors = new Tensors();
  const { inputs } = deviceRecords.find(({ name }) => name === golden.op)!;
  const positional = inputs.filter(({ fromOptions }) => !fromOptions);
  const args = argumentsFor(golden, false).map((argument, i) =>
    plain(argument) && !ArrayBuffer.isView(argument.data)
      ? movedOptions(argument, inputs, tensors)
      : moved(argument, positional[i]?.kind, tensors),
  );
  const result = deviceOp(golden.op)(...args);
  for (const one of Object.values(result)) if (one) tensors.hold(one);
  return await readAll(result);
}

describeCuda('golden', () => {
  for (const { file, cases } of goldenCases()) {
    const ours = cases.filter(({ op }) => deviceNames.includes(op));
    if (ours.length === 0) continue;
    describe(file, () => {
      for (const golden of ours)
        test(title(file, golden), async () => {
          if (!golden.error) {
            expect(difference(await run(golden), inTensors(golden), false)).toBeUndefined();
            return;
          }
          // Wrong indices are found on the device: reading says so.
          const error: unknown = await run(golden).then(
            () => undefined,
            (refusal: unknown) => refusal,
          );
          expect(
            error instanceof TypeError || error instanceof RangeError,
            `threw ${String(error)}`,
          ).toBe(true);
          expect(String(error)).toContain(golden.op);
        });
    });
  }
  // What a case left to be said would be said in the next.
  afterEach(() => synchronize().catch(() => undefined));
});
