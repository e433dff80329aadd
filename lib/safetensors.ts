// Files in the safetensors format: eight bytes with the length of a JSON header, the header, the arrays one after another. Arrays are
// written and read in chunks, where they lie; nothing of their size is copied.
import { randomBytes } from 'node:crypto';
import { open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { kindOf } from './arguments.js';

type Data = Float32Array | Float64Array;

/** An array of a file. */
export interface StoredTensor {
  readonly data: Data;
  readonly shape: readonly number[];
}

/** What a file holds, in the order of the file. */
export interface Stored {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Called after every chunk. */
export type FileProgress = (progress: { bytes: number; totalBytes: number }) => void;

/** What a header says of one array. */
export interface Entry {
  readonly name: string;
  readonly dtype: keyof typeof types;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const types = { F32: Float32Array, F64: Float64Array } as const;
const chunkBytes = 16 * 2 ** 20;
/** Longer headers are no headers. */
const mostHeaderBytes = 100 * 2 ** 20;

function checkByteOrder(): void {
  if (endianness() !== 'LE')
    throw new Error('safetensors: files are little-endian, which this machine is not');
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Data): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function headerOf({ tensors, metadata }: Stored): { header: Buffer; dataBytes: number } {
  const entries: Record<string, unknown> = { __metadata__: metadata };
  let dataBytes = 0;
  for (const [name, { data, shape }] of tensors) {
    const end = dataBytes + data.byteLength;
    entries[name] = {
      dtype: data instanceof Float64Array ? 'F64' : 'F32',
      shape,
      data_offsets: [dataBytes, end],
    };
    dataBytes = end;
  }
  const text = Buffer.from(JSON.stringify(entries));
  // Spaces behind the header put the arrays on addresses of 8 bytes.
  const header = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  text.copy(header, 8);
  return { header, dataBytes };
}

async function writeAll(file: FileHandle, bytes: Uint8Array, wrote: (count: number) => void) {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(chunkBytes, bytes.length - at));
    at += bytesWritten;
    wrote(bytesWritten);
  }
}

/** The entries of a folder survive a power cut only if it is flushed too; some systems cannot open folders. */
async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    return;
  }
}

/**
 * Writes a file that is there as a whole or not at all: into a new file in the same folder, which is flushed and then takes the name.
 * Whatever stops it, a file that had the name before stays as it was.
 */
export async function writeSafetensors(
  path: string,
  stored: Stored,
  onProgress?: FileProgress,
): Promise<void> {
  checkByteOrder();
  const { header, dataBytes } = headerOf(stored);
  const totalBytes = header.length + dataBytes;
  let bytes = 0;
  const wrote = (count: number) => {
    bytes += count;
    onProgress?.({ bytes, totalBytes });
  };
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const file = await open(temporary, 'wx');
  try {
    try {
      await writeAll(file, header, wrote);
      for (const { data } of stored.tensors.values()) await writeAll(file, bytesOf(data), wrote);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await flushFolder(folder);
}

async function readAll(
  file: FileHandle,
  position: number,
  into: Uint8Array,
  read: (count: number) => void,
) {
  for (let at = 0; at < into.length;) {
    const length = Math.min(chunkBytes, into.length - at);
    const { bytesRead } = await file.read(into, at, length, position + at);
    if (bytesRead === 0) return false;
    at += bytesRead;
    read(bytesRead);
  }
  return true;
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

/** What is wrong with a file is a RangeError that names it. */
export function damaged(path: string, what: string): RangeError {
  return new RangeError(`safetensors: ${path} ${what}`);
}

function readEntry(path: string, name: string, value: unknown): Entry {
  const bad = (what: string) => damaged(path, `has a tensor '${name}' ${what}`);
  if (typeof value !== 'object' || value === null) throw bad('that is no object');
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== 'string' || !(dtype in types))
    throw bad(`of type ${typeof dtype === 'string' ? dtype : kindOf(dtype)}, expected F32 or F64`);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw bad('without a shape');
  const [begin, end] = (Array.isArray(offsets) && offsets.length === 2 ? offsets : []) as unknown[];
  if (!isCount(begin) || !isCount(end) || end < begin) throw bad('without data_offsets');
  const type = dtype as keyof typeof types;
  const wanted = shape.reduce((a, b) => a * b, types[type].BYTES_PER_ELEMENT);
  if (end - begin !== wanted)
    throw bad(`of ${end - begin} bytes, expected ${wanted} for ${type} [${shape.join(', ')}]`);
  return { name, dtype: type, shape: shape, begin, end };
}

function readHeader(
  path: string,
  text: string,
): { entries: Entry[]; metadata: Record<string, string> } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw damaged(path, `has a header that is no JSON: ${(error as Error).message}`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw damaged(path, 'has a header that is no object');
  const { __metadata__: given = {}, ...tensors } = json as Record<string, unknown>;
  if (
    typeof given !== 'object' ||
    given === null ||
    Object.values(given).some((v) => typeof v !== 'string')
  )
    throw damaged(path, 'has metadata that are no strings');
  const entries = Object.entries(tensors)
    .map(([name, value]) => readEntry(path, name, value))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== at) throw damaged(path, `has a gap or an overlap before tensor '${name}'`);
    at = end;
  }
  return { entries, metadata: given as Record<string, string> };
}

/**
 * Reads a file whose header `accept` agrees to; nothing of the arrays' size is allocated before. It is refused if a length, an offset
 * or the file's own size does not fit.
 */
export async function readSafetensors(
  path: string,
  accept: (entries: readonly Entry[], metadata: Readonly<Record<string, string>>) => void,
  onProgress?: FileProgress,
): Promise<Stored> {
  checkByteOrder();
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    let bytes = 0;
    const read = (count: number) => {
      bytes += count;
      onProgress?.({ bytes, totalBytes: size });
    };
    const prefix = Buffer.alloc(8);
    if (size < 8 || !(await readAll(file, 0, prefix, read)))
      throw damaged(path, `has ${size} bytes, too few for a header`);
    const length = Number(prefix.readBigUInt64LE());
    if (length > mostHeaderBytes || 8 + length > size)
      throw damaged(path, `has a header of ${length} bytes in a file of ${size}`);
    const header = Buffer.alloc(length);
    if (!(await readAll(file, 8, header, read))) throw damaged(path, 'ends within its header');
    const { entries, metadata } = readHeader(path, header.toString('utf8'));
    const wanted = 8 + length + (entries.at(-1)?.end ?? 0);
    if (size !== wanted) throw damaged(path, `has ${size} bytes, expected ${wanted}`);
    accept(entries, metadata);
    const tensors = new Map<string, StoredTensor>();
    for (const { name, dtype, shape, begin, end } of entries) {
      const data = new types[dtype]((end - begin) / types[dtype].BYTES_PER_ELEMENT);
      if (!(await readAll(file, 8 + length + begin, bytesOf(data), read)))
        throw damaged(path, `ends within tensor '${name}'`);
      tensors.set(name, { data, shape });
    }
    return { tensors, metadata };
  } finally {
    await file.close();
  }
}
