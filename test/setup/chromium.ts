/**
 * Chromium for tests: every page fails its test on a console error or an uncaught error (a refusal of the Content-Security-Policy shows only
 * there), and can be held against axe's rules. Screenshots go below the system's temporary folder, to be looked at.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { type BrowserContext, type BrowserContextOptions, type Browser as Chromium, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';

const shots = join(tmpdir(), 'wetread-screenshots');

export async function openChromium(): Promise<Chromium> {
  const executablePath = execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();
  // A container's root has no user namespaces, without which the sandbox does not start.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, headless: true, args, timeout: 60_000 });
}

export interface Visit {
  readonly context: BrowserContext;
  /** What consoles said and what nobody caught, on all pages; an expected line is taken out by the test that expects it. */
  readonly complaints: string[];
  /** Closes the context and expects that nobody complained. */
  end(): Promise<void>;
}

export async function visit(browser: Chromium, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const complaints: string[] = [];
  context.on('page', (page) => {
    page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.message}`));
  });
  context.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`${message.location().url}: ${message.text()}`);
  });
  return {
    context,
    complaints,
    end: async () => {
      await context.close();
      expect(complaints).toEqual([]);
    },
  };
}

/** Rules of axe that the page breaks, as lines; also keeps a screenshot under this name. */
export async function look(page: Page, name: string): Promise<readonly string[]> {
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  const { violations, passes } = await new AxeBuilder({ page }).analyze();
  expect(passes.length).toBeGreaterThan(5);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
