import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { look, openChromium, type Visit, visit } from '../../setup/chromium.ts';
import { available } from '../../setup/require.ts';
import { type EhrServer, startEhr } from './start.ts';

const card = (topic: string, more: object = {}) => ({
  uuid: '11111111-1111-4111-8111-111111111111',
  summary: `Summary of ${topic}`,
  indicator: 'info',
  source: { label: 'a service', topic: { system: 'urn:topics', code: topic, display: 'A topic' } },
  ...more,
});
const cards = (...all: object[]) => ({ status: 200, body: { cards: all } });
const reasons = [{ system: 'urn:reasons', code: 'no-time', display: 'No time' }];

describe.skipIf(!available('chromium'))('the mock EHR page in Chromium', () => {
  let server: EhrServer;
  let browser: Browser;
  let guest: Visit;
  let page: Page;
  beforeAll(async () => {
    [server, browser] = await Promise.all([startEhr(), openChromium()]);
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });
  beforeEach(async () => {
    server.signed.length = 0;
    server.feedback.length = 0;
    server.launches.length = 0;
    server.prefetch = {};
    guest = await visit(browser);
    page = await guest.context.newPage();
    await page.goto(server.origin);
  });
  afterEach(() => guest.end());

  /** Chromium itself reports refused requests on the console: they are expected, and nothing else is. */
  function expectReported(what: RegExp): void {
    const lines = guest.complaints.splice(0);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(what);
  }

  async function sign(on: Page = page): Promise<void> {
    await on.click('.patients button >> text=Amsel');
    await on.click('.sign');
  }

  it('lists the patients of the FHIR server with what each is there to show', async () => {
    await page.waitForSelector('.patients button');
    expect(await page.locator('.patients button').allTextContents()).toEqual([
      'Amsel, Anna1970-01-02 femaleWhat Anna shows.',
      'Buche, Berta1980-03-04 female',
    ]);
  });

  it('sends an order-sign request with the order of the form and the prefetch of discovery', async () => {
    server.prefetch = {
      patient: 'Patient/{{context.patientId}}',
      encounter: 'Encounter/{{context.encounterId}}',
      broken: 'Patient?nonsense=1',
    };
    await page.click('.patients button >> text=Amsel');
    await page.selectOption('form label:has-text("Exam") select', '24627-2');
    await page.selectOption('form label:has-text("Side") select', 'left');
    await page.selectOption('form label:has-text("Priority") select', 'stat');
    await page.fill('form input', 'fall from a horse');
    await page.click('.sign');
    await page.waitForSelector('.none');
    const [request] = server.signed;
    expect(request).toMatchObject({
      hook: 'order-sign',
      hookInstance: expect.stringMatching(/^[0-9a-f-]{36}$/),
      fhirServer: server.fhir,
      context: { patientId: 'anna', userId: 'Practitioner/sandbox-radiologist', draftOrders: { resourceType: 'Bundle' } },
      prefetch: { patient: { resourceType: 'Patient', id: 'anna' }, broken: null },
    });
    // A template with a value that the context does not have is left out.
    expect(request?.prefetch).not.toHaveProperty('encounter');
    expect(JSON.stringify(request)).toContain('"code":"24627-2"');
    expect(request).toMatchObject({
      context: {
        draftOrders: {
          entry: [
            { resource: { status: 'draft', priority: 'stat', reasonCode: [{ text: 'fall from a horse' }], bodySite: [{ text: 'Left' }] } },
          ],
        },
      },
    });
    expectReported(/nonsense/);
  });

  it('asks again while a draft is prepared, and shows the finished card', async () => {
    server.answer = (count) => (count === 1 ? cards(card('draft-preparing')) : count === 2 ? cards() : cards(card('draft-ready')));
    await sign();
    await page.waitForSelector('[data-topic=draft-preparing]');
    expect(await page.textContent('.waiting')).toContain('Asking again');
    expect(await page.isEnabled('.sign')).toBe(true);
    await page.waitForSelector('[data-topic=draft-ready]');
    expect(await page.locator('.waiting').count()).toBe(0);
    expect(server.signed).toHaveLength(3);
  });

  it('asks again when the studies were not read in time, and takes no card for an answer then', async () => {
    server.answer = (count) => (count === 1 ? cards(card('not-read-in-time')) : cards());
    await sign();
    await page.waitForSelector('[data-topic=not-read-in-time]');
    await page.waitForSelector('.none');
    expect(server.signed).toHaveLength(2);
  });

  it('another patient ends the asking', async () => {
    server.answer = () => cards(card('draft-preparing'));
    await sign();
    await page.waitForSelector('.waiting');
    await page.click('.patients button >> text=Buche');
    await page.waitForSelector('h2 >> text=Imaging order for Buche');
    expect(await page.locator('.card').count()).toBe(0);
    const count = server.signed.length;
    await page.waitForTimeout(2500);
    expect(server.signed).toHaveLength(count);
  });

  it('markdown of a card is shown, and markup in it is text', async () => {
    const detail =
      '**Bold** and *soft* \\*star\\*\n\n- one <img src=x onerror=alert(1)>\n- [two](javascript:alert(1))\n\n<script>alert(1)</script>';
    server.answer = () => cards(card('x', { detail, indicator: 'warning' }));
    await sign();
    await page.waitForSelector('.card.warning');
    expect(await page.locator('.detail strong, .detail em').allTextContents()).toEqual(['Bold', 'soft']);
    expect(await page.locator('.detail li').allTextContents()).toEqual(['one <img src=x onerror=alert(1)>', '[two](javascript:alert(1))']);
    expect(await page.locator('.detail img, .detail script, .detail a').count()).toBe(0);
    expect(await page.textContent('.detail p')).toBe('Bold and soft *star*');
  });

  it('acceptance and override are sent as feedback, once, with their details', async () => {
    const suggestions = [{ label: 'Take it', uuid: '22222222-2222-4222-8222-222222222222' }];
    server.answer = () => cards(card('x', { suggestions, selectionBehavior: 'at-most-one', overrideReasons: reasons }));
    await sign();
    await page.click('.accept');
    await page.waitForSelector('.settled');
    expect(await page.locator('.accept, .override').count()).toBe(0);
    expect(server.feedback).toMatchObject([
      { feedback: [{ card: card('x').uuid, outcome: 'accepted', acceptedSuggestions: [{ id: suggestions[0]?.uuid }] }] },
    ]);
    await page.click('.sign');
    await page.selectOption('.override', 'no-time');
    await page.waitForSelector('.settled >> text=overridden');
    expect(server.feedback[1]).toMatchObject({ feedback: [{ outcome: 'overridden', overrideReason: { reason: reasons[0] } }] });
  });

  it('a SMART link is launched for the patient in view with the appContext of the card; a script is never opened', async () => {
    const links = [
      { label: 'Launch', url: `${server.cds}/launch?x=1`, type: 'smart', appContext: 'opaque' },
      { label: 'Script', url: 'javascript:alert(1)', type: 'absolute' },
    ];
    server.answer = () => cards(card('x', { links }));
    await sign();
    const [tab] = await Promise.all([guest.context.waitForEvent('page'), page.click('.link >> text=Launch')]);
    await tab.waitForURL(/launch=/);
    expect(new URL(tab.url()).searchParams.toString()).toBe(
      new URLSearchParams({ x: '1', iss: server.fhir, launch: 'launch-1' }).toString(),
    );
    expect(server.launches).toEqual([{ patient: 'anna', appContext: 'opaque', user: 'Practitioner/sandbox-radiologist' }]);
    expect(await tab.evaluate('opener')).toBeNull();
    await page.click('.link >> text=Script');
    expect(guest.context.pages()).toHaveLength(2);
    // The launch URL of this service answers 404.
    expectReported(/404/);
  });

  it('a service that refuses, and feedback that is refused, are said in its words', async () => {
    const issue = [{ severity: 'error', code: 'invalid', details: { text: 'prefetch is missing' } }];
    server.answer = () => ({ status: 412, body: { resourceType: 'OperationOutcome', issue } });
    await sign();
    await page.waitForSelector('.failure >> text=prefetch is missing');
    server.answer = () => cards(card('x', { suggestions: [{ label: 'Take it', uuid: 'u' }], selectionBehavior: 'any' }));
    server.feedbackStatus = 500;
    await page.click('.sign');
    await page.click('.accept');
    await page.waitForSelector('.failure >> text=feedback: status 500');
    expect(await page.locator('.settled').count()).toBe(0);
    server.feedbackStatus = 200;
    expectReported(/status of (412|500)/);
  });

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 768],
    ['dark', 768],
  ] as const)('breaks no rule of axe, %s, %i pixels wide, and nothing is wider than the window', async (colorScheme, width) => {
    const detail = '**Findings**\n\n- One sentence. *(depends on image 1)*';
    const suggestions = [{ label: 'Take it', uuid: 'u' }];
    server.answer = () =>
      cards(card('x', { detail, suggestions, overrideReasons: reasons }), card('draft-preparing', { uuid: 'v', indicator: 'warning' }));
    const wide = await visit(browser, { colorScheme, viewport: { width, height: 900 } });
    const own = await wide.context.newPage();
    await own.goto(server.origin);
    await sign(own);
    await own.waitForSelector('.waiting');
    await own.click('.cards summary');
    expect(await look(own, `ehr-${colorScheme}-${width}`)).toEqual([]);
    expect(await own.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    await wide.end();
  });
});
