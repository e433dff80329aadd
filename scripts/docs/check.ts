// `npm run check:site`: opens the built site in Chromium and looks at what a reader meets. Screenshots go to docs/screenshots.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { families } from '../ops.mjs';

const root = fileURLToPath(new URL('../../docs/', import.meta.url));
const site = join(root, 'site');
const shots = join(root, 'screenshots');
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

if (!existsSync(join(site, 'index.html'))) throw new Error('docs/site is missing: npm run docs');
const pages = readdirSync(site, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.html'))
  .sort();

checkLinks();
checkIndex();
const { server, address } = await serve();
const browser = await launch();
try {
  await checkPages(browser);
  await checkReading(browser);
  await takeScreenshots(browser);
} finally {
  await browser.close();
  server.close();
}
console.log(`the site is in order; screenshots are in ${relative('.', shots)}`);

/** Every link inside the site leads to a file, and to an anchor that the page has. */
function checkLinks(): void {
  const text = new Map(pages.map((page) => [page, readFileSync(join(site, page), 'utf8')]));
  const dead: string[] = [];
  for (const [page, html] of text) {
    for (const [, url] of html.matchAll(/(?:href|src)="([^"]*)"/g)) {
      if (/^[a-z]+:/.test(url)) continue;
      const [path, anchor] = url.split('#');
      const file = path === '' ? page : relative(site, resolve(site, dirname(page), path));
      const target = text.get(file);
      const found = target === undefined ? isFile(join(site, file)) : hasAnchor(target, anchor);
      if (!found) dead.push(`${page}: ${url}`);
    }
  }
  assert.deepEqual(dead, [], 'links that lead nowhere');
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

function hasAnchor(html: string, anchor: string | undefined): boolean {
  return !anchor || html.includes(`id="${decodeURIComponent(anchor)}"`);
}

/** The index of ops links every op to its page. */
function checkIndex(): void {
  const html = readFileSync(join(site, 'documents/Ops.html'), 'utf8');
  for (const { name } of families().flatMap(({ ops }) => ops)) {
    const page = `functions/logitcore.${name}.html`;
    assert.ok(pages.includes(page), `${name} has no page`);
    assert.ok(html.includes(`href="../${page}"`), `the index has no link to ${page}`);
  }
}

async function serve(): Promise<{ server: ReturnType<typeof createServer>; address: string }> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const file = join(site, pathname === '/' ? 'index.html' : decodeURIComponent(pathname));
    if (!file.startsWith(site) || !isFile(file)) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    response
      .writeHead(200, { 'content-type': type, 'cache-control': 'max-age=600' })
      .end(readFileSync(file));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return { server, address: `http://127.0.0.1:${port}/` };
}

function launch(): Promise<Browser> {
  const candidates = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'];
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('no Chromium found: install it, or name it in CHROMIUM');
  // Chromium's sandbox refuses to run as root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args });
}

interface OpenPage {
  readonly page: Page;
  readonly troubles: string[];
  /** Waits until nothing is being loaded. */
  readonly settled: () => Promise<void>;
}

/** A page that collects what goes wrong on it. */
async function openPage(context: BrowserContext): Promise<OpenPage> {
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  const troubles: string[] = [];
  const pending = new Set<unknown>();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()))
      troubles.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => troubles.push(error.message));
  page.on('requestfailed', (request) => {
    pending.delete(request);
    const reason = request.failure()?.errorText;
    // A request that leaving the page cuts off; what the server lacks it answers.
    if (reason !== 'net::ERR_ABORTED') troubles.push(`failed: ${request.url()} ${reason}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) troubles.push(`${response.status()}: ${response.url()}`);
  });
  page.on('requestfinished', (request) => pending.delete(request));
  page.on('request', (request) => {
    pending.add(request);
    if (!request.url().startsWith(address) && !request.url().startsWith('data:'))
      troubles.push(`external: ${request.url()}`);
  });
  const settled = async () => {
    await page.evaluate('document.fonts.ready.then(() => undefined)');
    while (pending.size > 0) await page.waitForTimeout(5);
  };
  return { page, troubles, settled };
}

/** No page logs an error, asks for what is not there or elsewhere, or is wider than a phone. */
async function checkPages(browser: Browser): Promise<void> {
  const context = await browser.newContext({ viewport: PHONE });
  const { page, troubles, settled } = await openPage(context);
  const found: string[] = [];
  // The pages of promise forms are made from those of the ops.
  const opened = pages.filter((file) => !file.includes('_promises.'));
  for (const path of opened) {
    troubles.length = 0;
    await page.goto(address + path);
    await settled();
    const width = await page.evaluate('document.documentElement.scrollWidth');
    const errors = await page.locator('.katex-error').count();
    if (width !== PHONE.width) troubles.push(`${String(width)} pixels wide on a phone`);
    if (errors > 0) troubles.push(`${errors} formulas that cannot be set`);
    found.push(...troubles.map((trouble) => `${path}: ${trouble}`));
  }
  assert.deepEqual(found, [], 'troubles with pages');
  console.log(`opened ${opened.length} of ${pages.length} pages`);
  await context.close();
}

/** The formula of an op's page is set in KaTeX's fonts, and search finds the page. */
async function checkReading(browser: Browser): Promise<void> {
  const context = await browser.newContext({ viewport: WIDE });
  const { page, troubles } = await openPage(context);
  await page.goto(address);
  await page.locator('#tsd-search-trigger').click();
  await page.locator('#tsd-search-input').pressSequentially('crossEntropy');
  // Until there are results, or the page says that there are none.
  await page.waitForFunction(
    "document.querySelector('#tsd-search-results a') || /^(No|The search)/.test(document.querySelector('#tsd-search-status').textContent)",
  );
  const result = page.locator('#tsd-search-results a[href$="logitcore.crossEntropy.html"]').first();
  assert.ok((await result.count()) > 0, 'search does not find crossEntropy');
  await result.click();
  await page.waitForURL(`${address}functions/logitcore.crossEntropy.html`);
  const formula = page.locator('.formula .katex-html').first();
  assert.ok((await formula.count()) > 0, 'the page of crossEntropy has no formula');
  const box = await formula.boundingBox();
  assert.ok(box && box.width > 100 && box.height > 10, 'the formula of crossEntropy is not shown');
  const text = await page.locator('.formula annotation').first().textContent();
  assert.match(text ?? '', /\\mathit\{loss\}_\{i\} = \(1 - \\varepsilon\) w_\{y\}/);
  // With `check` alone a font that is not known counts as there.
  const loaded = await page.evaluate(
    "document.fonts.ready.then(() => [...document.fonts].some((font) => font.family === 'KaTeX_Math' && font.status === 'loaded'))",
  );
  assert.ok(loaded, "KaTeX's fonts are not loaded");
  assert.deepEqual(troubles, [], 'search');
  await context.close();
}

async function takeScreenshots(browser: Browser): Promise<void> {
  rmSync(shots, { recursive: true, force: true });
  mkdirSync(shots, { recursive: true });
  const looks = [
    ['readme', 'index.html'],
    ['index', 'documents/Ops.html'],
    ['architecture', 'documents/Architecture.html'],
    ['op', 'functions/logitcore.crossEntropy.html'],
    ['promise', 'functions/logitcore_promises.crossEntropy.html'],
    ['module', 'modules/logitcore.html'],
  ];
  for (const [size, viewport] of [
    ['wide', WIDE],
    ['phone', PHONE],
  ] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const context = await browser.newContext({ viewport, colorScheme });
      const page = await context.newPage();
      for (const [name, path] of looks) {
        await page.goto(address + path, { waitUntil: 'networkidle' });
        await page.screenshot({ path: join(shots, `${name}-${size}-${colorScheme}.png`) });
      }
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      const [red, green, blue] = String(background).match(/\d+/g)?.map(Number) ?? [];
      const bright = red + green + blue > (3 * 255) / 2;
      assert.match(String(background), /^rgb\(/, 'the page has no background');
      assert.equal(bright, colorScheme === 'light', `${colorScheme} has ${String(background)}`);
      await context.close();
    }
  }
}
