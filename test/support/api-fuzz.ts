/**
 * Runs in a process of its own: calls the public functions and their promise forms with arguments of which some are replaced by
 * hostile ones. Whatever comes in, they return, or throw a TypeError or RangeError that names the op, or what a getter of the
 * caller threw. Arguments: a seed, a number of calls. Prints how many calls threw and how many ran.
 */
import { ops } from 'logitcore';
import { wrongLengths, wrongOptions, wrongShapes, wrongTypes, type Bad } from './bad.js';
import { argumentsOf, op, operand, promiseOp, reproducer } from './invoke.js';
import { Random } from './random.js';
import { makeSample, type ArrayValue, type Sample, type Spec } from './samples.js';

class Hostile extends Error {}

const [seed, calls] = process.argv.slice(2).map(Number);
const random = new Random(seed);
const records = ops();
const counts = { threw: 0, ran: 0 };
const chance = (probability: number): boolean => random.uniform() < probability;

function randomSpec(): Spec {
  return {
    seed: random.integer(0, 1000),
    double: chance(0.5),
    optional: random.pick(['none', 'all', 'some'] as const),
    options: random.pick(['default', 'sampled'] as const),
    ignored: chance(0.3),
    values: random.pick(['plain', 'masked', 'wide', 'extreme'] as const),
    ...(chance(0.3) && {
      sizes: { n: random.integer(0, 40), c: random.integer(0, 70), '*': [random.integer(0, 50)] },
    }),
  };
}

/** Making a sample of a backward op calls its forward op, which may refuse the sizes. */
function randomSample(): Sample {
  for (;;)
    try {
      return makeSample(random.pick(records), randomSpec());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
}

const detach = (data: ArrayBufferView): void => {
  structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] });
};

/** What may stand for an array: arrays of wrong kinds, proxies, getters that throw, change or take away what they are asked for. */
function hostileArray(value: ArrayValue, sample: Sample): unknown {
  const { data, shape } = value;
  const input = sample.record.inputs.find(({ name }) => sample.inputs[name] === value)!;
  const trap = (act: () => unknown) =>
    Object.defineProperties(
      {},
      {
        data: { get: () => (chance(0.5) ? act() : data) },
        shape: { get: () => (act(), shape) },
        dims: { get: () => (act(), shape) },
      },
    );
  switch (random.integer(0, 7)) {
    case 0:
      return trap(() => {
        throw new Hostile('getter');
      });
    case 1:
      return trap(() => {
        if (data.byteLength > 0 && data.buffer instanceof ArrayBuffer) detach(data);
      });
    case 2:
      return trap(() => op('softmax')(new Float32Array(3), {}));
    case 3:
      return new Proxy(value, {
        get: (target, key) => {
          if (chance(0.3)) throw new Hostile('proxy');
          return Reflect.get(target, key) as unknown;
        },
      });
    case 4:
      return random.pick<Bad>(wrongShapes(value)).value;
    case 5:
      return random.pick<Bad>(wrongLengths(value)).value;
    case 6: {
      // The array of another input: of another size, type or meaning, or the same memory twice.
      const others = Object.values(sample.inputs);
      return operand(random.pick(others));
    }
    default:
      return random.pick<Bad>(wrongTypes(value, input.kind)).value;
  }
}

function hostileOutputs(sample: Sample): unknown {
  const arrays: Record<string, unknown> = {};
  for (const { name } of sample.record.outputs)
    if (chance(0.7))
      arrays[name] = random.pick<() => unknown>([
        () => new Float32Array(random.integer(0, 30)),
        () => new Float64Array(random.integer(0, 30)),
        () => new Int32Array(random.integer(0, 30)),
        () => Object.values(sample.inputs)[0].data,
        () => Object.values(sample.inputs)[0].data.subarray(1),
        () => 'array',
        () => null,
      ])();
  return random.pick<unknown>([arrays, arrays, arrays, 7, null, new Proxy(arrays, {})]);
}

function replacements(sample: Sample): Record<string, unknown> {
  const replaced: Record<string, unknown> = {};
  const inputs = Object.entries(sample.inputs);
  for (let k = random.integer(0, 2); k > 0; k--) {
    const [name, value] = random.pick(inputs);
    const { options } = sample.record;
    const which = random.uniform();
    if (which < 0.5) replaced[name] = hostileArray(value, sample);
    else if (which < 0.8 && options.length > 0) {
      const option = random.pick(options);
      replaced[`options.${option.name}`] = random.pick<Bad>(wrongOptions(option, false)).value;
    } else replaced['options.out'] = hostileOutputs(sample);
  }
  return replaced;
}

function check(error: unknown, sample: Sample, replaced: Record<string, unknown>): void {
  counts.threw += 1;
  if (error instanceof Hostile) return;
  if (
    (error instanceof TypeError || error instanceof RangeError) &&
    error.message.startsWith(`${sample.record.name}: `)
  )
    return;
  throw new Error(`${String(error)} from ${reproducer(sample, replaced)}`, { cause: error });
}

async function main(): Promise<void> {
  let pending: Promise<void>[] = [];
  for (let i = 0; i < calls; i++) {
    const sample = randomSample();
    const replaced = replacements(sample);
    const args = argumentsOf(sample, replaced);
    if (chance(0.3)) {
      const controller = new AbortController();
      if (chance(0.3)) Object.assign(args.at(-1) as object, { signal: controller.signal });
      const job = promiseOp(sample.record.name)(...args).then(
        () => {
          counts.ran += 1;
        },
        (error: unknown) => {
          if (error === 'no longer wanted') counts.threw += 1;
          else check(error, sample, replaced);
        },
      );
      pending.push(job);
      if (chance(0.3)) controller.abort('no longer wanted');
    } else {
      try {
        op(sample.record.name)(...args);
        counts.ran += 1;
      } catch (error) {
        check(error, sample, replaced);
      }
    }
    if (pending.length < 500) continue;
    await Promise.all(pending);
    pending = [];
  }
  await Promise.all(pending);
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}

// Imported for its types only, this file must do nothing.
if (calls > 0) await main();
