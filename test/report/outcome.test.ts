import { expect, test } from 'vitest';
import { WetreadError } from '#domain/errors.ts';
import { outcomeOf } from '#report/outcome.ts';

test('an error of ours shows its code, message and hint', () => {
  const outcome = outcomeOf(
    new WetreadError('hook-mismatch', 'found "x", expected "order-sign"', { hint: 'Register the service under order-sign' }),
  );
  expect(outcome.issue).toEqual([
    {
      severity: 'error',
      code: 'invalid',
      details: {
        coding: [{ system: 'https://wetread.example/fhir/CodeSystem/error', code: 'hook-mismatch' }],
        text: 'found "x", expected "order-sign". Register the service under order-sign',
      },
      diagnostics: 'found "x", expected "order-sign". Register the service under order-sign',
    },
  ]);
});

test.each([new Error('password=secret at /srv/x'), 'password=secret', null, undefined, { message: 'password=secret' }])(
  'anything else (%s) is internal and shows nothing of itself',
  (thrown) => {
    const outcome = outcomeOf(thrown);
    expect(outcome.issue[0]?.details?.coding?.[0]?.code).toBe('internal');
    expect(JSON.stringify(outcome)).not.toContain('secret');
  },
);

test('the issue type follows the status', () => {
  const types = (['client-unauthorised', 'prefetch-missing', 'net-timeout', 'pixel-damaged', 'site-invalid'] as const).map(
    (code) => outcomeOf(new WetreadError(code, 'x')).issue[0]?.code,
  );
  expect(types).toEqual(['login', 'required', 'timeout', 'processing', 'exception']);
});
