import type { InputRecord, OpRecord, OptionRecord, OutputRecord } from './record.js';

// Numbers travel in one Float64Array a call, the frame, laid out as in cpp/addon/plan.h: (rank, 8 sizes) an input, (given, value)
// an option, one scalar an output.
export const maxRank = 8;
export const inputSlots = 1 + maxRank;

/** A size of an output: a letter bound by the inputs (`*` for all leading dimensions), or the value of an option, plus a constant. */
export interface Size {
  readonly letter: string;
  readonly option: number;
  readonly plus: number;
  /** The option without which the size is 1, or -1. */
  readonly when: number;
}

export interface InputPlan {
  readonly name: string;
  /** The name in messages. */
  readonly label: string;
  readonly kind: InputRecord['kind'];
  readonly optional: boolean;
  /** Position among the positional arguments, -1 for one that is an option. */
  readonly position: number;
  /** The option of the same name (alpha: a number or an array), or -1. */
  readonly numberOption: number;
  /** Any dimensions may stand before (`*,c`) or after (`m,*`) the named ones. */
  readonly leading: boolean;
  readonly trailing: boolean;
  readonly sizes: readonly Size[];
}

export interface OutputPlan {
  readonly name: string;
  readonly kind: 'array' | 'scalar' | 'reduced';
  readonly type: OutputRecord['type'];
  /** The option, or the input, that asks for it; -1 both: always there. */
  readonly whenOption: number;
  readonly whenInput: number;
  readonly sizes: readonly Size[];
}

/** A record with its strings parsed, once an op. */
export interface Plan {
  readonly id: number;
  readonly name: string;
  readonly inputs: readonly InputPlan[];
  /** Positions of tensors that may be left out. */
  readonly optionalPositions: readonly number[];
  readonly options: readonly OptionRecord[];
  /** Defaults as numbers, undefined where there is none. */
  readonly defaults: readonly (number | undefined)[];
  readonly outputs: readonly OutputPlan[];
  readonly reduction: number;
  /** Value of the option reduction that gives one value a row. */
  readonly none: number;
  readonly optionAt: number;
  readonly scalarAt: number;
  /** Reused by calls on this thread; background calls have their own. */
  readonly frame: Float64Array;
}

function parseSize(text: string, options: readonly OptionRecord[]): Size {
  const index = (name: string | undefined) => options.findIndex((option) => option.name === name);
  const [size, when] = text.split('?');
  const [letter = '', plus = '0'] = size.split('+');
  if (/^\d+$/.test(letter)) return { letter: '', option: -1, plus: Number(letter), when: -1 };
  // A product binds no letter.
  if (letter.length > 1) return { letter: '', option: -1, plus: 0, when: -1 };
  return { letter, option: index(letter), plus: Number(plus), when: index(when) };
}

const parseSizes = (dims: string, options: readonly OptionRecord[]) =>
  dims === '' ? [] : dims.split(',').map((text) => parseSize(text, options));

function defaultOf(option: OptionRecord): number | undefined {
  if (option.kind === 'choice') return option.choices!.indexOf(option.default as string);
  return option.default === undefined ? undefined : Number(option.default);
}

/** @param id the place of the record in its addon's list */
export function planOf(record: OpRecord, id: number): Plan {
  const { options } = record;
  const optionIndex = (name: string | undefined) =>
    options.findIndex((option) => option.name === name);
  let positional = 0;
  const reduction = Math.max(optionIndex('reduction'), optionIndex('reduce'));
  const optionAt = record.inputs.length * inputSlots;
  const scalarAt = optionAt + 2 * options.length;
  return {
    id,
    name: record.name,
    inputs: record.inputs.map((input) => {
      const leading = /^\*(,|$)/.test(input.dims);
      const trailing = input.dims.endsWith(',*');
      return {
        name: input.name,
        label: input.fromOptions ? `options.${input.name}` : input.name,
        kind: input.kind,
        optional: input.optional,
        position: input.fromOptions ? -1 : positional++,
        numberOption: optionIndex(input.name),
        leading,
        trailing,
        sizes: parseSizes(input.dims, options).slice(leading ? 1 : 0, trailing ? -1 : undefined),
      };
    }),
    optionalPositions: record.inputs
      .filter((input) => !input.fromOptions)
      .flatMap((input, at) => (input.optional ? [at] : [])),
    options,
    defaults: options.map(defaultOf),
    outputs: record.outputs.map((output) => {
      const whenOption = optionIndex(output.when);
      return {
        name: output.name,
        kind: output.kind,
        type: output.type,
        whenOption,
        whenInput:
          whenOption < 0 ? record.inputs.findIndex((input) => input.name === output.when) : -1,
        sizes: parseSizes(output.dims, options),
      };
    }),
    reduction,
    none: reduction < 0 ? -1 : options[reduction].choices!.indexOf('none'),
    optionAt,
    scalarAt,
    frame: new Float64Array(scalarAt + record.outputs.length),
  };
}
