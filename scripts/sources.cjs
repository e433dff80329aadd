// The lists that binding.gyp, CMakeLists.txt and the prebuilt files share:
//   node scripts/sources.cjs cpp/ops ...       the .cpp files of folders, as paths relative to the package root
//   node scripts/sources.cjs --flags avx2      what a compiler must be told for that level
// One a line.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

const levelFlags = {
  // The reference level: more optimisation costs minutes of compilation and megabytes.
  portable: ['-Os'],
  neon: [],
  avx2: ['-mavx2', '-mfma'],
  avx512: [
    '-mavx512f',
    '-mavx512bw',
    '-mavx512dq',
    '-mavx512vl',
    '-mavx2',
    '-mfma',
    '-mprefer-vector-width=512',
  ],
};

/** The folder is the list. Sorted: the order readdir gives differs between file systems. */
function sourcesOf(folder) {
  const names = fs.readdirSync(path.join(root, folder)).filter((name) => name.endsWith('.cpp'));
  return names.sort().map((name) => `${folder}/${name}`);
}

module.exports = { levelFlags, sourcesOf };

if (require.main === module) {
  const [first, ...rest] = process.argv.slice(2);
  const lines = first === '--flags' ? levelFlags[rest[0]] : [first, ...rest].flatMap(sourcesOf);
  for (const line of lines) console.log(line);
}
