// The environment node-gyp runs in.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

/**
 * The folder Node.js is installed in, if its headers are there too, as in its own archives.
 * With it, node-gyp need not download them, which fails on machines without that access.
 */
function nodeFolder() {
  const folder = path.resolve(process.execPath, '..', '..');
  try {
    const header = fs.readFileSync(path.join(folder, 'include/node/node_version.h'), 'utf8');
    const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(header)?.[1];
    const version = `${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`;
    return version === process.versions.node ? folder : undefined;
  } catch {
    return undefined;
  }
}

function nodeGypEnv() {
  const env = { ...process.env };
  // node-gyp compiles on one core unless told otherwise.
  env.JOBS ||= 'max';
  const folder = nodeFolder();
  if (folder) env.npm_config_nodedir ||= folder;
  return env;
}

module.exports = { nodeGypEnv, nodeFolder };
