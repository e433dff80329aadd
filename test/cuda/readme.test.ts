// The example of README.md does what it says.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { runScript } from '../support/child.js';
import { cudaBinary, describeCuda } from '../support/cuda.js';

describeCuda('README.md', () => {
  test('its example runs', async () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const example = /<!-- cuda-example -->\s*```ts\n(.*?)```/s.exec(readme)?.[1];
    const folder = mkdtempSync(join(tmpdir(), 'logitcore-'));
    const file = join(folder, 'example.mts');
    writeFileSync(file, example!);
    const { code, stdout, stderr } = await runScript(pathToFileURL(file).href, [], {
      env: { LOGITCORE_CUDA_BINARY: cudaBinary! },
    });
    rmSync(folder, { recursive: true });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^0\.318\d+ Float32Array\(6\) \[/);
  });
});
