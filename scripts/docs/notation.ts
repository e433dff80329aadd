// The words and signs of formulas in plain text, and how TeX writes them.

export const GREEK =
  /^(?:alpha|beta|gamma|delta|epsilon|eps|kappa|lambda|lam|mu|omega|pi|rho|sigma|tau|theta)$/;
const SHORT_GREEK: Record<string, string> = {
  eps: '\\varepsilon',
  epsilon: '\\varepsilon',
  lam: '\\lambda',
};

/** Functions that TeX has a command for. */
export const COMMANDS = new Set(['exp', 'log', 'cos', 'cosh', 'tanh', 'max', 'min', 'sqrt', 'sum']);
/** Functions that are set upright by name. */
export const NAMED = new Set([
  ...['softmax', 'softplus', 'sigmoid', 'sign', 'round', 'clip', 'mean', 'trace', 'pinv', 'mad'],
  ...['KL', 'CE', 'Var', 'bce', 'lse', 'log10', 'log1p', 'expm1', 'fma', 'stableMax', 'gw1d'],
]);
export const RELATIONS: Record<string, string> = {
  '=': '=',
  '<': '<',
  '>': '>',
  '<=': '\\le',
  '>=': '\\ge',
  '!=': '\\ne',
};
/** Words of a sentence inside a formula. */
export const WORDS = new Set(['row', 'rows', 'of', 'over']);

export interface Token {
  readonly kind: 'number' | 'name' | 'sign' | 'end';
  readonly text: string;
  /** Whether white space comes before, and after. */
  readonly before: boolean;
  readonly after: boolean;
}

export class NoFormula extends Error {}

export function tokenize(source: string): Token[] {
  const pattern =
    /(\s*)(?:(\d+(?:\.\d+)?(?:e-?\d+)?)|([A-Za-z]+\d*[a-z]*)|(\.\.\.|\|\||<=|>=|!=|[-+*/^=<>|()[\]{},.?:'_]))/y;
  const found: Omit<Token, 'after'>[] = [];
  while (pattern.lastIndex < source.length) {
    const match = pattern.exec(source);
    if (!match) throw new NoFormula();
    const [, space, number, name, sign] = match;
    const kind = number ? 'number' : name ? 'name' : 'sign';
    found.push({ kind, text: number || name || sign, before: space !== '' });
  }
  return found.map((token, i) => ({ ...token, after: found[i + 1]?.before ?? true }));
}

const END: Token = { kind: 'end', text: '', before: true, after: true };

/** A place among tokens. */
export class Cursor {
  protected at = 0;

  constructor(protected readonly tokens: readonly Token[]) {}

  protected peek(ahead = 0): Token {
    return this.tokens[this.at + ahead] ?? END;
  }

  protected is(text: string): boolean {
    return this.peek().kind === 'sign' && this.peek().text === text;
  }

  protected take(text: string): boolean {
    if (!this.is(text)) return false;
    this.at += 1;
    return true;
  }

  protected need(text: string): void {
    if (!this.take(text)) throw new NoFormula();
  }
}

export function symbol(text: string): string {
  if (GREEK.test(text)) return SHORT_GREEK[text] ?? `\\${text}`;
  const numbered = /^([A-Za-z]|[a-z]+)(\d+)$/.exec(text);
  if (numbered && (numbered[1].length === 1 || GREEK.test(numbered[1])))
    return `${symbol(numbered[1])}_{${numbered[2]}}`;
  if (text.length === 1) return text;
  const bar = /^([a-z])bar$/.exec(text);
  if (bar) return `\\bar{${bar[1]}}`;
  const differential = /^d([A-Za-z]|[a-z]{2,})$/.exec(text);
  if (differential && (differential[1].length === 1 || GREEK.test(differential[1])))
    return `\\mathrm{d}${symbol(differential[1])}`;
  return text === 'Infinity' ? '\\infty' : `\\mathit{${text}}`;
}

export function functionName(text: string): string {
  if (text === 'log10') return '\\log_{10}';
  return COMMANDS.has(text) ? `\\${text}` : `\\operatorname{${text}}`;
}
