// Builds the addon with node-gyp: only what changed, on every core.
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { nodeGypEnv } = require('./node-gyp-env.cjs');

const root = path.resolve(__dirname, '..');

function buildAddon(args = []) {
  const { status, error } = spawnSync(
    process.execPath,
    [require.resolve('node-gyp/bin/node-gyp.js'), 'configure', 'build', ...args],
    { cwd: root, env: nodeGypEnv(), stdio: 'inherit' },
  );
  if (error) console.error(`logitcore: node-gyp could not be started: ${error.message}`);
  return status ?? 1;
}

module.exports = { buildAddon };

if (require.main === module) process.exitCode = buildAddon(process.argv.slice(2));
