import type { CallOptions, Mask, RealArray, Simplify, Targets, Tensor } from '../types.js';
import type { CudaTensor } from './tensor.js';

type Moved<T> = T extends RealArray | Int32Array | Mask | Targets | Tensor ? CudaTensor : T;

/** Options of an op on the host, with tensors of the device in place of arrays. Lists of numbers stay what they are. */
export type OnDevice<Options> = {
  [K in keyof Options]: K extends 'out'
    ? { [Name in keyof NonNullable<Options[K]>]?: CudaTensor }
    : readonly number[] extends Options[K]
      ? Options[K]
      : Moved<Options[K]>;
};

/** What `O` says about an option: a number asks for an output unless it is 0, which its type does not say. */
type Asks<O, Name> = Name extends keyof O
  ? O[Name] extends true
    ? 'yes'
    : O[Name] extends false | undefined
      ? 'no'
      : 'maybe'
  : 'no';

type Results<O, Always extends string, Asked> = Simplify<
  { [Name in Always]: CudaTensor } & {
    [Name in keyof Asked as Asks<O, Asked[Name]> extends 'yes' ? Name : never]: CudaTensor;
  } & {
    [Name in keyof Asked as Asks<O, Asked[Name]> extends 'no' ? Name : never]?: undefined;
  } & {
    [Name in keyof Asked as Asks<O, Asked[Name]> extends 'maybe' ? Name : never]?: CudaTensor;
  }
>;

type Unknown<Given, Known> = { [K in Exclude<keyof Given, keyof Known>]: never };

/** Rejects names of options and outputs that the op does not have. */
type OptionsOf<O, Options> = O &
  OnDevice<Options> &
  Unknown<O, Options> &
  (O extends { out: infer Given }
    ? Options extends { out?: infer Known }
      ? { out: Unknown<Given, NonNullable<Known>> }
      : unknown
    : unknown);

/**
 * An op on the device: its inputs, the options of the op on the host, the outputs that it always gives, and those that an option asks
 * for.
 */
export type DeviceOp<
  Inputs extends CudaTensor[],
  Options extends CallOptions,
  Always extends string,
  Asked extends Record<string, string> = {},
> = <const O = {}>(
  ...args: {} extends Options
    ? [...inputs: Inputs, options?: OptionsOf<O, Options>]
    : [...inputs: Inputs, options: OptionsOf<O, Options>]
) => Results<O, Always, Asked>;
