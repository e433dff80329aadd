// Writes lib/promises.ts from the list of operations. Everything that reads the
// TypeScript sources runs this first.
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const generator = fileURLToPath(new URL('./generate-promises.mjs', import.meta.url));

if (existsSync(generator)) {
  await import(pathToFileURL(generator).href);
} else {
  console.warn('scripts/generate-promises.mjs is missing: lib/promises.ts was not written');
}
