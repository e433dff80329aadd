// Prints the .cpp files of the given folders, one a line, as paths relative to
// the package root. binding.gyp calls it, so that the folder is the only list
// of sources.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

for (const folder of process.argv.slice(2)) {
  const names = fs.readdirSync(path.join(root, folder)).filter((name) => name.endsWith('.cpp'));
  // Sorted: the order readdir gives differs between file systems.
  for (const name of names.sort()) console.log(`${folder}/${name}`);
}
