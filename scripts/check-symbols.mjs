// Checks the compiled addon (Linux). Inline functions that several objects share are
// merged by the linker into one copy. If the objects of one instruction level shared
// one with the rest, every machine might run the copy with that level's instructions.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const release = fileURLToPath(new URL('../build/Release/', import.meta.url));
const levels = ['avx2', 'avx512', 'neon'];
const exported = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
const problems = [];

/** [letter, name] of every symbol that `file` defines. */
function symbols(file, ...args) {
  const text = execFileSync('nm', ['-C', '--defined-only', ...args, file], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return [...text.matchAll(/^[0-9a-f]* *([A-Za-z]) (.+)$/gm)].map(([, letter, name]) => [
    letter,
    name,
  ]);
}

let objects = 0;
for (const level of levels) {
  const folder = path.join(release, 'obj.target', `logitcore_${level}`, 'cpp/ops');
  if (!existsSync(folder)) continue;
  for (const object of readdirSync(folder).filter((name) => name.endsWith('.o'))) {
    objects++;
    for (const [letter, name] of symbols(path.join(folder, object))) {
      // Weak, weak object and unique: the kinds that are merged.
      if ('WVu'.includes(letter) && !name.includes(`::${level}::`)) {
        problems.push(`${level}/${object} shares ${name} with other levels`);
      }
    }
  }
}

const visible = symbols(path.join(release, 'logitcore.node'), '-D').map(([, name]) => name);
for (const name of visible) {
  if (!exported.includes(name)) problems.push(`logitcore.node exports ${name}`);
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`symbols: ${objects} objects of ${levels.join(', ')} share nothing with other levels`);
