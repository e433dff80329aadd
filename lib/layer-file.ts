// A spherical output layer as a safetensors file.
import type { SphericalLayerState } from './factored.js';
import { layerName, type SphericalOutputLayerOptions } from './layer-options.js';
import {
  damaged,
  readSafetensors,
  writeSafetensors,
  type Entry,
  type FileProgress,
} from './safetensors.js';

const format = `logitcore.${layerName}`;
const version = '1';

/** All that training goes on from. */
export interface SavedLayer {
  readonly state: SphericalLayerState;
  /** Classes and dimensions. */
  readonly shape: readonly [number, number];
  readonly options: SphericalOutputLayerOptions;
  readonly steps: number;
}

const keys = ['U', 'inverseU', 'Q', 'omega', 'wbar', 'V'] as const;

/** The shape of every array, from that of W. */
const shapesOf = (classes: number, d: number) => ({
  U: [d, d],
  inverseU: [d, d],
  Q: [d, d],
  omega: [d],
  wbar: [d],
  V: [classes, d],
});

export async function writeLayer(
  path: string,
  { state, shape, options, steps }: SavedLayer,
  onProgress?: FileProgress,
): Promise<void> {
  const shapes = shapesOf(...shape);
  const tensors = new Map(keys.map((key) => [key, { data: state[key], shape: shapes[key] }]));
  const metadata = { format, version, step: String(steps), options: JSON.stringify(options) };
  await writeSafetensors(path, { tensors, metadata }, onProgress);
}

function checkEntries(path: string, entries: readonly Entry[]): void {
  const found = new Map(entries.map((entry) => [entry.name, entry]));
  for (const key of keys) if (!found.has(key)) throw damaged(path, `has no tensor '${key}'`);
  const [classes = 0, d = 0] = found.get('V')!.shape;
  const shapes = shapesOf(classes, d);
  for (const key of keys) {
    const entry = found.get(key)!;
    if (entry.shape.join() !== shapes[key].join())
      throw damaged(
        path,
        `has a tensor '${key}' of shape [${entry.shape.join(', ')}], expected [${shapes[key].join(', ')}]`,
      );
    if (key !== 'V' && entry.dtype !== 'F64')
      throw damaged(path, `has a tensor '${key}' of type ${entry.dtype}, expected F64`);
    found.delete(key);
  }
  for (const key of found.keys()) throw damaged(path, `has an unknown tensor '${key}'`);
}

function readOptions(path: string, text: string | undefined): SphericalOutputLayerOptions {
  try {
    return JSON.parse(text ?? '') as SphericalOutputLayerOptions;
  } catch {
    throw damaged(path, 'has options that are no JSON');
  }
}

export async function readLayer(path: string, onProgress?: FileProgress): Promise<SavedLayer> {
  const { tensors, metadata } = await readSafetensors(
    path,
    (entries, about) => {
      if (about.format !== format) throw damaged(path, `is no ${format}`);
      if (about.version !== version)
        throw damaged(path, `has version ${about.version}, expected ${version}`);
      checkEntries(path, entries);
    },
    onProgress,
  );
  const steps = Number(metadata.step);
  if (!Number.isSafeInteger(steps) || steps < 0)
    throw damaged(path, `has ${metadata.step} for a step counter`);
  const state = Object.fromEntries(keys.map((key) => [key, tensors.get(key)!.data]));
  const [classes, d] = tensors.get('V')!.shape;
  return {
    state: state as unknown as SphericalLayerState,
    shape: [classes, d],
    options: readOptions(path, metadata.options),
    steps,
  };
}
