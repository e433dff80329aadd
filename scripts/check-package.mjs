// Checks what would be published: packs it, lints the exports, installs it into empty folders and uses it from there in every way a
// program can.
//   npm run check:package               with the files at hand; --full also compiles the package from its sources
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import {
  bareEnvironment,
  bin,
  installedIn,
  managers,
  newFolder,
  newProject,
  removeFolders,
  root,
  run,
  useAsJavaScript,
  useAsTypeScript,
  wasBuilt,
} from './package/folder.mjs';
import { fileOf, targets } from './prebuild/targets.mjs';

const { nodeGypEnv } = createRequire(import.meta.url)('./node-gyp-env.cjs');
const full = process.argv.includes('--full');

const isMusl = !process.report.getReport().header.glibcVersionRuntime;
const own = targets.find(
  ({ platform, arch, libc }) =>
    platform === process.platform &&
    arch === process.arch &&
    (!libc || libc === (isMusl ? 'musl' : 'glibc')),
);

function checkLockfile() {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const named = Object.keys(packages).filter((name) => packages[name].resolved);
  if (named.length > 0)
    throw new Error(`package-lock.json has download addresses: ${named.join(', ')}`);
}

function pack(from, name) {
  const folder = newFolder(name);
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [{ filename, entryCount, size, unpackedSize, files }] = JSON.parse(
    execFileSync('npm', args, { cwd: from, encoding: 'utf8' }),
  );
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  console.log(
    `package: ${entryCount} files, ${megabytes(size)} MB packed, ${megabytes(unpackedSize)} MB installed`,
  );
  return { tarball: path.join(folder, filename), files: files.map((file) => file.path) };
}

/** The same package without prebuilt files. */
function packSources() {
  const folder = newFolder('sources');
  const { files } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  copyFileSync(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  for (const name of [...files, 'README.md', 'LICENSE']) {
    if (name === 'prebuilds') continue;
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    execFileSync('cp', ['-R', path.join(root, name), path.join(folder, name)]);
  }
  return pack(folder, 'sources-packed');
}

/** As a stranger without a compiler meets it. */
function checkPrebuilt(tarball) {
  const env = bareEnvironment();
  for (const [name, add] of Object.entries(managers)) {
    const folder = newProject(name);
    add(tarball, folder, env);
    if (wasBuilt(folder)) throw new Error(`${name} compiled the package`);
    const facts = useAsJavaScript(folder, 'prebuilds', env);
    useAsTypeScript(folder, env);
    console.log(`package: installed by ${name} and used without a compiler (${facts.isa})`);
  }
}

/** The sources stand on their own outside a checkout. */
function checkSources(tarball) {
  if (!full && !existsSync(path.join(root, 'build/Release/logitcore.node'))) {
    console.log('package: this checkout has no build, so its sources were not checked');
    return;
  }
  const folder = newProject('from-sources');
  if (full) {
    run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], folder);
  } else {
    // Compiling once more takes minutes: the addon of this checkout takes its place.
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
    run('npm', [...args, tarball], folder);
    const installed = installedIn(folder);
    run(
      process.execPath,
      [bin('node-gyp'), 'configure', '--loglevel=error'],
      installed,
      nodeGypEnv(),
    );
    const release = path.join('build', 'Release');
    mkdirSync(path.join(installed, release), { recursive: true });
    const addon = path.join(release, 'logitcore.node');
    copyFileSync(path.join(root, addon), path.join(installed, addon));
  }
  const facts = useAsJavaScript(folder, 'build');
  useAsTypeScript(folder);
  console.log(
    `package: ${full ? 'compiled from' : 'configured with'} its sources and used (${facts.isa})`,
  );
}

/** Everything the compiler reads must be in the package, and nothing of the checkout's own. */
function checkFiles(files) {
  const strange = files.filter((name) =>
    /^(test|bench|docs|examples|scripts\/(prebuild|package))\b/.test(name),
  );
  if (strange.length > 0) throw new Error(`in the package: ${strange.join(', ')}`);
}

try {
  checkLockfile();
  const { tarball, files } = pack(root, 'packed');
  checkFiles(files);
  run(bin('publint'), ['run', tarball, '--strict'], root);
  // Resolution older than `exports` has no subpaths; Node.js 20 and the TypeScript for it do.
  run(bin('attw'), [tarball, '--profile', 'node16'], root);
  if (own && existsSync(fileOf(own))) checkPrebuilt(tarball);
  else console.log('package: no prebuilt file for this machine, so installing one was not checked');
  checkSources(packSources().tarball);
} finally {
  removeFolders();
}
