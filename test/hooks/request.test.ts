import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseFeedback, parseOrderSign } from '#hooks/request.ts';

const good = {
  hook: 'order-sign',
  hookInstance: 'd1577c69-dfbe-44ad-ba6d-3e05e953b2ea',
  context: {
    userId: 'Practitioner/1',
    patientId: 'p1',
    draftOrders: { resourceType: 'Bundle', entry: [{ resource: { resourceType: 'ServiceRequest' } }] },
  },
  extension: { 'com.example': true },
};
const malformed = expect.objectContaining({ code: 'request-malformed' });

describe('order-sign request', () => {
  test('a request with members of an EHR and of the 3.0 ballot is accepted', () => {
    expect(parseOrderSign({ ...good, context: { ...good.context, encounterId: null, tenant: 'x' } }).context.patientId).toBe('p1');
  });

  const faults: Record<string, unknown> = {
    'no body': undefined,
    'a string': 'x',
    'no hookInstance': { ...good, hookInstance: undefined },
    'a hookInstance that is no UUID': { ...good, hookInstance: '1' },
    'no context': { ...good, context: undefined },
    'a bare user id': { ...good, context: { ...good.context, userId: '1' } },
    'a patient id that climbs': { ...good, context: { ...good.context, patientId: '../1' } },
    'draftOrders that is a list': { ...good, context: { ...good.context, draftOrders: [] } },
    'a token that is no bearer': { ...good, fhirServer: 'https://f.example', fhirAuthorization: { access_token: 'x', token_type: 'mac' } },
    'a fhirServer that is no URL': { ...good, fhirServer: 'nowhere' },
  };
  for (const [what, body] of Object.entries(faults)) {
    test(`${what} is request-malformed and names the place`, () => {
      expect(() => parseOrderSign(body)).toThrowError(malformed);
    });
  }

  test('another hook is hook-mismatch', () => {
    expect(() => parseOrderSign({ ...good, hook: 'patient-view' })).toThrowError(expect.objectContaining({ code: 'hook-mismatch' }));
  });

  test('any JSON is either parsed or request-malformed', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (body) => {
        try {
          parseOrderSign(body);
        } catch (error) {
          expect(error).toEqual(expect.objectContaining({ name: 'WetreadError' }));
        }
      }),
    );
  });
});

describe('feedback', () => {
  const entry = {
    card: 'd1577c69-dfbe-44ad-ba6d-3e05e953b2ea',
    outcome: 'accepted',
    acceptedSuggestions: [{ id: 'x' }],
    outcomeTimestamp: '2026-11-24T10:05:31Z',
  };
  test('accepted and overridden are read', () => {
    expect(parseFeedback({ feedback: [entry, { ...entry, outcome: 'overridden', acceptedSuggestions: undefined }] }).feedback).toHaveLength(
      2,
    );
  });
  for (const [what, change] of Object.entries({
    'accepted without a suggestion': { acceptedSuggestions: [] },
    'another outcome': { outcome: 'ignored' },
    'a card that is no uuid': { card: 'x' },
    'no timestamp': { outcomeTimestamp: undefined },
  })) {
    test(`${what} is request-malformed`, () => {
      expect(() => parseFeedback({ feedback: [{ ...entry, ...change }] })).toThrowError(malformed);
    });
  }
});
