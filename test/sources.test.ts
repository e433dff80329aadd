// What no compiler says: inline functions of one name in two files of a level are one function to the linker, whichever it keeps.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const folder = new URL('../cpp/ops/', import.meta.url);

/** Functions with their parameter types, and structs, that a file defines outside of any other. */
function definitions(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const struct = /^(?:template <.*?> )?(?:struct|class) (\w+)(?:<| |$)(?!.*;$)/.exec(line);
    const name =
      /^(?:template <.*?> )?(?:(?:LGC_FN|LGC_MATH|inline|constexpr) )+[^=;]*?[ *&](\w+)\(([^)]*)/.exec(
        line,
      );
    if (struct) found.push(struct[1]);
    else if (name) found.push(`${name[1]}(${name[2].replace(/ ?\w+(?=,|$)/g, '')})`);
  }
  return found;
}

test('no two files of cpp/ops define the same name', () => {
  const owners = new Map<string, string>();
  for (const file of readdirSync(folder))
    for (const name of new Set(definitions(readFileSync(new URL(file, folder), 'utf8')))) {
      const owner = owners.get(name);
      expect(owner, `${name} of ${file} and ${owner}`).toBeUndefined();
      owners.set(name, file);
    }
  expect(owners.size).toBeGreaterThan(200);
});
