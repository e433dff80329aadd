// Prebuilt files are named so that node-gyp-build, which the install script asks, takes the same one as lib/binding.ts.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname } from 'node:path';
import { describe, expect, test } from 'vitest';

interface Target {
  readonly id: string;
  readonly platform: string;
  readonly arch: string;
  readonly libc?: string;
  readonly file: string;
}
interface Tags {
  readonly file: string;
  readonly specificity: number;
  readonly libc?: string;
}
interface Resolver {
  parseTuple(name: string): { platform: string; architectures: string[] } | undefined;
  parseTags(file: string): Tags | undefined;
}

const root = new URL('..', import.meta.url);
const { targets } = (await import(new URL('scripts/prebuild/targets.mjs', root).href)) as {
  targets: Target[];
};
const resolver = createRequire(import.meta.url)('node-gyp-build/node-gyp-build.js') as Resolver;

describe.each(targets)('$id', ({ platform, arch, libc, file }) => {
  test('lies in the folder of its machine', () => {
    const tuple = resolver.parseTuple(basename(dirname(file)));
    expect(tuple).toMatchObject({ platform, architectures: [arch] });
  });
  test('is tagged by its libc and by nothing else', () => {
    const tags = resolver.parseTags(basename(file));
    expect(tags?.libc).toBe(libc);
    expect(tags?.specificity).toBe(libc ? 1 : 0);
  });
});

test('every file has a name of its own', () => {
  expect(new Set(targets.map(({ file }) => file)).size).toBe(targets.length);
});

test('every source that is compiled is in the package', () => {
  const { files } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    files: string[];
  };
  for (const name of ['cpp', 'binding.gyp', 'prebuilds', 'scripts/sources.cjs'])
    expect(files).toContain(name);
});

test('binding.gyp and CMakeLists.txt name no source and no instruction set themselves', () => {
  for (const name of ['binding.gyp', 'CMakeLists.txt']) {
    const text = readFileSync(new URL(name, root), 'utf8');
    // The thread pools, which programs that measure or check them use without the rest.
    const alone = ['cpp/engine/jobs.cpp', 'cpp/engine/threads.cpp'];
    const named = [...new Set(text.match(/cpp\/[\w/]*\.cpp/g))].sort();
    expect(named).toEqual(name === 'CMakeLists.txt' ? alone : []);
    expect(text).not.toMatch(/-mavx|-mfma/);
  }
});
