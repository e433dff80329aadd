// The formulas of comments, which the documentation site sets with KaTeX.
import { readdirSync, readFileSync } from 'node:fs';
import katex from 'katex';
import { describe, expect, test } from 'vitest';
import { texOf } from '../scripts/docs/formula.js';

describe('formulas become TeX', () => {
  const cases: readonly (readonly [source: string, tex: string])[] = [
    ['exp(x_j / T) / sum_k exp(x_k / T)', '\\frac{\\exp(x_{j} / T)}{\\sum_{k} \\exp(x_{k} / T)}'],
    ['(z - mean) / eps / T', '\\frac{z - \\mathrm{mean}}{\\varepsilon T}'],
    ['T / 2 tanh(u / (2 T))', '\\frac{T}{2}\\,\\tanh(u / (2 T))'],
    ['-A rho / count', '-\\frac{A \\rho}{\\mathit{count}}'],
    ['g - (w.g) / (w.w + epsilon) w', 'g - \\frac{w \\cdot g}{w \\cdot w + \\varepsilon} w'],
    ['T^2 KL(q^ || p^)', 'T^{2}\\,\\operatorname{KL}(\\hat{q} \\,\\|\\, \\hat{p})'],
    ['||T_new - T_old||_F', '\\lVert T_{\\mathrm{new}} - T_{\\mathrm{old}}\\rVert_{F}'],
    ['W = V U + 1 omega^T', 'W = V U + \\mathbf{1} \\omega^{\\top}'],
    ['g ([j = y] - p_j)', 'g ([j = y] - p_{j})'],
    ["loss = t'_j log p_j", "\\mathit{loss} = t'_{j}\\,\\log p_{j}"],
    ['sum_{j != k} exp(x_j - x_k) <= 2^-P', '\\sum_{j \\ne k} \\exp(x_{j} - x_{k}) \\le 2^{-P}'],
    ['(sum_j p_j |C_ij|^r)^(1/r)', '(\\sum_{j} p_{j} \\lvert C_{i j}\\rvert^{r})^{1 / r}'],
    ['sqrt(variance + 1e-8)', '\\sqrt{\\mathit{variance} + 10^{-8}}'],
    ['|f_(i) - g_(i)|', '\\lvert f_{(i)} - g_{(i)}\\rvert'],
    ['k - (inside ? v : 0)', 'k - (v \\text{ if } \\mathit{inside}\\text{, else } 0)'],
  ];
  for (const [source, tex] of cases)
    test(source, () => {
      expect(texOf(source, 'display')).toBe(tex);
    });

  test('a fraction within a line has a slash', () => {
    expect(texOf('(a - b) / c', 'inline')).toBe('(a - b) / c');
  });
});

describe('what is no formula stays code', () => {
  const cases = [
    ...['gradLogits', '[b, t, c]', 'P [n, c]', '[b * t]', '*,c', 'ops()', '{ data, shape }', '>='],
    ...['logitcore/promises', 'docs/ops.md', 'tf.grad', 'bitList.length', 'center: false'],
    ...['npm run bench', '-ffp-contract=off', '-- --search 2500', 'LOGITCORE_ISA=avx512|avx2'],
    ...['(a + b', 'a + b)', 'a +', '|a', 'a - > b', 'wrapped-name'],
  ];
  for (const source of cases)
    test(source, () => {
      expect(texOf(source, 'display')).toBeUndefined();
    });
});

const lib = new URL('../lib/', import.meta.url);
const files = readdirSync(lib).filter((file) => file.endsWith('.ts') && file !== 'promises.ts');
const spansOf = (file: string) => {
  const comments = readFileSync(new URL(file, lib), 'utf8').match(/\/\*\*[^]*?\*\//g) ?? [];
  const texts = comments.map((comment) => comment.replace(/\s*\n\s*\* ?/g, ' '));
  return texts
    .flatMap((text) => text.match(/(?<!`)`[^`]+`(?!`)/g) ?? [])
    .map((span) => span.slice(1, -1));
};

describe('the comments of lib', () => {
  for (const file of files)
    test(file, () => {
      for (const span of spansOf(file)) {
        const tex = texOf(span, 'display');
        if (tex === undefined) {
          // Whatever has the signs of a formula and is not a shape must have been understood.
          const mathematical = /\^| [-+/=] |\b(?:sum|log|exp|KL)[ _(]/.test(span);
          expect(mathematical && !span.startsWith('['), span).toBe(false);
          continue;
        }
        for (const text of [tex, texOf(span, 'inline') ?? ''])
          expect(() => katex.renderToString(text, { strict: 'error' }), span).not.toThrow();
      }
    });
});
