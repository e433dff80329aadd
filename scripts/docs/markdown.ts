// What the site's Markdown has beyond TypeDoc's: formulas set by KaTeX, and links to the papers that a text names.
import katex from 'katex';
import { texOf } from './formula.js';

/** The parts of markdown-it that are used here; it has no types of its own. */
interface Token {
  type: string;
  content: string;
  /** The language of a block of code. */
  info: string;
  children: Token[] | null;
  meta: unknown;
}
interface State {
  src: string;
  tokens: Token[];
}
type CoreRule = (state: State) => void;
export interface MarkdownParser {
  readonly core: {
    readonly ruler: {
      before(name: string, ruleName: string, rule: CoreRule): void;
      push(ruleName: string, rule: CoreRule): void;
    };
  };
  readonly renderer: {
    readonly rules: Record<string, ((tokens: Token[], index: number) => string) | undefined>;
  };
}

interface Formula {
  readonly tex: string;
  /** On lines of its own, with the punctuation that follows it. */
  readonly display: boolean;
}

/** From so many characters on a formula is easier to read on a line of its own, and earlier if it has a fraction. */
const LONG = 45;
const LONG_FRACTION = 26;

export function extendMarkdown(parser: MarkdownParser): void {
  parser.core.ruler.before('normalize', 'papers', (state) => {
    state.src = linkPapers(state.src);
  });
  parser.core.ruler.push('formulas', ({ tokens }) => {
    for (const token of tokens) {
      if (token.children) markFormulas(token.children);
      // TypeDoc would take it for TypeScript.
      if (token.type === 'fence' && token.info === '') token.info = 'text';
    }
  });
  parser.renderer.rules.formula = (tokens, index) => {
    const { content, meta } = tokens[index];
    const { tex, display } = meta as Formula;
    const html = katex.renderToString(tex, { strict: 'error', displayMode: display });
    return `<span class="formula" title="${escapeHtml(content)}">${html}</span>`;
  };
}

/** Turns `arXiv 2403.01427` into a link, but not inside one. */
export function linkPapers(text: string): string {
  return text.replace(
    /(?<!\[)arXiv\s+(\d{4}\.\d{4,5})/g,
    (_, id: string) => `[arXiv\u00a0${id}](https://arxiv.org/abs/${id})`,
  );
}

function markFormulas(children: Token[]): void {
  children.forEach((token, i) => {
    if (token.type !== 'code_inline') return;
    const displayed = texOf(token.content, 'display');
    if (displayed === undefined) return;
    const long = displayed.includes('\\frac') ? LONG_FRACTION : LONG;
    const display = token.content.length >= long;
    const tex = display ? displayed : (texOf(token.content, 'inline') ?? displayed);
    const next = children.at(i + 1);
    let end = '';
    if (display && next?.type === 'text') {
      end = /^[.,;:]/.exec(next.content)?.[0] ?? '';
      next.content = next.content.slice(end.length);
    }
    token.type = 'formula';
    token.meta = { tex: end ? `${tex}\\text{${end}}` : tex, display } satisfies Formula;
  });
}

function escapeHtml(text: string): string {
  return text
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}
