import { defineConfig } from 'tsdown';

const entry = {
  index: 'lib/index.ts',
  promises: 'lib/promises.ts',
  tfjs: 'lib/tfjs.ts',
  cuda: 'lib/cuda.ts',
};

export default defineConfig({
  entry,
  platform: 'node',
  target: 'node20',
  tsconfig: 'tsconfig.lib.json',
  dts: true,
  report: false,
  logLevel: 'warn',
  checks: { pluginTimings: false },
  format: {
    esm: { entry: { ...entry, 'bin/logitcore': 'lib/bin/logitcore.ts' } },
    cjs: {},
  },
});
