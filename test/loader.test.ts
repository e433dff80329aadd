// Which file is loaded, and what a program is told where none can be: in a package of its own, in a process of its own.
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { info } from 'logitcore';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const addon = info().binary;
const here = `${process.platform}-${process.arch}`;
const elsewhere = process.platform === 'linux' ? 'darwin-arm64' : 'linux-x64';
const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
const libc = report.header?.glibcVersionRuntime ? 'glibc' : 'musl';
const own = process.platform === 'linux' ? `logitcore.${libc}.node` : 'logitcore.node';
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logitcore-loader-'));
  mkdirSync(join(folder, 'lib'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'binding.gyp'), '{}');
  copyFileSync(join(root, 'lib/binding.ts'), join(folder, 'lib/binding.ts'));
  writeFileSync(
    join(folder, 'lib/run.ts'),
    "import { binaryPath, binding } from './binding.js';\nconsole.log(JSON.stringify([binaryPath, typeof binding.version]));\n",
  );
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function put(file: string, bytes: Uint8Array = readFileSync(addon)): string {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

/** The file that was loaded. */
async function load(): Promise<string> {
  const args = ['--import', 'tsx', join(folder, 'lib/run.ts')];
  // Of the files that it looks for, whatever file the tests themselves are told to load.
  const env = { ...process.env, LOGITCORE_BINARY: undefined };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env });
  const [file, type] = JSON.parse(stdout) as [string, string];
  expect(type).toBe('string');
  return file;
}

async function refusal(): Promise<string> {
  const error: unknown = await load().catch((reason: unknown) => reason);
  const { stderr } = error as { stderr: string };
  const message = /Error: (logitcore: [^]*?)\n\s+at /.exec(stderr)?.[1];
  expect(message, stderr).toBeDefined();
  // One error, not one for each file.
  expect(stderr.match(/could not be loaded/g)).toHaveLength(1);
  return message!;
}

/** The addon with another processor in its header. */
function forAnotherProcessor(): Uint8Array {
  const bytes = Uint8Array.from(readFileSync(addon));
  // ELF: e_machine, 62 is x86-64 and 183 AArch64. Mach-O: cputype.
  if (bytes[0] === 0x7f) bytes[18] = bytes[18] === 62 ? 183 : 62;
  else bytes[4] = bytes[4] === 7 ? 12 : 7;
  return bytes;
}

describe('loads', () => {
  test('a build of this machine before a prebuilt file', async () => {
    put(`prebuilds/${here}/${own}`);
    const built = put('build/Release/logitcore.node');
    expect(await load()).toBe(built);
  });
  test('the prebuilt file, and not that of another libc', async () => {
    const broken = new Uint8Array(64);
    put(`prebuilds/${here}/a-note.txt`, broken);
    if (process.platform === 'linux')
      put(`prebuilds/${here}/logitcore.${libc === 'glibc' ? 'musl' : 'glibc'}.node`, broken);
    const file = put(`prebuilds/${here}/${own}`);
    expect(await load()).toBe(file);
  });
  test('the prebuilt file where the build is broken', async () => {
    put('build/Release/logitcore.node', readFileSync(addon).subarray(0, 4096));
    const file = put(`prebuilds/${here}/${own}`);
    expect(await load()).toBe(file);
  });
});

describe('says in one error what was tried, and what to do', () => {
  test('no files at all', async () => {
    const message = await refusal();
    expect(message).toContain(`${join(folder, 'build/Release/logitcore.node')}: no such file`);
    expect(message).toContain(`${join(folder, 'prebuilds', here, 'logitcore.node')}: no such file`);
    expect(message).toContain('There are no prebuilt files');
    expect(message).toContain('npm rebuild logitcore');
    expect(message).toContain(`${process.platform} ${process.arch}`);
    expect(message).toContain(process.versions.node);
  });
  test('files for other machines only', async () => {
    put(`prebuilds/${elsewhere}/logitcore.node`);
    expect(await refusal()).toContain(`prebuilt files for ${elsewhere} only`);
  });
  test('a truncated file', async () => {
    const file = put(`prebuilds/${here}/${own}`, readFileSync(addon).subarray(0, 4096));
    const message = await refusal();
    // The loader's own words follow the path.
    expect(message).toMatch(
      new RegExp(`${file}: .*(cut off|invalid|truncated|too small|cannot read)`),
    );
    expect(message).toContain('do not load here');
  });
  test('a file for another processor', async () => {
    const file = put(`prebuilds/${here}/${own}`, forAnotherProcessor());
    const message = await refusal();
    expect(message).toContain(`${file}: `);
    expect(message).toMatch(
      /cannot open shared object|incompatible architecture|Error loading|wrong/i,
    );
    expect(message).toContain('do not load here');
  });
});
