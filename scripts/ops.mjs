// The ops as the functions of lib present them: their families in the order of lib/index.ts, their summaries and their papers.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const lib = fileURLToPath(new URL('../lib/', import.meta.url));

/** Names of people, as citations have them: `Sun et al.`, `Papyan, Han and Donoho`, `de Brebisson and Vincent`. */
const NAME = String.raw`(?:(?:de|El|van) )?[A-Z][\w-]+`;
const AUTHORS = String.raw`${NAME}(?: et al\.|(?:, ${NAME})*(?: and ${NAME})?) [12]\d{3}`;
const NUMBER = String.raw`arXiv (\d{4}\.\d{4,5})`;
const CITATION = new RegExp(String.raw`\b(${AUTHORS})(?:,? \(?${NUMBER})?|${NUMBER}`, 'g');

/** The text of a documentation comment on one line. */
function textOf(comment) {
  return comment
    .replace(/^\s*\* ?/gm, ' ')
    .replace(/\s+/g, ' ')
    .replace(/\{@link (\w+)\}/g, '$1')
    .trim();
}

/** The first sentence; what stands in backticks has no end of a sentence. */
function summaryOf(text) {
  const sentence = /^((?:`[^`]*`|[^`])*?[.:])(?= [A-Z@`-]|$)/.exec(text)?.[1] ?? text;
  return sentence.replace(/[:.]$/, '');
}

/** The papers that a text cites, with their numbers on arXiv if it gives them. */
function papersOf(text) {
  const papers = new Map();
  for (const [, authors, id, bare] of text.matchAll(CITATION)) {
    const number = id ?? bare;
    const title = authors ?? `arXiv ${number}`;
    const key = number ?? title;
    if (!papers.has(key)) papers.set(key, number ? { title, id: number } : { title });
  }
  return [...papers.values()];
}

/** The families in order, each with its ops: the functions that its file exports. */
export function families() {
  const index = readFileSync(`${lib}index.ts`, 'utf8');
  const names = [...index.matchAll(/export \* from '\.\/(\w+)\.js'/g)].map(([, name]) => name);
  return names.map((family) => {
    const source = readFileSync(`${lib}${family}.ts`, 'utf8');
    const functions = [...source.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\nexport function (\w+)/g)];
    const ops = functions.map(([, comment, name]) => {
      const text = textOf(comment);
      return { name, description: summaryOf(text), papers: papersOf(text) };
    });
    return { family, ops };
  });
}
