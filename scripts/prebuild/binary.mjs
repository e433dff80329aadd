// What LLVM's tools say about a compiled file, whatever its format.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const run = (tool, args) =>
  execFileSync(tool, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });

export const header = (file) => run('llvm-readobj', ['--file-headers', file]);

/** Names of the symbols that others may use, or that others must have. */
export function dynamicSymbols(file, which, elf) {
  const args = elf ? ['-D', which] : ['-g', which];
  const lines = run('llvm-nm', [...args, '--format=just-symbols', file]).split('\n');
  return lines.filter((line) => line !== '' && !line.endsWith(':'));
}

export const elfLibraries = (file) =>
  [...run('llvm-readelf', ['-d', file]).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
export const elfVersions = (file) =>
  [
    ...new Set(
      run('llvm-readelf', ['--version-info', file]).match(
        /Name: (GLIBC|GLIBCXX|CXXABI|GCC)_[\w.]+/g,
      ),
    ),
  ].map((text) => text.replace('Name: ', ''));
export const elfSections = (file) => run('llvm-readelf', ['-S', '-W', file]);

export const machHeaders = (file) => run('llvm-objdump', ['--macho', '--private-headers', file]);
export const machLibraries = (file) =>
  [...run('llvm-objdump', ['--macho', '--dylibs-used', file]).matchAll(/^\t(\S+)/gm)].map(
    ([, name]) => name,
  );

/** The bytes of the machine code. */
export function code(file, elf) {
  const folder = mkdtempSync(path.join(tmpdir(), 'logitcore-code-'));
  try {
    const out = path.join(folder, 'code');
    run('llvm-objcopy', [
      `--dump-section=${elf ? '.text' : '__TEXT,__text'}=${out}`,
      file,
      path.join(folder, 'copy'),
    ]);
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Symbols with their sizes, which only ELF has. */
export function* sizedSymbols(file) {
  const text = run('llvm-nm', ['-C', '-S', '--defined-only', file]);
  for (const [, size, letter, name] of text.matchAll(/^[0-9a-f]+ ([0-9a-f]+) (\w) (.+)$/gm))
    yield { bytes: parseInt(size, 16), letter, name };
}

/** Calls visit(function's name, mnemonic, operands) for every instruction. */
export async function disassemble(file, visit) {
  const args = ['-d', '-C', '--no-show-raw-insn', '--no-leading-addr', file];
  const child = spawn('llvm-objdump', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  let name = '';
  for await (const line of createInterface({ input: child.stdout })) {
    const start = /^<(.*)>:$/.exec(line) ?? /^[0-9a-f]+ <(.*)>:$/.exec(line);
    if (start) {
      [, name] = start;
      continue;
    }
    const instruction = /^\s+(?:[0-9a-f]+:\s+)?([a-z][\w.]*)\s*(.*)$/.exec(line);
    if (instruction) visit(name, instruction[1], instruction[2]);
  }
  const status = await ended;
  if (status !== 0) throw new Error(`llvm-objdump ended with ${status}`);
}
