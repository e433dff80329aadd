// Random weights for a spherical output layer.
import { checkChoice, checkNumber } from './arguments.js';
import { layerName, type RandomLayerOptions } from './layer-options.js';
import { normalValues } from './normal.js';

const name = `${layerName}.random`;

/** `[classes, dimensions]`, checked and drawn. */
export function randomWeights(options: RandomLayerOptions) {
  const { classes, dimensions, seed = 0, dtype = 'float32', standardDeviation } = options;
  const size = (key: string, value: unknown) =>
    checkNumber(
      name,
      `options.${key}`,
      value,
      'a positive integer',
      (x) => Number.isInteger(x) && x > 0,
    );
  size('classes', classes);
  size('dimensions', dimensions);
  checkNumber(name, 'options.seed', seed, 'an integer', Number.isSafeInteger);
  checkChoice(name, 'options.dtype', dtype, ['float32', 'float64']);
  const spread = standardDeviation ?? 1 / Math.sqrt(dimensions);
  checkNumber(
    name,
    'options.standardDeviation',
    spread,
    'a finite number >= 0',
    (x) => x >= 0 && x < Infinity,
  );
  const length = classes * dimensions;
  const data = normalValues(
    dtype === 'float64' ? new Float64Array(length) : new Float32Array(length),
    spread,
    seed,
  );
  return { data, shape: [classes, dimensions] };
}
