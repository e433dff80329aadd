import * as api from 'logitcore';
import { describe, expect, test } from 'vitest';
import { sameResult } from './support/compare.js';
import { argumentsFor, classes, difference, functionOf, native } from './support/golden-check.js';
import { goldenCases, isArray, title, type GoldenCase } from './support/golden.js';
import { op, promiseOp } from './support/invoke.js';

const exported = (name: string): boolean =>
  typeof (api as Record<string, unknown>)[name] === 'function';

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

function check(golden: GoldenCase, double: boolean): void {
  if (golden.error) {
    const error = thrown(() => op(golden.op)(...argumentsFor(golden, double)));
    expect(
      error instanceof TypeError || error instanceof RangeError,
      `threw ${String(error)}`,
    ).toBe(true);
    expect(String(error)).toContain(golden.op);
    return;
  }
  const result = functionOf(golden.op)(...argumentsFor(golden, double));
  expect(difference(result, golden, double)).toBeUndefined();
}

async function checkPromise(golden: GoldenCase): Promise<void> {
  if (golden.error) {
    const refusal = await promiseOp(golden.op)(...argumentsFor(golden, false)).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal instanceof TypeError || refusal instanceof RangeError, String(refusal)).toBe(
      true,
    );
    return;
  }
  const direct = op(golden.op)(...argumentsFor(golden, false));
  const later = await promiseOp(golden.op)(...argumentsFor(golden, false));
  expect(sameResult(later, direct)).toBeUndefined();
}

for (const { file, cases } of goldenCases()) {
  describe(file, () => {
    for (const name of new Set(cases.map(({ op }) => op)))
      if (!(name in classes) && !exported(name))
        test(`logitcore exports ${name}`, () => {
          expect.fail(`${file} has cases of ${name}, which lib/index.ts does not export`);
        });
    for (const golden of cases) {
      if (!(golden.op in classes) && !exported(golden.op)) continue;
      const name = title(file, golden);
      test(name, () => {
        check(golden, false);
      });
      // An array that is made of options alone has one type.
      const arrays = [...golden.inputs, ...Object.values(golden.outputs ?? {}).filter(isArray)];
      if (arrays.length === 0 || golden.inputs.length > 0)
        test(`${name}, float64`, () => {
          check(golden, true);
        });
      if (native.has(golden.op))
        test(`${name}, in the background`, async () => {
          await checkPromise(golden);
        });
    }
  });
}
