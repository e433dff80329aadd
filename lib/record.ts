/** What the values of an array input mean; sample generators and documentation use it. */
export type Domain = 'any' | 'probability' | 'logProbability' | 'positive' | 'gradient';

/** An array that an op takes. */
export interface InputRecord {
  readonly name: string;
  /**
   * Comma-separated sizes: a letter is a size that all arrays of a call agree on, `*` any leading (`*,c`) or trailing (`m,*`)
   * dimensions, `b*t` as many values as two sizes give.
   */
  readonly dims: string;
  /**
   * `target`: class indices or ignoreIndex; `sign`: +1 or -1; `mark`: rows equal to ignoreIndex are dropped (all Int32Array); `mask`:
   * 0 drops an entry (Uint8Array or Int32Array); `numbers`: a short list of finite numbers; `real64`: a Float64Array whatever the
   * type of the others.
   */
  readonly kind: 'real' | 'target' | 'sign' | 'mark' | 'index' | 'mask' | 'numbers' | 'real64';
  readonly domain: Domain;
  readonly optional: boolean;
  readonly fromOptions: boolean;
}

/** An option of an op that is no array. */
export interface OptionRecord {
  readonly name: string;
  readonly kind: 'number' | 'integer' | 'boolean' | 'choice';
  readonly default?: number | boolean | string;
  /** Has no default: a call without it is refused. */
  readonly required?: true;
  readonly choices?: readonly string[];
  readonly minimum?: number;
  readonly above?: number;
  readonly maximum?: number;
  readonly below?: number;
}

/** What an op gives under one name. */
export interface OutputRecord {
  readonly name: string;
  /** `reduced`: an array with reduction (or reduce) 'none', else a number. */
  readonly kind: 'array' | 'scalar' | 'reduced';
  readonly dims: string;
  readonly type: 'real' | 'real64' | 'int32';
  /** The option (or optional input) that asks for it. */
  readonly when?: string;
  /** The input it is the gradient of. */
  readonly gradOf?: string;
  /** The input whose very array may be given as `out`. */
  readonly inPlaceOf?: string;
}

/** The record of an op: what it takes, what it gives, what is allowed. */
export interface OpRecord {
  readonly name: string;
  readonly family: string;
  readonly sheet: string;
  readonly inputs: readonly InputRecord[];
  readonly options: readonly OptionRecord[];
  readonly outputs: readonly OutputRecord[];
  readonly nonEmpty: boolean;
  /** This op is the vector-Jacobian product of that op. */
  readonly backwardOf?: string;
}

/**
 * What the native addon exports.
 *
 * @internal
 */
export interface NativeBinding {
  readonly records: readonly OpRecord[];
  readonly version: string;
  readonly isa: string;
  readonly machineIsa: string;
  call(id: number, frame: Float64Array, ...arrays: unknown[]): void;
  callInBackground(id: number, frame: Float64Array, ...arrays: unknown[]): Promise<void>;
  /** Rejects the call with this frame, if no thread has begun it; whether it did. */
  cancelInBackground(frame: Float64Array, reason: unknown): boolean;
  setNumThreads(n: number): void;
  getNumThreads(): number;
}
