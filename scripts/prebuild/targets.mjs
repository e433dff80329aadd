// The machines that get a prebuilt file, in one list for building, checking and publishing.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
/** Where targets are built, one folder a processor: files of glibc and musl share their kernels' objects. */
export const buildFolder = path.join(root, 'build-prebuild');

export const glibcVersion = '2.28';
export const macosVersion = '11.0';
export const maxTotalBytes = 20e6;

const linux = (arch, libc) => {
  const cpu = { x64: 'x86_64', arm64: 'aarch64' }[arch];
  return {
    id: `linux-${arch}-${libc}`,
    platform: 'linux',
    arch,
    libc,
    triple: `${cpu}-linux-${libc === 'glibc' ? `gnu.${glibcVersion}` : 'musl'}`,
    file: `prebuilds/linux-${arch}/logitcore.${libc}.node`,
  };
};
const darwin = (arch) => ({
  id: `darwin-${arch}`,
  platform: 'darwin',
  arch,
  triple: `${{ x64: 'x86_64', arm64: 'aarch64' }[arch]}-macos.${macosVersion}`,
  file: `prebuilds/darwin-${arch}/logitcore.node`,
});

export const targets = [
  linux('x64', 'glibc'),
  linux('x64', 'musl'),
  linux('arm64', 'glibc'),
  linux('arm64', 'musl'),
  darwin('x64'),
  darwin('arm64'),
];

export function levelsOf({ platform, arch }) {
  if (arch === 'arm64') return ['neon'];
  return platform === 'darwin' ? ['portable', 'avx2'] : ['portable', 'avx2', 'avx512'];
}

/** The file that is published, and the same code with its symbols, for checks. */
export const fileOf = (target) => path.join(root, target.file);
export const symbolsOf = (target) => path.join(buildFolder, `${target.id}.symbols.node`);

/** The targets that `names` ask for; all if there are none. */
export function chooseTargets(names) {
  if (names.length === 0) return targets;
  return names.map((name) => {
    const target = targets.find(({ id }) => id === name);
    if (!target)
      throw new Error(`no target ${name}; there are ${targets.map(({ id }) => id).join(', ')}`);
    return target;
  });
}
