// The comments of lib write mathematics as plain text in backticks, which editors show as they are. This turns such a span into TeX for
// the site. Anything that is not surely a formula (shapes, names, paths, commands) gives undefined and stays code.

import {
  COMMANDS,
  Cursor,
  functionName,
  GREEK,
  NAMED,
  NoFormula,
  RELATIONS,
  symbol,
  tokenize,
  WORDS,
  type Token,
} from './notation.js';

/** A piece of TeX, and what the pieces around it want to know. */
interface Piece {
  readonly tex: string;
  /** Set as a word or a function, so that it needs a space from its neighbours. */
  readonly wide?: boolean;
  /** What parentheses contain, if the piece is one pair of them. */
  readonly inner?: string;
}

class Parser extends Cursor {
  private bars: string[] = [];
  private parentheses = 0;
  private inKl = false;
  /** How many parentheses, brackets, bars, indices and exponents are open. Where any is, fractions have a slash. */
  private enclosed: number;
  /** Whether something was seen that only formulas have. */
  mathematical = false;

  constructor(tokens: readonly Token[], inline: boolean) {
    super(tokens);
    this.enclosed = inline ? 1 : 0;
  }

  parse(): string {
    const { tex } = this.relation();
    if (this.peek().kind !== 'end') throw new NoFormula();
    return tex;
  }

  private relation(): Piece {
    let { tex } = this.sum();
    while (this.peek().kind === 'sign' && this.peek().text in RELATIONS) {
      const { text, before, after } = this.peek();
      // An assignment of a shell has no spaces, an arrow two signs.
      if (!before || !after) throw new NoFormula();
      this.at += 1;
      this.mathematical = true;
      tex += ` ${RELATIONS[text]} ${this.sum().tex}`;
    }
    return { tex };
  }

  private sum(): Piece {
    const negative = this.take('-');
    if (negative) this.mathematical = true;
    const first = this.product();
    if (!negative && !this.is('+') && !this.is('-')) return first;
    let tex = negative ? `-${first.tex}` : first.tex;
    while (this.is('+') || this.is('-')) {
      this.checkSpacing();
      const { text } = this.peek();
      this.at += 1;
      this.mathematical = true;
      tex += ` ${text} ${this.product().tex}`;
    }
    return { tex };
  }

  /**
   * Names of files and options have signs between words; in formulas signs stand apart, or beside letters, or (in parentheses) beside
   * numbers.
   */
  private checkSpacing(): void {
    const { before, after } = this.peek();
    if (before !== after) throw new NoFormula();
    if (before) return;
    const sides = [this.peek(-1), this.peek(1)];
    const words = sides.filter(({ kind, text }) => kind === 'name' && text.length > 1).length;
    const numbers = sides.filter(({ kind }) => kind === 'number').length;
    if (words > 0 && !(this.parentheses > 0 && numbers > 0)) throw new NoFormula();
  }

  /** Factors side by side; what is divided goes over what it is divided by, from left to right. */
  private product(): Piece {
    let done: Piece | undefined;
    let over = this.factors();
    while (this.is('/')) {
      const under: Piece[] = [];
      while (this.is('/')) {
        this.checkSpacing();
        this.at += 1;
        this.mathematical = true;
        under.push(this.factor());
      }
      const quotient = this.quotient(over, under);
      done = done ? beside(done, quotient) : quotient;
      const times = this.startsTimes();
      if (times) this.at += 1;
      else if (!this.startsFactor()) return done;
      if (times) done = { tex: `${done.tex} \\cdot` };
      over = this.factors();
    }
    return done ? beside(done, over) : over;
  }

  private factors(): Piece {
    let left = this.factor();
    for (;;) {
      if (this.startsTimes()) {
        this.at += 1;
        left = { tex: `${left.tex} \\cdot ${this.factor().tex}` };
      } else if (this.startsFactor()) {
        const applied = this.is('(') && !this.peek().before;
        const right = this.factor();
        left = applied ? { tex: `${left.tex}${right.tex}` } : beside(left, right);
      } else return left;
    }
  }

  /** A spaced star or dot, or a dot between letters. */
  private startsTimes(): boolean {
    const { before, after } = this.peek();
    if (this.is('*')) return before && after;
    if (!this.is('.')) return false;
    const letters = [this.peek(-1), this.peek(1)].every(
      ({ kind, text }) => kind === 'name' && text.length === 1,
    );
    const dot = before ? after : !after && letters;
    if (dot) this.mathematical = true;
    return dot;
  }

  private quotient(over: Piece, under: Piece[]): Piece {
    // Fractions there would be too small to read.
    if (this.enclosed > 0) return { tex: [over, ...under].map(({ tex }) => tex).join(' / ') };
    const below = under.length === 1 ? (under[0].inner ?? under[0].tex) : under.reduce(beside).tex;
    return { tex: `\\frac{${over.inner ?? over.tex}}{${below}}` };
  }

  private startsFactor(): boolean {
    const { kind, text } = this.peek();
    if (kind === 'name' || kind === 'number') return true;
    if (kind !== 'sign') return false;
    if (text === '|' || text === '||')
      return this.bars.at(-1) !== text && !(text === '||' && this.inKl);
    return text === '(' || text === '[' || text === '...';
  }

  private factor(): Piece {
    const start = this.at;
    const base = this.base();
    // `2p` is one factor: `1 / 2p`.
    if (this.tokens[start].kind === 'number' && this.at === start + 1) {
      const next = this.peek();
      if (next.kind === 'name' && !next.before) return beside(base, this.factor());
    }
    return base;
  }

  private base(): Piece {
    const token = this.peek();
    if (token.kind === 'end') throw new NoFormula();
    this.at += 1;
    if (token.kind === 'number') return this.scripts(this.number(token));
    if (token.kind === 'name') return this.name(token);
    switch (token.text) {
      case '(': {
        const inner = this.list(')');
        return this.scripts({ tex: `(${inner})`, inner });
      }
      case '[':
        return this.scripts({ tex: `[${this.list(']')}]` });
      case '|':
      case '||': {
        this.mathematical = true;
        this.bars.push(token.text);
        this.enclosed += 1;
        const { tex } = this.sum();
        this.enclosed -= 1;
        this.need(token.text);
        this.bars.pop();
        const bar = token.text === '|' ? 'vert' : 'Vert';
        return this.scripts({ tex: `\\l${bar} ${tex}\\r${bar}` });
      }
      case '...':
        return { tex: '\\dots' };
      default:
        throw new NoFormula();
    }
  }

  private number({ text, before }: Token): Piece {
    if (text.includes('e')) {
      const [digits, exponent] = text.split('e');
      return { tex: `${digits === '1' ? '' : `${digits} \\cdot `}10^{${exponent}}` };
    }
    // A one that multiplies is the vector of ones.
    const next = this.peek();
    const previous = this.peek(-2);
    const multiplies =
      text === '1' &&
      ((next.kind === 'name' && next.before) ||
        (this.is('(') && next.before) ||
        (before && previous.kind === 'name'));
    return { tex: multiplies ? '\\mathbf{1}' : text };
  }

  private name({ text }: Token): Piece {
    if (WORDS.has(text)) return { tex: `\\text{${text}}`, wide: true };
    // `bitList.length`
    if (this.is('.') && !this.peek().before && !this.peek().after && text.length > 1) {
      this.at += 1;
      const member = this.peek();
      if (member.kind !== 'name') throw new NoFormula();
      this.at += 1;
      return { tex: `\\mathit{${text}.${member.text}}`, wide: true };
    }
    if (COMMANDS.has(text) || NAMED.has(text)) return this.call(text);
    const single = text.length === 1 || GREEK.test(text);
    if (this.is('_') && single) this.mathematical = true;
    const called = this.is('(') && !this.peek().before;
    if (called && single) this.mathematical = true;
    return this.scripts({ tex: symbol(text), wide: !single && !/^d?[A-Za-z]\d*$/.test(text) });
  }

  /** A function with its argument: in parentheses or, as in `log p_j`, one factor. */
  private call(text: string): Piece {
    if (text === 'sqrt') return this.root();
    const name = functionName(text);
    const head = this.scripts({ tex: name }, ['max', 'min', 'sum'].includes(text)).tex;
    if (head !== name) this.mathematical = true;
    const applied = this.is('(') && !this.peek().before;
    if (text === 'sum' && !applied) {
      if (!this.startsFactor()) throw new NoFormula();
      this.mathematical = true;
      return { tex: `${head} ${this.factors().tex}`, wide: true };
    }
    if (this.is('(')) {
      this.mathematical = true;
      this.at += 1;
      const outer = this.inKl;
      this.inKl = text === 'KL';
      const argument = this.list(')');
      this.inKl = outer;
      const { tex } = this.scripts({ tex: `(${argument})` });
      return { tex: `${text === 'sum' ? '\\operatorname{sum}' : head}${tex}`, wide: true };
    }
    // `log p_j`, `max|x|`, `max_k a_ik`; by itself, as in `z - mean`, it is a value.
    if (!COMMANDS.has(text) || !this.startsFactor())
      return { tex: head.replace(name, `\\mathrm{${text}}`), wide: true };
    this.mathematical = true;
    return { tex: `${head} ${this.factor().tex}`, wide: true };
  }

  private root(): Piece {
    this.mathematical = true;
    if (!this.startsFactor()) throw new NoFormula();
    // Under a root a fraction is as large as beside it.
    const parenthesised = this.take('(');
    const tex = parenthesised ? this.argument() : this.factor().tex;
    return this.scripts({ tex: `\\sqrt{${tex}}` });
  }

  private argument(): string {
    const { tex } = this.relation();
    this.need(')');
    return tex;
  }

  /** What stands in parentheses: relations and choices, with commas or, in a divergence, bars between. */
  private list(close: string): string {
    const bars = this.bars;
    this.bars = [];
    this.enclosed += 1;
    this.parentheses += 1;
    let tex = this.choice();
    while (!this.is(close)) {
      const divergence = this.inKl && this.take('||');
      if (!divergence) this.need(',');
      tex += `${divergence ? ' \\,\\|\\, ' : ', '}${this.choice()}`;
    }
    this.need(close);
    this.enclosed -= 1;
    this.parentheses -= 1;
    this.bars = bars;
    return tex;
  }

  private choice(): string {
    const { tex: condition } = this.relation();
    if (!this.take('?')) return condition;
    const { tex: yes } = this.sum();
    this.need(':');
    const { tex: no } = this.sum();
    return `${yes} \\text{ if } ${condition}\\text{, else } ${no}`;
  }

  /** Primes, stars, hats, indices and exponents. */
  private scripts(base: Piece, limits = false): Piece {
    let { tex } = base;
    if (this.is('*') && !this.peek().before && this.peek().after) {
      this.at += 1;
      this.mathematical = true;
      tex = `${tex}^{*}`;
    }
    let primes = '';
    while (!this.peek().before && this.take("'")) primes += "'";
    if (primes) this.mathematical = true;
    let index = '';
    let exponent = '';
    let hat = false;
    for (;;) {
      if (this.peek().before) break;
      if (!index && this.take('_')) index = this.index(limits);
      else if (this.is('^')) {
        this.at += 1;
        this.mathematical = true;
        const next = this.peek();
        hat = next.kind === 'end' || next.before || (next.kind === 'sign' && next.text === ')');
        if (!hat) exponent = this.exponent();
      } else break;
    }
    if (hat) tex = `\\hat{${tex}}`;
    if (!index && !exponent && !primes && !hat) {
      // `losses[k]`
      if (this.is('[') && !this.peek().before) {
        this.at += 1;
        return { tex: `${tex}[${this.list(']')}]`, wide: true };
      }
      return tex === base.tex ? base : { ...base, tex };
    }
    const raised = `${primes}${exponent && `^{${exponent}}`}`;
    return { tex: `${tex}${raised}${index && `_{${index}}`}`, wide: base.wide ?? false };
  }

  private index(limits: boolean): string {
    if (this.is('(') || this.is('{')) {
      const close = this.is('(') ? ')' : '}';
      this.at += 1;
      const tex = this.list(close);
      // Order statistics keep their parentheses: x_(i).
      return close === ')' && !limits && /^\w+$/.test(tex) ? `(${tex})` : tex;
    }
    const { kind, text } = this.peek();
    if (kind !== 'name' && kind !== 'number') throw new NoFormula();
    this.at += 1;
    if (text === 'perp') return '\\perp';
    const digit = /^([a-z])(\d+)$/.exec(text);
    if (digit) return `${digit[1]}_{${digit[2]}}`;
    if (text.length < 3 || /^[ijklmnty]+$/.test(text)) return text.split('').join(' ');
    return GREEK.test(text) ? symbol(text) : `\\mathrm{${text}}`;
  }

  private exponent(): string {
    const minus = this.take('-') ? '-' : '';
    this.enclosed += 1;
    const token = this.peek();
    let tex: string;
    if (this.take('(')) tex = this.list(')');
    else if (token.kind === 'name' || token.kind === 'number') {
      this.at += 1;
      tex = token.text === 'T' ? '\\top' : token.kind === 'name' ? symbol(token.text) : token.text;
    } else throw new NoFormula();
    this.enclosed -= 1;
    return `${minus}${tex}`;
  }
}

function beside(left: Piece, right: Piece): Piece {
  const spoken = left.tex.startsWith('\\text') || right.tex.startsWith('\\text');
  const words = Number(left.wide ?? false) + Number(right.wide ?? false);
  const space = spoken ? '\\ ' : ([' ', '\\,', '\\;'][words] ?? '');
  return { tex: `${left.tex}${space}${right.tex}`, wide: right.wide ?? false };
}

/** Shapes and index lists, such as `[b, t, c]`, `P [n, c]` and `[max(n, m)]`. */
const SHAPE = /^(?:[A-Za-z]+ )?\[[^=[\]]*\]$/;

/** A product of letters and numbers. */
const LETTERS = /^(?:\d+|[A-Za-z])(?: [A-Za-z])*$/;

/** The TeX of a formula in plain text, within a line or on its own; undefined if the text is something else. */
export function texOf(source: string, place: 'inline' | 'display'): string | undefined {
  const text = source.trim();
  if (SHAPE.test(text)) return undefined;
  try {
    const parser = new Parser(tokenize(text), place === 'inline');
    const tex = parser.parse();
    return parser.mathematical || LETTERS.test(text) ? tex : undefined;
  } catch (error) {
    if (error instanceof NoFormula) return undefined;
    throw error;
  }
}
