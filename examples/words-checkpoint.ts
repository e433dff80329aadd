/** Checkpoints of a run: tensors in safetensors files, the rest in a JSON file that names them. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readSafetensors, writeSafetensors } from '../lib/safetensors.js';

export type Tensors = Readonly<Record<string, { data: Float32Array; shape: readonly number[] }>>;

export function writeTensors(file: string, tensors: Tensors): Promise<void> {
  return writeSafetensors(file, { tensors: new Map(Object.entries(tensors)), metadata: {} });
}

/** Only with exactly the `names` that are wanted, all in float32. */
export async function readTensors(file: string, names: readonly string[]): Promise<Tensors> {
  const { tensors } = await readSafetensors(file, (entries) => {
    const found = entries.map(({ name, dtype }) => `${name} ${dtype}`).sort();
    const wanted = names.map((name) => `${name} F32`).sort();
    if (found.join() !== wanted.join())
      throw new RangeError(`${file} has ${found.join(', ')}, expected ${wanted.join(', ')}`);
  });
  return Object.fromEntries(tensors) as Tensors;
}

const stateFile = 'state.json';

/**
 * Replaces the checkpoint in `folder`. Until the last moment the old one is whole: new files have names of their own, and the
 * JSON file, which says which names count, takes its place in one step.
 * @param state anything JSON can hold; {@link loadCheckpoint} gives it back
 * @param save writes the tensors to files that begin with the given path
 */
export async function saveCheckpoint(
  folder: string,
  state: object,
  save: (stem: string) => Promise<void>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const version = `${Date.now()}-`;
  await save(path.join(folder, version));
  const target = path.join(folder, stateFile);
  await writeFile(`${target}.new`, JSON.stringify({ version, state }));
  await rename(`${target}.new`, target);
  for (const name of await readdir(folder))
    if (name !== stateFile && !name.startsWith(version)) await rm(path.join(folder, name));
}

/** The state, and the path its tensor files begin with; undefined if there is no checkpoint. */
export async function loadCheckpoint(
  folder: string,
): Promise<{ state: unknown; stem: string } | undefined> {
  let text: string;
  try {
    text = await readFile(path.join(folder, stateFile), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { version, state } = JSON.parse(text) as { version: string; state: unknown };
  return { state, stem: path.join(folder, version) };
}
