import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Listening, listen } from '#src/listen.ts';
import { settleFailed } from '#work/drafts.ts';
import { deliveriesOf } from '#work/outbox.ts';
import { exampleDraft, exampleImages } from '../report/example-draft.ts';
import { look, openChromium, type Visit, visit } from '../setup/chromium.ts';
import { available } from '../setup/require.ts';
import { type ReviewServer, startReview } from './start.ts';

/** For what comes by itself. */
const soon = { timeout: 50_000 };

describe.skipIf(!available('chromium'))('the review page in Chromium', () => {
  let server: ReviewServer;
  let browser: Browser;
  let guest: Visit;
  /** An EHR that may show the page in a frame, and one that may not. */
  let listed: Listening;
  let foreign: Listening;
  beforeAll(async () => {
    [listed, foreign] = await Promise.all([listen('listed EHR', 0), listen('foreign EHR', 0)]);
    [server, browser] = await Promise.all([startReview([listed.origin]), openChromium()]);
    await server.finish(exampleDraft);
  });
  afterAll(async () => {
    await browser.close();
    await Promise.all([server.close(), listed.close(), foreign.close()]);
  });
  beforeEach(async () => {
    guest = await visit(browser);
  });
  afterEach(() => guest.end());

  async function openPage(draftKey: string, context = guest.context): Promise<Page> {
    const session = server.open(draftKey);
    await session.enter(context);
    const page = await context.newPage();
    await page.goto(session.url);
    return page;
  }
  const other = (key: string) => ({ ...exampleDraft, key: key.repeat(64) });

  it('shows whose draft it is, its sentences, what each depends on, and the pictures', async () => {
    const page = await openPage(exampleDraft.key);
    await page.waitForSelector('.statement');
    expect(await page.textContent('.patient')).toMatch(/^Phantom, Ada · born 1958-03-14 · female · WR-0001$/);
    expect(await page.textContent('.notice')).toBe('AI draft, not verified');
    expect(await page.locator('h2').allTextContents()).toEqual(['Findings', 'Comparison', 'Impression']);
    expect(await page.locator('.statement .sentence').allTextContents()).toEqual(
      [1, 3, 4, 5, 2, 6].map((number) => exampleDraft.statements[number - 1]?.text),
    );
    const shown = (number: number) => page.textContent(`#statement-${number} .dependence`);
    expect(await shown(1)).toBe('depends on image 1');
    expect(await shown(2)).toBe('depends on image 1 share 0.61 image 2 share 0.39');
    expect(await shown(3)).toBe('depends on no image');
    expect(await shown(4)).toBe('cannot be tested by removal');
    await expect.poll(() => page.evaluate('[...document.images].map((image) => image.naturalWidth)'), soon).toEqual([512, 512]);
    expect(await page.locator('img').count()).toBe(2);
    expect(await page.textContent('.draft')).toContain('CT of 2019-01-05 (Abdomen): other region, older than 3 years');
    expect(await page.textContent('header')).toContain('Compared with DX of 2026-08-02 (Chest PA): same region (chest)');
  });

  it('a held sentence is struck out, with the reason', async () => {
    const page = await openPage(exampleDraft.key);
    await page.waitForSelector('.statement');
    expect(await page.textContent('#statement-5 del')).toBe(exampleDraft.statements[4]?.text);
    expect(await page.textContent('#statement-5 .hold')).toMatch(/^Held back: The sentence gives a size in millimetres/);
    expect(await page.locator('del').count()).toBe(1);
  });

  it('a sentence in focus lights up its images, by pointer, by Tab and by arrow keys; Escape lets go', async () => {
    const page = await openPage(exampleDraft.key);
    await page.waitForSelector('.statement');
    const lit = () => page.locator('figure.lit').evaluateAll((figures) => figures.map((figure) => figure.id));
    await page.hover('#statement-1 .sentence');
    expect(await lit()).toEqual(['image-1']);
    expect(await page.getAttribute('#image-2', 'class')).toBe('dim');
    await page.focus('#statement-2');
    expect(await lit()).toEqual(['image-1', 'image-2']);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    expect(await page.evaluate('document.activeElement.id')).toBe('statement-5');
    expect(await lit()).toEqual(['image-1']);
    await page.focus('#statement-3');
    expect(await lit()).toEqual([]);
    await page.focus('#statement-1');
    await page.keyboard.press('Escape');
    expect(await lit()).toEqual([]);
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('image 1');
  });

  it.each([1280, 768])('an image that is out of view comes into it with its sentence, %i pixels wide', async (width) => {
    const key = String(width).padStart(64, 'f');
    const [image] = exampleImages;
    const [statement] = exampleDraft.statements;
    if (statement === undefined) throw new Error('the example has statements');
    const images = Array.from({ length: 12 }, (_, index) => ({ ...image, ref: { ...image.ref, frame: index + 1 } }));
    const last = { image: 12, ref: { ...image.ref, frame: 12 }, share: 1 };
    await server.finish({ ...exampleDraft, key, images, statements: [{ ...statement, citations: [last] }] });
    const wide = await visit(browser, { viewport: { width, height: 900 } });
    const page = await openPage(key, wide.context);
    await page.waitForSelector('.statement');
    await expect.poll(() => page.evaluate('[...document.images].every(({ naturalWidth }) => naturalWidth > 0)'), soon).toBe(true);
    const visible = async () => {
      const [figure, pane] = await Promise.all(['#image-12', '.images'].map((selector) => page.locator(selector).boundingBox()));
      if (!figure || !pane) throw new Error('figure and pane are laid out');
      return figure.x + figure.width <= pane.x + pane.width + 1 && figure.y + figure.height <= pane.y + pane.height + 1;
    };
    expect(await visible()).toBe(false);
    await page.focus('.statement');
    expect(await visible()).toBe(true);
    expect(await page.evaluate('scrollY')).toBe(0);
    await wide.end();
  });

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 768],
    ['dark', 768],
  ] as const)('breaks no rule of axe, %s, %i pixels wide, and nothing is wider than the window', async (colorScheme, width) => {
    const wide = await visit(browser, { colorScheme, viewport: { width, height: 900 } });
    const page = await openPage(exampleDraft.key, wide.context);
    await page.hover('#statement-2 .sentence');
    expect(await look(page, `review-${colorScheme}-${width}`)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    await wide.end();
  });

  it('a draft in preparation appears by itself when it is ready', async () => {
    await server.queue(other('a'));
    const page = await openPage(other('a').key);
    await page.waitForSelector('text=The draft is being prepared');
    expect(await look(page, 'review-queued')).toEqual([]);
    await server.finish(other('a'));
    await page.waitForSelector('.statement');
  });

  it('deliveries are followed to their end', async () => {
    await server.finish(other('b'));
    await server.store.query(`update outbox set state = 'pending', next_at = now() + interval '1 hour' where draft_key = $1`, [
      other('b').key,
    ]);
    const page = await openPage(other('b').key);
    await page.waitForSelector('.deliveries .pending');
    await server.store.query(`update outbox set state = 'delivered' where draft_key = $1`, [other('b').key]);
    await expect.poll(() => page.locator('.deliveries .delivered').count(), soon).toBe(2);
    expect((await deliveriesOf(server.store.query, other('b').key)).length).toBe(2);
  });

  it('a draft that could not be made says why, with its code', async () => {
    await server.queue(other('c'));
    await settleFailed(server.store.query, other('c').key, 'pixel-damaged', 'frame 1 ends after 7 of 512 rows');
    const page = await openPage(other('c').key);
    await page.waitForSelector('text=No draft could be made');
    expect(await page.textContent('main')).toContain('frame 1 ends after 7 of 512 rows');
    expect(await page.textContent('code')).toBe('pixel-damaged');
    expect(await look(page, 'review-failed')).toEqual([]);
  });

  it('a session that ended shows a sentence instead of the draft', async () => {
    const page = await openPage(exampleDraft.key);
    await page.waitForSelector('.statement');
    server.pass(31 * 60_000);
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await page.waitForSelector('text=The session ended');
    expect(await page.locator('.statement').count()).toBe(0);
    // Chromium itself reports the answer 401 on the console.
    expect(guest.complaints.splice(0).every((line) => line.includes('401'))).toBe(true);
  });

  it('a draft stays on the screen while the service does not answer, and the page says so', async () => {
    const page = await openPage(exampleDraft.key);
    await page.waitForSelector('.statement');
    await guest.context.setOffline(true);
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await page.waitForSelector('.notice >> text=does not answer');
    expect(await page.locator('.statement').count()).toBe(6);
    await guest.context.setOffline(false);
    await page.waitForSelector('.notice >> text=does not answer', { state: 'detached' });
    expect(guest.complaints.splice(0).every((line) => line.includes('ERR_INTERNET_DISCONNECTED'))).toBe(true);
  });

  it('S09: only a listed EHR may show the page in a frame', async () => {
    const session = server.open(exampleDraft.key);
    await session.enter(guest.context);
    const html = `<!doctype html><title>EHR</title><link rel="icon" href="data:,"><iframe src="${session.url}"></iframe>`;
    for (const ehr of [listed, foreign]) ehr.serve((_request, response) => response.setHeader('content-type', 'text/html').end(html));
    const page = await guest.context.newPage();
    await page.goto(listed.origin);
    await page.frameLocator('iframe').locator('.statement').first().waitFor();
    await page.goto(foreign.origin);
    await expect.poll(() => guest.complaints.length, soon).toBe(1);
    expect(guest.complaints.pop()).toContain('frame-ancestors');
    expect(await page.frameLocator('iframe').locator('.statement').count()).toBe(0);
  });

  it('text of a model and of headers is shown as text, never as markup', async () => {
    const evil = '<img src=x onerror="document.title=1"><b>bold</b>';
    const [first] = exampleDraft.statements;
    if (first === undefined) throw new Error('the example has statements');
    const warnings = [{ code: 'x', message: evil }];
    await server.finish({ ...other('d'), statements: [{ ...first, text: evil }], warnings, leftOut: [{ what: evil, reason: evil }] });
    const page = await openPage(other('d').key);
    await page.waitForSelector('.statement');
    expect(await page.textContent('.sentence')).toBe(evil);
    expect(await page.locator('.text img, .text b').count()).toBe(0);
    expect(await page.title()).toBe('wetread: draft report');
  });
});
