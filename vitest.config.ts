import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (name: string) => fileURLToPath(new URL(`./lib/${name}.ts`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^logitcore$/, replacement: source('index') },
      { find: /^logitcore\/promises$/, replacement: source('promises') },
      { find: /^logitcore\/tfjs$/, replacement: source('tfjs') },
      { find: /^logitcore\/cuda$/, replacement: source('cuda') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    // Processes, not threads: the addon keeps one pool of threads per process.
    pool: 'forks',
    // Exhaustive tests take as long as the machine needs.
    testTimeout: 0,
    hookTimeout: 0,
    teardownTimeout: 60_000,
  },
});
