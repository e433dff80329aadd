/** Writes the cases of bits-run.ts. Arguments: the file, the widths (or all), and ops (or all). */
import { writeFileSync } from 'node:fs';
import { ops } from 'logitcore';
import { casesOf } from './hash-cases.js';

const [output = '', widths = 'all', names = ''] = process.argv.slice(2);
const given = widths === 'all' ? undefined : widths.split(',').map(Number);
const chosen = names === '' ? undefined : new Set(names.split(','));
const cases = ops()
  .filter(({ name }) => !chosen || chosen.has(name))
  .flatMap((record) => casesOf(record, given));
writeFileSync(output, JSON.stringify(cases));
console.log(`${cases.length} calls`);
