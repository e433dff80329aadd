/** The arrays logits come in. All real arrays of one call have the same type; results have it too. */
export type RealArray = Float32Array | Float64Array;

/** A tensor in row-major order: `{ data, shape }`, or `{ data, dims }` as ONNX Runtime and transformers.js have it. */
export type Tensor<A extends RealArray = RealArray> =
  | { readonly data: A; readonly shape: readonly number[] }
  | { readonly data: A; readonly dims: readonly number[] };

/** A tensor of any rank; a plain array is a tensor of one dimension. */
export type Logits<A extends RealArray = RealArray> = Tensor<A> | A;

/** Class indices or row marks, one a row. */
export type Targets =
  | Int32Array
  | { readonly data: Int32Array; readonly shape: readonly number[] }
  | { readonly data: Int32Array; readonly dims: readonly number[] };

/** `mean` divides by what counts (rows that are not ignored, unless an op says otherwise), `none` gives one value a row. */
export type Reduction = 'mean' | 'sum' | 'none';

/** What every op takes. */
export interface CallOptions {
  /** Aborted before the work starts: the call throws (or its promise rejects with) the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Rejects option names that `Shape` does not have, which a generic parameter alone would let pass. */
export type Exact<O, Shape> = O & { [K in Exclude<keyof O, keyof Shape>]: never };

type Flag<O, Name extends string> = Name extends keyof O ? O[Name & keyof O] : undefined;

/** Which entries count: 0 drops one. */
export type Mask = Uint8Array | Int32Array | readonly (number | boolean)[];

/** The type of a reduced output under options `O`. */
export type Reduced<O, A, Default extends Reduction = 'mean'> = 'reduction' extends keyof O
  ? ReducedBy<Exclude<O['reduction' & keyof O], undefined>, A>
  : ReducedBy<Default, A>;
type ReducedBy<R, A> = R extends 'none' ? A : number;

/** `{ [Name]: Value }` if option `Asked` is set in `O`, optional if that is not known before the call. */
export type When<O, Asked extends string, Name extends string, Value> =
  Flag<O, Asked> extends true
    ? { [K in Name]: Value }
    : Flag<O, Asked> extends false | undefined
      ? { [K in Name]?: undefined }
      : { [K in Name]?: Value };

/** Flattens an intersection for display in editors. */
export type Simplify<T> = { [K in keyof T]: T[K] } & {};
