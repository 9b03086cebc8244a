import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Expert, holdsRequest, requestLine, requestsOf } from '#domain/expert-request.ts';

const experts: readonly Expert[] = [
  { name: 'VISTA3D', what: 'segmentation', arguments: { known: ['everything', 'hepatic tumor', 'organs'], absent: 'everything' } },
  { name: 'CXR', what: 'classification', arguments: null },
];
const asked = (text: string) => requestsOf(text, experts).map(({ name, argument }) => [name, argument]);

describe('a request for an expert', () => {
  test.each([
    ['Let me trigger <VISTA3D(hepatic tumor)>. ', [['VISTA3D', 'hepatic tumor']]],
    ['Let me first trigger <CXR()>.', [['CXR', null]]],
    ['<CXR>', [['CXR', null]]],
    ['<CXR(whatever is said)>', [['CXR', null]]],
    ['<VISTA3D()>', [['VISTA3D', 'everything']]],
    ['<VISTA3D>', [['VISTA3D', 'everything']]],
  ])('%s', (text, expected) => expect(asked(text)).toEqual(expected));

  test.each([
    '<MYCXR()>',
    '<CXR2>',
    '<cxr()>',
    '<VISTA3D(spleen)>',
    '<VISTA3D(Organs)>',
    '<VISTA3D(organs)(everything)>',
    '<VISTA3D(organs>',
    '<VISTA3D organs>',
    '< CXR()>',
    '<CXR(\n)>',
    'CXR()',
    '<SAM(organs)>',
  ])('%s is none and stays text', (text) => expect(asked(text)).toEqual([]));

  test('says where it stands, and whether it is the only mark', () => {
    const text = 'First <CXR()>, then <b>.';
    const [request] = requestsOf(text, experts);
    expect(text.slice(request?.start, request?.end)).toBe('<CXR()>');
    expect(request?.alone).toBe(false);
    expect(requestsOf('<CXR()>', experts)[0]?.alone).toBe(true);
  });

  test('is told in a sentence', () => {
    expect(requestsOf('<VISTA3D(organs)>', experts).map(requestLine)).toEqual([
      'The model asked for the expert VISTA3D (organs), for segmentation, which is not run here.',
    ]);
  });

  test('of any text: requests are disjoint, in order, whole marks of known experts; what is outside them holds none', () => {
    const piece = fc.oneof(fc.string(), fc.constantFrom('<', '>', '(', ')', 'CXR', 'VISTA3D', 'organs', '<CXR()>', '<VISTA3D(organs)>'));
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join('');
        const requests = requestsOf(text, experts);
        let rest = '';
        let at = 0;
        for (const { name, start, end } of requests) {
          expect(start).toBeGreaterThanOrEqual(at);
          expect(text.slice(start, end)).toMatch(/^<(CXR|VISTA3D)(\([^()<>\n]*\))?>$/);
          expect(text.slice(start + 1, start + 1 + name.length)).toBe(name);
          expect(holdsRequest({ start, end }, requests)).toBe(true);
          rest += `${text.slice(at, start)}\n`;
          at = end;
        }
        rest += text.slice(at);
        expect(requestsOf(rest, experts)).toEqual([]);
      }),
    );
  });

  test('of any number of known requests in plain text all are found', () => {
    const plain = fc.string().map((text) => text.replace(/[<>]/g, ''));
    fc.assert(
      fc.property(fc.array(fc.tuple(plain, fc.constantFrom('everything', 'hepatic tumor', 'organs'))), (parts) => {
        const text = parts.map(([before, argument]) => `${before}<VISTA3D(${argument})>`).join('');
        expect(asked(text)).toEqual(parts.map(([, argument]) => ['VISTA3D', argument]));
      }),
    );
  });
});
