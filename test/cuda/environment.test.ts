// What the environment decides, in processes of their own.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runScript } from '../support/child.js';
import { cudaBinary, describeCuda, describeEmulated, emulatedBinary } from '../support/cuda.js';

async function run(
  scenario: string,
  env: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  const { code, signal, stdout, stderr } = await runScript('cuda-run.ts', [scenario], { env });
  expect([code, signal], stderr).toEqual([0, null]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const reasons: [string, Record<string, string>, RegExp][] = [
  [
    'no driver',
    { LOGITCORE_CUDA_EMULATED_DRIVER: '0' },
    /^there is no NVIDIA driver: install one that supports CUDA 13\.0/,
  ],
  [
    'an old driver',
    { LOGITCORE_CUDA_EMULATED_DRIVER: '12040' },
    /^the NVIDIA driver supports CUDA 12\.4, but CUDA 13\.0 is needed: update the driver/,
  ],
  [
    'no device',
    { LOGITCORE_CUDA_EMULATED_DEVICES: '0' },
    /^there is no NVIDIA GPU that this process can see: look at the output of nvidia-smi/,
  ],
  [
    'a device number that is none',
    { LOGITCORE_CUDA_DEVICE: '7' },
    /^LOGITCORE_CUDA_DEVICE is '7': set it to the number of a device, 0\.\.0/,
  ],
  [
    'no file',
    { LOGITCORE_CUDA_BINARY: '/nowhere/logitcore_cuda.node' },
    /^there is no file \/nowhere\/logitcore_cuda\.node: install @logitcore\/cuda/,
  ],
  [
    'a file that is no addon',
    { LOGITCORE_CUDA_BINARY: fileURLToPath(import.meta.url).replace(/test\/cuda.*/, 'LICENSE') },
    /LICENSE does not load \(.*\): install @logitcore\/cuda/,
  ],
];

describeEmulated('where CUDA cannot be used', () => {
  for (const [name, env, reason] of reasons)
    test(`${name} is said in one sentence, with what to do`, async () => {
      const result = await run('reason', { LOGITCORE_CUDA_BINARY: emulatedBinary, ...env });
      expect(result.available).toBe(false);
      expect(result.reason).toMatch(reason);
      expect(result.reason).not.toMatch(/\n/);
      expect(result.info).toMatchObject({ available: false, reason: result.reason });
      expect(result.thrown).toBe(
        `Error: logitcore: CUDA is not available: ${String(result.reason)}`,
      );
    });
});

describeEmulated('a device without memory', () => {
  test('what does not fit is an Error, and all else goes on', async () => {
    const result = await run('memory', {
      LOGITCORE_CUDA_BINARY: emulatedBinary,
      LOGITCORE_CUDA_EMULATED_MEMORY: '1048576',
    });
    const outOf = (op: string) =>
      new RegExp(`^Error: ${op}: out of device memory \\(wanted 400000 bytes, free \\d+ bytes\\)$`);
    expect(result.upload).toMatch(outOf('tensor'));
    expect(result.op).toMatch(outOf('softmax'));
    expect(result.reduced).toMatch(outOf('standardizeLogits'));
    expect(result).toMatchObject({ leaked: 0, third: 120_000, value: 0.25 });
  });
});

describeEmulated('large products', () => {
  const fake = emulatedBinary.replace('logitcore_cuda.node', 'fake_cublaslt.so');
  // The stand-in sums in double, so that its results are those of the host, rounded.
  const libraries: [string, Record<string, string>, boolean][] = [
    ['are left to the library that the environment names', { LOGITCORE_CUBLASLT: fake }, true],
    ['are not where it names none', { LOGITCORE_CUBLASLT: '' }, false],
    [
      'are not where there is no such file',
      { LOGITCORE_CUBLASLT: '/nowhere/libcublasLt.so' },
      false,
    ],
    ['are not where the file is another library', { LOGITCORE_CUBLASLT: emulatedBinary }, false],
  ];
  for (const [name, env, byLibrary] of libraries)
    test(name, async () => {
      const result = await run('products', { LOGITCORE_CUDA_BINARY: emulatedBinary, ...env });
      expect(result.most).toBeLessThan(1e-3);
      expect(result.correlation).toBeLessThan(1e-5);
      expect(result).toMatchObject({ isRounded: byLibrary });
      expect(result.cublasLt).toBe(byLibrary ? '13.1.1' : undefined);
    });
  test('are not where the library does not start', async () => {
    const result = await run('products', {
      LOGITCORE_CUDA_BINARY: emulatedBinary,
      LOGITCORE_CUBLASLT: fake,
      FAKE_CUBLASLT_FAILS: '1',
    });
    expect(result.isRounded).toBe(false);
    expect(result.most).toBeLessThan(1e-3);
  });
});

describeCuda('the addon', () => {
  test('is loaded at its first use, not with logitcore', async () => {
    expect(await run('lazy', { LOGITCORE_CUDA_BINARY: cudaBinary! })).toEqual({
      before: false,
      after: true,
    });
  });
  test('says what it runs on', async () => {
    const result = await run('reason', { LOGITCORE_CUDA_BINARY: cudaBinary! });
    expect(result).toMatchObject({
      available: true,
      thrown: '',
      info: { available: true, binary: cudaBinary },
    });
  });
  test('outlives workers that end with reads under way', async () => {
    const result = await run('workers', { LOGITCORE_CUDA_BINARY: cudaBinary! });
    expect(result).toEqual({ values: new Array(10).fill(3), tensors: 0 });
  });
});

test('the package of the addon has the version of logitcore', () => {
  const manifest = (path: string) =>
    JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string };
  expect(manifest('../../packages/cuda-linux-x64/package.json').version).toBe(
    manifest('../../package.json').version,
  );
});
