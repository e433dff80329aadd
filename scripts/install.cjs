// What npm runs to install the package: node-gyp-build takes the prebuilt file
// that fits this machine, and compiles the sources where there is none.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { nodeGypEnv } = require('./node-gyp-env.cjs');

const root = path.resolve(__dirname, '..');

// node-gyp-build keeps any build that loads, and in a checkout the sources may
// be newer than that build. Compiling there costs only what changed.
if (fs.existsSync(path.join(root, '.git'))) {
  process.exit(require('./build-addon.cjs').buildAddon());
}

const { status, error } = spawnSync(
  process.execPath,
  [path.join(path.dirname(require.resolve('node-gyp-build/package.json')), 'bin.js')],
  { cwd: root, env: nodeGypEnv(), stdio: 'inherit' },
);
if (error) console.error(`logitcore: node-gyp-build could not be started: ${error.message}`);
process.exitCode = status ?? 1;
