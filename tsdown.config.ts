import { defineConfig, type UserConfig } from 'tsdown';

const shared: UserConfig = {
  outDir: 'dist',
  platform: 'node',
  target: 'node20',
  tsconfig: 'tsconfig.lib.json',
  dts: true,
  sourcemap: false,
  // The build script empties dist once: each of the two builds would delete the other's files.
  clean: false,
};

const entries = {
  index: 'lib/index.ts',
  promises: 'lib/promises.ts',
  tfjs: 'lib/tfjs.ts',
};

export default defineConfig([
  { ...shared, format: 'esm', entry: { ...entries, 'bin/logitcore': 'lib/bin/logitcore.ts' } },
  { ...shared, format: 'cjs', entry: entries },
]);
