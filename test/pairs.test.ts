// Losses of pairs of rows have three ways through their kernel: short rows lie in lanes, longer ones are swept in groups, the longest
// one by one. A row must not feel which other rows share its lanes or its group, and the ways must meet at their borders.
import { decoupledKd, klDiv, standardizedKlDiv, type StandardizedKlDivOptions } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { close, sameBits } from './support/compare.js';
import { Random } from './support/random.js';
import { tensor } from './support/vectors.js';

type Numbers = Float32Array | Float64Array;
interface Pair {
  columns: number;
  student: Numbers;
  teacher: Numbers;
  /** Targets of decoupledKd, marks of the others: every fifth row is left out. */
  marks: Int32Array;
}

const columnsAtBorders = [2, 3, 10, 15, 16, 31, 32, 33, 127, 128, 129, 200, 1023, 1024, 1025];
const longer = [2048, 2049, 4097];
const rows = 37;

/** What a row may hold besides ordinary logits; each takes another way through the kernel. */
const kinds: Record<string, (value: number, j: number, columns: number, random: Random) => number> =
  {
    ordinary: (value) => value,
    masked: (value, j, _, random) => (j > 0 && random.uniform() < 0.3 ? -Infinity : value),
    confident: (value, j, columns) => (j === columns >> 1 ? 40 : value),
    equal: () => -1.25,
    'not a number': (value, j) => (j === 1 ? NaN : value),
    infinite: (value, j) => (j === 1 ? Infinity : value),
    dead: () => -Infinity,
    large: (value) => value * 2 ** 100,
    small: (value) => value * 2 ** -100,
    'far from 0': (value) => Math.fround(4096 + value / 4),
    'led by its first entries': (value, j) => (j < 16 ? 1000 : value),
    ties: (value) => Math.round(value),
  };
const names = Object.keys(kinds);

/** Row i of the student is of kind i, the teacher's of the kind `shift` on: every kind meets several others. */
function pairOf(type: new (data: Float64Array) => Numbers, columns: number, shift: number): Pair {
  const random = new Random(columns + shift);
  const side = (by: number) =>
    new type(
      Float64Array.from({ length: rows * columns }, (_, at) => {
        const kind = names[(Math.floor(at / columns) + by) % names.length];
        return kinds[kind](Math.fround(3 * random.normal()), at % columns, columns, random);
      }),
    );
  const marks = Int32Array.from({ length: rows }, (_, i) =>
    i % 5 === 4 ? -100 : random.integer(0, columns - 1),
  );
  return { columns, student: side(0), teacher: side(shift), marks };
}

type Outputs = Record<string, Numbers | undefined>;
const none = { reduction: 'none', grad: true } as const;
const standardized =
  (options: Omit<StandardizedKlDivOptions<Numbers>, 'gradTemperature' | 'reduction'>) =>
  ({ student, teacher, marks, columns }: Pair): Outputs => ({
    ...standardizedKlDiv(tensor(student, columns), tensor(teacher, columns), {
      ...options,
      reduction: 'none',
      labels: marks,
    }),
  });
const decoupled =
  (standardize: boolean) =>
  ({ student, teacher, marks, columns }: Pair): Outputs => ({
    ...decoupledKd(tensor(student, columns), tensor(teacher, columns), marks, {
      ...none,
      standardize,
    }),
  });
const losses: Record<string, (pair: Pair) => Outputs> = {
  klDiv: ({ student, teacher, marks, columns }) => ({
    ...klDiv(tensor(student, columns), tensor(teacher, columns), {
      ...none,
      labels: marks,
      temperature: 2,
    }),
  }),
  standardizedKlDiv: standardized({ grad: true }),
  'standardizedKlDiv, population deviation without eps': standardized({
    grad: true,
    ddof: 0,
    eps: 0,
    zeroVarianceGrad: 'zero',
  }),
  'standardizedKlDiv of plain rows': standardized({ grad: true, standardize: false }),
  'standardizedKlDiv, values alone': standardized({}),
  decoupledKd: decoupled(false),
  'decoupledKd of standardised rows': decoupled(true),
};

const rowsOf = ({ columns, student, teacher, marks }: Pair, from: number, to: number): Pair => ({
  columns,
  student: student.slice(from * columns, to * columns),
  teacher: teacher.slice(from * columns, to * columns),
  marks: marks.slice(from, to),
});

/** What differs between a batch and the same rows in parts, as text. */
function difference(loss: (pair: Pair) => Outputs, pair: Pair, size: number): string | undefined {
  const whole = loss(pair);
  for (let from = 0; from < rows; from += size) {
    const to = Math.min(rows, from + size);
    const part = loss(rowsOf(pair, from, to));
    for (const [name, array] of Object.entries(whole)) {
      if (array === undefined) continue;
      const each = array.length / rows;
      const wrong = sameBits(array.slice(from * each, to * each), part[name]!);
      if (wrong !== undefined)
        return `rows ${from} to ${to} (${names[from % names.length]}) of ${pair.columns}: ${name}${wrong}`;
    }
  }
  return undefined;
}

describe('a row alone is the row in a batch', () => {
  for (const [name, loss] of Object.entries(losses))
    for (const type of [Float32Array, Float64Array])
      test(`${name}, ${type.name}`, () => {
        for (const columns of [...columnsAtBorders, ...longer])
          for (const shift of columns > 1025 ? [3] : [0, 1, 5]) {
            const pair = pairOf(type, columns, shift);
            expect(difference(loss, pair, 1)).toBeUndefined();
            // Parts that begin elsewhere among the lanes.
            expect(difference(loss, pair, 11)).toBeUndefined();
          }
      });
});

describe('rows beside what no row may see', () => {
  for (const [name, loss] of Object.entries(losses))
    test(name, () => {
      for (const columns of [10, 32, 33, 128, 129, 1024, 1025]) {
        const pair = pairOf(Float32Array, columns, 0);
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < columns; j++)
            pair.student[i * columns + j] = pair.teacher[i * columns + j] = Math.sin(i + j * j);
        const before = loss(pair);
        // A row that is left out is not read, and the others are what they were.
        pair.student.fill(NaN, 4 * columns, 5 * columns);
        expect(loss(pair)).toEqual(before);
        pair.student.fill(NaN, 7 * columns, 8 * columns);
        const after = loss(pair);
        for (const [output, array] of Object.entries(before)) {
          if (array === undefined) continue;
          const each = array.length / rows;
          const other = after[output]!;
          expect(other.slice(7 * each, 8 * each).some(Number.isNaN)).toBe(true);
          expect(sameBits(array.slice(0, 7 * each), other.slice(0, 7 * each))).toBeUndefined();
          expect(sameBits(array.slice(8 * each), other.slice(8 * each))).toBeUndefined();
        }
      }
    });
});

describe('pairs of rows', () => {
  test('over the logits themselves', () => {
    for (const columns of columnsAtBorders)
      for (const type of [Float32Array, Float64Array]) {
        const { student, teacher, marks } = pairOf(type, columns, 1);
        const apart = decoupledKd(tensor(student, columns), tensor(teacher, columns), marks, {
          ...none,
          standardize: true,
        });
        const over = student.slice();
        decoupledKd(tensor(over, columns), tensor(teacher, columns), marks, {
          ...none,
          standardize: true,
          out: { gradStudent: over },
        });
        expect(sameBits(apart.gradStudent, over)).toBeUndefined();
      }
  });
  test('the derivative by the temperature is the sum of those of the rows', () => {
    for (const columns of columnsAtBorders) {
      const pair = pairOf(Float64Array, columns, 0);
      const random = new Random(columns);
      const of = ({ student, teacher }: Pair) =>
        standardizedKlDiv(tensor(student, columns), tensor(teacher, columns), {
          reduction: 'sum',
          gradTemperature: true,
        }).gradTemperature;
      // Masked rows leave the lanes.
      pair.student.forEach((_, at) => {
        pair.student[at] = random.normal();
        pair.teacher[at] = at % (3 * columns) === 1 ? -Infinity : random.normal();
      });
      let total = 0;
      for (let i = 0; i < rows; i++) total += of(rowsOf(pair, i, i + 1));
      close([of(pair)], [total], 1e-12, 1e-12);
    }
  });
  test('a class that has no mass adds nothing, on every way', () => {
    // Each row once more with a masked class behind it, which takes the way of masked rows.
    for (const columns of columnsAtBorders)
      for (const standardize of [false, true]) {
        const random = new Random(columns);
        const data = () => Float64Array.from({ length: rows * columns }, () => random.normal());
        const wider = (x: Float64Array) =>
          Float64Array.from({ length: rows * (columns + 1) }, (_, at) =>
            at % (columns + 1) === columns ? -Infinity : x[at - Math.floor(at / (columns + 1))],
          );
        const [student, teacher] = [data(), data()];
        const options = { ...none, standardize };
        const plain = standardizedKlDiv(
          tensor(student, columns),
          tensor(teacher, columns),
          options,
        );
        const masked = standardizedKlDiv(
          tensor(wider(student), columns + 1),
          tensor(wider(teacher), columns + 1),
          options,
        );
        close(masked.loss, plain.loss, 1e-11, 1e-13);
        close(
          masked.gradStudent.filter((_, at) => at % (columns + 1) !== columns),
          plain.gradStudent,
          1e-9,
          1e-12,
        );
      }
  });
  test('rows led far ahead by their first entries keep their deviation', () => {
    for (const columns of [129, 500, 1024, 1025, 4096]) {
      const random = new Random(columns);
      const logits = () =>
        Float32Array.from({ length: 3 * columns }, (_, at) =>
          at % columns < 16 ? 3000 + random.normal() : random.normal(),
        );
      const [student, teacher] = [logits(), logits()];
      const options = { ...none, temperature: 0.01 };
      const narrow = standardizedKlDiv(tensor(student, columns), tensor(teacher, columns), options);
      const wide = standardizedKlDiv(
        tensor(Float64Array.from(student), columns),
        tensor(Float64Array.from(teacher), columns),
        options,
      );
      close(narrow.loss, wide.loss, 4e-6, 0);
    }
  });
  test('an infinite logit makes its row NaN, and no other', () => {
    for (const columns of [2, 10, 33, 100, 129, 500, 1025, 2049])
      for (const [name, loss] of Object.entries(losses)) {
        if (name.endsWith('values alone')) continue;
        for (const side of ['student', 'teacher'] as const) {
          const random = new Random(columns);
          const data = () => Float32Array.from({ length: rows * columns }, () => random.normal());
          const pair: Pair = {
            columns,
            student: data(),
            teacher: data(),
            marks: new Int32Array(rows),
          };
          const [row, at] = [17, columns - 1];
          pair[side][row * columns + at] = Infinity;
          const { gradStudent, ...values } = loss(pair);
          const where = `${name}, ${side}, ${columns} columns`;
          gradStudent!.forEach((value, i) => {
            const own = Math.floor(i / columns) === row;
            if (Number.isNaN(value) !== own) expect.fail(`${where}: gradStudent[${i}] is ${value}`);
          });
          for (let i = 0; i < rows; i++)
            expect(Number.isNaN(values.loss![i]), where).toBe(i === row);
        }
      }
  });
});
