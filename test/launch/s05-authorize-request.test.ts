import { afterAll, beforeAll, expect, it } from 'vitest';
import { clientId, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

it('S05: the authorize request has every parameter of SMART, aud equal to iss and an S256 challenge', async () => {
  const { way } = await place.goBack();
  const asked = Object.fromEntries(way[1]?.searchParams ?? []);
  expect(asked).toMatchObject({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: `${place.door.origin}/launch/callback`,
    scope: 'launch openid fhirUser patient/Patient.r',
    aud: place.ehr.iss,
    code_challenge_method: 'S256',
  });
  expect(asked.code_challenge).toMatch(/^[\w-]{43}$/);
  expect(asked.nonce).toMatch(/^[\w-]{43}$/);
});

it('S05: a query that the endpoint has already is kept', async () => {
  place.door.pass(10 * 60_000);
  place.ehr.change.configuration = (document) => ({
    status: 200,
    headers: {},
    body: JSON.stringify({ ...document, authorization_endpoint: `${place.ehr.issuer}/auth?tenant=7` }),
  });
  const { way } = await place.goBack();
  expect(way[1]?.searchParams.get('tenant')).toBe('7');
  expect(way[1]?.searchParams.get('client_id')).toBe(clientId);
});
