// The cases of test/golden whose op has a kernel, with float32 tensors.
import { synchronize, type CudaTensor, type DType } from 'logitcore/cuda';
import { afterEach, describe, expect, test } from 'vitest';
import { deviceNames, deviceOp, readAll, Tensors } from '../support/cuda-ops.js';
import { describeCuda } from '../support/cuda.js';
import { argumentsFor, difference } from '../support/golden-check.js';
import { goldenCases, title, type GoldenCase } from '../support/golden.js';
import type { Numbers } from '../support/samples.js';

const plain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** The same argument with tensors in place of arrays. */
function moved(value: unknown, tensors: Tensors): unknown {
  if (ArrayBuffer.isView(value)) return tensor(value as Numbers | Uint8Array, undefined, tensors);
  if (!plain(value)) return value;
  if (ArrayBuffer.isView(value.data))
    return tensor(value.data as Numbers | Uint8Array, value.shape as number[], tensors);
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, moved(entry, tensors)]),
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
  const args = argumentsFor(golden, false).map((argument) => moved(argument, tensors));
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
