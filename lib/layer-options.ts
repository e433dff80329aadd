// Options and state of a spherical output layer.
import { checkNumber, kindOf } from './arguments.js';
import type { SphericalLayerLossOptions } from './factored.js';

export const layerName = 'SphericalOutputLayer';

/** How a {@link SphericalOutputLayer} trains. */
export interface SphericalOutputLayerOptions extends SphericalLayerLossOptions {
  /** W is multiplied by `1 - learningRate weightDecay` after every step; default 0. */
  weightDecay?: number;
  /** Steps between stabilisations, 0 for never; default 100. */
  stabilizePeriod?: number;
  /** Singular values of U that a stabilisation leaves alone; default [0.5, 2]. */
  singularRange?: readonly [low: number, high: number];
}

/** Weights to be drawn. */
export interface RandomLayerOptions<
  Type extends 'float32' | 'float64' = 'float32' | 'float64',
> extends SphericalOutputLayerOptions {
  /** Rows of W. */
  classes: number;
  /** Columns of W. */
  dimensions: number;
  /** Whole number; the same seed gives the same weights. Default 0. */
  seed?: number;
  /** Type of V and of the hidden rows; default 'float32'. */
  dtype?: Type;
  /** Of the normal distribution that entries are drawn from; default `1 / sqrt(dimensions)`. */
  standardDeviation?: number;
}

/** What a layer keeps for itself. */
export type Settings = Required<
  Pick<SphericalOutputLayerOptions, 'stabilizePeriod' | 'singularRange'>
>;

export function settingsOf(options: SphericalOutputLayerOptions): Settings {
  const { stabilizePeriod = 100, singularRange = [0.5, 2] } = options;
  checkNumber(
    layerName,
    'options.stabilizePeriod',
    stabilizePeriod,
    'an integer >= 0',
    (x) => Number.isInteger(x) && x >= 0,
  );
  if (!Array.isArray(singularRange) || singularRange.length !== 2)
    throw new TypeError(
      `${layerName}: options.singularRange must be two numbers, got ${kindOf(singularRange)}`,
    );
  const [low, high] = singularRange as [number, number];
  checkNumber(
    layerName,
    'options.singularRange[0]',
    low,
    'a number in (0, 1]',
    (x) => x > 0 && x <= 1,
  );
  checkNumber(
    layerName,
    'options.singularRange[1]',
    high,
    'a finite number >= 1',
    (x) => x >= 1 && x < Infinity,
  );
  return { stabilizePeriod, singularRange: [low, high] };
}

/**
 * The bound of a condition number beyond which a layer is stabilised at once. Afterwards the bound is at most `d high / low`: it is the
 * product of two Frobenius norms.
 */
export const mostConditionOf = ({ singularRange: [low, high] }: Settings, d: number): number =>
  ((250 + 8 * d) * high) / low;

const stepOptions = [
  'loss',
  'a',
  'b',
  'epsilon',
  'targetValue',
  'reduction',
  'ignoreIndex',
  'weightDecay',
] as const;

/** What the step takes, in an object of its own: files carry it, and the caller's may change. */
export function stepOptionsOf(options: SphericalOutputLayerOptions): SphericalOutputLayerOptions {
  return Object.fromEntries(
    stepOptions.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  );
}
