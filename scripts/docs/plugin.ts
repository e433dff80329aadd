// What the site has beyond TypeDoc's: families as categories, an index of ops, readable promise forms, and KaTeX's styles.
import { cpSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  Comment,
  CommentTag,
  Converter,
  IntersectionType,
  JSX,
  ParameterReflection,
  ReferenceType,
  ReflectionFlag,
  ReflectionKind,
  Renderer,
  SignatureReflection,
  type Application,
  type CommentDisplayPart,
  type DeclarationReflection,
  type DocumentReflection,
  type ProjectReflection,
  type SomeType,
} from 'typedoc';
import { families } from '../ops.mjs';

/** Headings of families whose file names say too little. */
const TITLES: Readonly<Partial<Record<string, string>>> = {
  alignment: 'AlignDistil',
  binary: 'binary classes',
  bits: 'encodings of mixed precision',
  distillation: 'distillation on standardised logits',
  factored: 'factored output layer',
  gld: 'graphs of logits',
  gw: 'Gromov-Wasserstein',
  heads: 'dual heads',
  lineprobe: 'probes along a line',
  minillm: 'MiniLLM',
  monitors: 'monitors of training',
  radius: 'radius of convergence',
  ranking: 'rank correlation',
  scaling: 'scaling of models',
  spherical: 'spherical losses',
  stablemax: 'StableMax',
  transport: 'optimal transport',
  uld: 'universal logit distillation',
};

const PAGES: Readonly<Partial<Record<string, string>>> = { 'bench/results/table': 'Measurements' };
const MAIN = 'logitcore';
const PROMISES = 'logitcore/promises';

export function plugin(app: Application): void {
  const groups = families().filter(({ ops }) => ops.length > 0);
  const names = new Set(families().map(({ family }) => family));

  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => {
    document.name = titleOf(document) ?? PAGES[document.name] ?? document.name;
  });

  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    const main = childrenOf(project, MAIN);
    for (const declaration of main.values()) {
      describeOptions(declaration, main);
      // TypeDoc would take the category alone for a comment.
      if (!isDocumented(declaration)) app.logger.warn(`${declaration.name} has no comment`);
      const file = project.getSymbolIdFromReflection(declaration)?.fileName ?? '';
      addCategory(declaration, categoryOf(file, names));
      for (const op of declaration.signatures ?? []) if (op.type) op.type = unfold(op.type);
    }
    for (const declaration of childrenOf(project, PROMISES).values()) {
      const native = main.get(declaration.name);
      if (native && declaration.kind === ReflectionKind.Variable) showPromise(declaration, native);
    }
    const page = project.documents?.find(({ name }) => name === 'Ops');
    if (!page) throw new Error('docs/ops.md is not among the documents');
    page.content = indexOf(groups, main);
  });

  app.renderer.hooks.on('head.end', (context) =>
    JSX.createElement('link', {
      rel: 'stylesheet',
      href: context.relativeURL('assets/katex/katex.min.css'),
    }),
  );
  app.renderer.on(Renderer.EVENT_END, ({ outputDirectory }) => {
    const katex = join(dirname(createRequire(import.meta.url).resolve('katex/package.json')));
    const target = join(outputDirectory, 'assets/katex');
    mkdirSync(target, { recursive: true });
    for (const [from, to] of [
      ['LICENSE', 'LICENSE.txt'],
      ['dist/katex.min.css', 'katex.min.css'],
      ['dist/fonts', 'fonts'],
    ])
      cpSync(join(katex, from), join(target, to), { recursive: true });
  });
}

function headingOf(family: string): string {
  const title = TITLES[family] ?? family;
  return title.charAt(0).toUpperCase() + title.slice(1);
}

/** Takes the first heading of a document, which the page's own heading repeats. */
function titleOf(document: DocumentReflection): string | undefined {
  const first = document.content.at(0);
  if (first?.kind !== 'text') return undefined;
  const heading = /^\s*# (.+)\n/.exec(first.text);
  if (!heading) return undefined;
  first.text = first.text.slice(heading[0].length);
  return heading[1];
}

/** `Simplify<X>` arrives as the mapped type it is; the reader wants X. */
function unfold(type: SomeType): SomeType {
  if (type.type === 'mapped' && type.templateType.type === 'indexedAccess')
    return unfold(type.templateType.objectType);
  if (type.type === 'intersection') return new IntersectionType(type.types.map(unfold));
  return type;
}

function isDocumented(declaration: DeclarationReflection): boolean {
  return (
    declaration.hasComment() || (declaration.signatures?.every((op) => op.hasComment()) ?? false)
  );
}

function categoryOf(file: string, names: ReadonlySet<string>): string {
  const family = /([\w-]+)\.ts$/.exec(file)?.[1] ?? '';
  if (family === 'spherical-layer') return headingOf('factored');
  return names.has(family) ? headingOf(family) : 'General';
}

function addCategory(declaration: DeclarationReflection, category: string): void {
  const tag = new CommentTag('@category', [{ kind: 'text', text: category }]);
  // A function's comment is with its signatures, its category with itself.
  declaration.comment ??= new Comment();
  declaration.comment.blockTags.push(tag);
}

/** Options need no words beyond the name of the op they belong to. */
function describeOptions(
  declaration: DeclarationReflection,
  main: ReadonlyMap<string, DeclarationReflection>,
): void {
  const name = /^(\w+)Options$/.exec(declaration.name)?.[1] ?? '';
  const op = main.get(name.charAt(0).toLowerCase() + name.slice(1));
  if (!op || declaration.hasComment()) return;
  declaration.comment = new Comment([
    { kind: 'text', text: 'Options of ' },
    link(op),
    { kind: 'text', text: '.' },
  ]);
}

function childrenOf(project: ProjectReflection, name: string): Map<string, DeclarationReflection> {
  const module = project.children?.find((child) => child.name === name);
  if (!module) throw new Error(`the site has no module ${name}`);
  return new Map(module.children?.map((child) => [child.name, child]));
}

/** A promise form is a constant of a long inferred type; its page shows the signature of the op with a promise as result. */
function showPromise(promise: DeclarationReflection, native: DeclarationReflection): void {
  const { project } = promise;
  project.removeTypeReflections(promise.type);
  delete promise.type;
  delete promise.defaultValue;
  promise.kind = ReflectionKind.Function;
  promise.flags.setFlag(ReflectionFlag.Const, false);
  promise.signatures = (native.signatures ?? []).map((op) => {
    const signature = new SignatureReflection(promise.name, ReflectionKind.CallSignature, promise);
    project.registerReflection(signature, undefined, undefined);
    if (op.typeParameters) signature.typeParameters = op.typeParameters;
    signature.parameters = (op.parameters ?? []).map((from) => {
      const to = new ParameterReflection(from.name, ReflectionKind.Parameter, signature);
      project.registerReflection(to, undefined, undefined);
      if (from.type) to.type = from.type;
      if (from.defaultValue !== undefined) to.defaultValue = from.defaultValue;
      to.flags.fromObject(from.flags.toObject());
      if (from.comment) to.comment = from.comment.clone();
      return to;
    });
    const result = ReferenceType.createBrokenReference('Promise', project, 'typescript');
    if (op.type) result.typeArguments = [op.type];
    signature.type = result;
    signature.comment = new Comment([
      link(native),
      {
        kind: 'text',
        text: ' off the event loop: the same arguments, a promise of the same result.',
      },
    ]);
    return signature;
  });
}

function link(target: DeclarationReflection): CommentDisplayPart {
  return { kind: 'inline-tag', tag: '@link', text: target.name, target };
}

/** The index of ops: by family, each with its summary and papers. */
function indexOf(
  groups: ReturnType<typeof families>,
  main: Map<string, DeclarationReflection>,
): CommentDisplayPart[] {
  const parts: CommentDisplayPart[] = [
    {
      kind: 'text',
      text: 'Each op has a page with its formula, shapes, options, defaults and errors. The same ops off the event loop are in `logitcore/promises`.\n',
    },
  ];
  for (const { family, ops } of groups) {
    parts.push({ kind: 'text', text: `\n## ${headingOf(family)}\n\n` });
    for (const { name, description, papers } of ops) {
      const target = main.get(name);
      if (!target) throw new Error(`the op ${name} has no page`);
      // The summary links those that it cites.
      const further = papers
        .filter(({ title, id }) => !description.includes(id ?? title))
        .map(({ title, id }) => (id ? `${title}, arXiv ${id}` : title));
      parts.push(
        { kind: 'text', text: '- ' },
        link(target),
        { kind: 'text', text: `: ${description}.` },
        { kind: 'text', text: further.length ? ` *${further.join('; ')}*\n` : '\n' },
      );
    }
  }
  return parts;
}
