import { describe, expect, test } from 'vitest';
import { authorize, basicToken, bearerToken, namedEndpoint } from '#net/token.ts';

describe('a token belongs to an origin', () => {
  const token = bearerToken('https://fhir.example/r4', 'T');

  test('and goes to every path there', async () => {
    expect(await authorize(token, 'https://fhir.example/other')).toEqual({ authorization: 'Bearer T' });
    expect(await authorize(token, 'https://fhir.example:443/r4')).toEqual({ authorization: 'Bearer T' });
    expect(await authorize(null, 'https://anyone.example')).toEqual({});
  });

  test.each([
    'http://fhir.example/r4',
    'https://fhir.example.evil/r4',
    'https://fhir.example:8443/r4',
    'https://fhir.example@evil.example/r4',
    'https://evil.example/https://fhir.example/r4',
    'https://sub.fhir.example/r4',
  ])('and never to %s', async (url) => {
    await expect(authorize(token, url)).rejects.toMatchObject({ code: 'net-origin-refused' });
  });

  test('the message of a refusal names neither token nor query', async () => {
    const error = await authorize(bearerToken('https://a.example', 'SECRET'), 'https://b.example/x?PatientID=77').catch(
      (thrown: unknown) => thrown,
    );
    expect(String(error)).not.toMatch(/SECRET|77/);
  });

  test('user and password are sent as UTF-8', async () => {
    const header = await basicToken('https://a.example', 'Jörg', 'ß:1').header();
    expect(Buffer.from(header.slice(6), 'base64').toString('utf8')).toBe('Jörg:ß:1');
  });
});

describe('an endpoint that a server names', () => {
  test.each([
    ['https://fhir.example/r4', 'https://auth.example/token', 'https://auth.example/token'],
    ['https://fhir.example/r4', 'token', 'https://fhir.example/r4/token'],
    ['https://fhir.example/r4/', '//auth.example/token', 'https://auth.example/token'],
    ['http://127.0.0.1:8080/fhir', 'http://127.0.0.1:8081/token', 'http://127.0.0.1:8081/token'],
  ])('at %s as %s is %s', (base, text, url) => {
    expect(namedEndpoint(base, text)?.href).toBe(url);
  });

  test.each([
    'http://auth.example/token',
    'ftp://auth.example/',
    'javascript:alert(1)',
    'https://me@auth.example/',
    'https://:pw@auth.example/',
    'https://',
  ])('at a base with TLS is never %s', (text) => {
    expect(namedEndpoint('https://fhir.example/r4', text)).toBeNull();
  });
});
