// The shape of a result, which native ops give flat.
import type { OpRecord } from './record.js';

export type Shape = readonly number[];

/** Sizes that no input says are equal and follow from the length (the nodes of a graph). */
export function completed(shape: Shape, length: number): Shape {
  const known = shape.filter((size) => !Number.isNaN(size));
  const missing = shape.length - known.length;
  if (missing === 0) return shape;
  const rest =
    length /
    Math.max(
      1,
      known.reduce((product, size) => product * size, 1),
    );
  const size = Math.round(rest ** (1 / missing));
  return shape.map((s) => (Number.isNaN(s) ? size : s));
}

/** The shape of the first output, from the sizes that its record shares with the inputs; NaN where none of them says. */
export function valueShape(record: OpRecord, values: readonly unknown[]): Shape {
  const sizes = new Map<string, Shape>();
  record.inputs
    .filter((input) => !input.fromOptions)
    .forEach((input, i) => {
      const value = values[i] as { shape?: Shape; dims?: Shape; length?: number } | undefined;
      if (value === undefined) return;
      const shape = value.shape ?? value.dims ?? [value.length ?? 0];
      const names = input.dims.split(',');
      const leading = names[0] === '*' ? shape.length - (names.length - 1) : 0;
      names.forEach((name, k) => {
        if (name === '*') sizes.set(name, k === 0 ? shape.slice(0, leading) : shape.slice(k));
        else sizes.set(name, [shape[names[0] === '*' ? leading + k - 1 : k] ?? 0]);
      });
    });
  const { dims } = record.outputs[0];
  return dims === '' ? [] : dims.split(',').flatMap((name) => sizes.get(name) ?? [NaN]);
}
