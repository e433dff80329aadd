// Builds the addon with node-gyp, only what changed, on every core.
// node-gyp itself builds on one core unless told otherwise.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

/** node-gyp's entry file: a local copy, else the one npm ships with. */
function nodeGyp() {
  try {
    return require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    // npm sets this for the scripts it runs, so an install needs no copy of its own.
    const bundled = process.env.npm_config_node_gyp;
    if (bundled && fs.existsSync(bundled)) return bundled;
    return undefined;
  }
}

function buildAddon(args = []) {
  const env = { ...process.env, JOBS: process.env.JOBS || 'max' };
  const entry = nodeGyp();
  const commands = ['configure', 'build', ...args];
  const result = entry
    ? spawnSync(process.execPath, [entry, ...commands], { cwd: root, env, stdio: 'inherit' })
    : spawnSync('node-gyp', commands, {
        cwd: root,
        env,
        stdio: 'inherit',
        shell: process.platform === 'win32',
      });
  if (result.error) console.error(`logitcore: node-gyp could not be started: ${result.error.message}`);
  return result.status ?? 1;
}

module.exports = { buildAddon };

if (require.main === module) process.exitCode = buildAddon(process.argv.slice(2));
