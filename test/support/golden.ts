/** Reads test/golden: cases with inputs and expected outputs computed from the formulas in high precision. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Numbers } from './samples.js';

type Cell = number | string;
type Nested = Cell | Nested[];

export interface GoldenArray {
  readonly dtype?: 'f32' | 'f64' | 'i32' | 'u8';
  readonly shape: readonly number[];
  readonly data: readonly Cell[];
}

export interface GoldenCase {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly (GoldenArray & { readonly name: string })[];
  readonly options: Readonly<Record<string, unknown>>;
  /** Cases of bad input have none. */
  readonly outputs?: Readonly<Record<string, Cell | boolean | GoldenArray | null>>;
  readonly tol: { readonly rtol: number; readonly atol: number };
  readonly error?: boolean;
}

const folder = fileURLToPath(new URL('../golden/', import.meta.url));

/** All cases by file, in the order of the files. */
export function goldenCases(from = folder): { file: string; cases: GoldenCase[] }[] {
  return readdirSync(from)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => {
      const { cases } = JSON.parse(readFileSync(from + file, 'utf8')) as { cases: GoldenCase[] };
      return { file, cases };
    });
}

const special: Readonly<Record<string, number>> = {
  Infinity: Infinity,
  '-Infinity': -Infinity,
  NaN: NaN,
};

/** JSON has no NaN and no infinities: they are strings there. */
export function number(cell: unknown): number {
  if (typeof cell === 'number') return cell;
  if (typeof cell === 'boolean') return cell ? 1 : 0;
  const value = typeof cell === 'string' ? special[cell] : undefined;
  if (value === undefined) throw new Error(`no number in a golden case: ${JSON.stringify(cell)}`);
  return value;
}

export const isArray = (value: unknown): value is GoldenArray =>
  typeof value === 'object' && value !== null && 'data' in value && 'shape' in value;

/** The inputs are float32 numbers written as decimals: both types get the float32 value. Those marked f64 are doubles in both. */
export function typed(array: GoldenArray, double: boolean): Numbers | Uint8Array {
  const values = array.data.map(number);
  if (array.dtype === 'i32') return Int32Array.from(values);
  if (array.dtype === 'u8') return Uint8Array.from(values);
  if (array.dtype === 'f64') return Float64Array.from(values);
  return double ? Float64Array.from(values, Math.fround) : Float32Array.from(values);
}

const operand = (array: GoldenArray, double: boolean): unknown =>
  array.shape.length === 1
    ? typed(array, double)
    : { data: typed(array, double), shape: array.shape };

function option(value: unknown, double: boolean): unknown {
  if (isArray(value)) return operand(value, double);
  if (Array.isArray(value)) return (value as Nested[]).map((entry) => option(entry, double));
  return typeof value === 'string' && value in special ? special[value] : value;
}

/** The arguments of the public function: inputs in the case's order, then the options. */
export function goldenArguments(test: GoldenCase, double: boolean): unknown[] {
  const options = Object.entries(test.options).map(
    ([name, value]) => [name, option(value, double)] as const,
  );
  return [...test.inputs.map((input) => operand(input, double)), Object.fromEntries(options)];
}

/** Names the case well enough to find it; the numbers are in the file. */
export const title = (file: string, test: GoldenCase): string =>
  `${file} ${test.op} (${test.name})`;
