/**
 * The whole way under faults: while the sandbox's PACS misbehaves, an order ends in a card with a code, or in a draft once a retry has the
 * whole study; never in a draft from a part. Nothing is sent to hosts that its answers, the request or a token name.
 */
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { readUids } from '#dicom/read.ts';
import { noSwitches, type Switches } from '#sandbox/dicomweb/switches.ts';
import { decoy, type RawServer } from '../net/servers.ts';
import { type Answered, openWard, orderSign, sign, signUntilSettled, type Ward } from '../reading/ward.ts';

let ward: Ward;
let service: Awaited<ReturnType<Ward['start']>>;
let foreign: RawServer;
let patientId: string;

beforeAll(async () => {
  [ward, foreign] = await Promise.all([openWard(), decoy()]);
  service = await ward.start('faults', {
    limits: { idleMs: 500 },
    hooks: {
      requireJwt: false,
      allowAnonymousLoopback: true,
      deadlineMs: 20_000,
      clients: [{ issuer: 'https://ehr.example', jwksUrl: `${ward.sandbox.authorization}/jwks`, jku: [] }],
    },
    launch: { clientId: 'wetread-review', issuers: [ward.sandbox.fhir] },
  });
  patientId = ward.patients.find((patient) => patient.case === 'unread-alone')?.person.id ?? '';
});
afterAll(async () => {
  await service.stop();
  await ward.close();
  await foreign.close();
});
afterEach(() => {
  Object.assign(ward.sandbox.pacs.switches, noSwitches());
  expect([foreign.connections(), foreign.heard()]).toEqual([0, '']);
});

function play(switches: Partial<Switches>): void {
  Object.assign(ward.sandbox.pacs.switches, noSwitches(), switches);
}

/** An order whose draft is a new one: the history that it is asked with is part of a draft's key. */
function orderAbout(problem: string, more: Readonly<Record<string, unknown>> = {}): object {
  const condition = {
    resourceType: 'Condition',
    id: 'c',
    subject: { reference: `Patient/${patientId}` },
    clinicalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }] },
    code: { text: problem },
  };
  const problems = { resourceType: 'Bundle', type: 'searchset', entry: [{ resource: condition }] };
  return orderSign(patientId, { order: `order-${problem.length}`, prefetch: { problems, ...more } });
}

const detailOf = ({ cards }: Answered): string => cards.map(({ detail }) => detail ?? '').join();

describe('a PACS that fails while the studies are looked for', () => {
  const faults: readonly (readonly [string, Partial<Switches>, string])[] = [
    ['a login page', { html: true }, 'dicomweb-unexpected-type'],
    ['broken JSON', { at: 'search', brokenJson: true }, 'dicomweb-bad-json'],
    ['a cut', { at: 'search', cutAfter: 40 }, 'dicomweb-bad-json'],
    ['a reset', { at: 'search', resetAfter: 0 }, 'net-unreachable'],
    ['a stall', { at: 'search', stallAfter: 10 }, 'net-timeout'],
    ['401', { status: 401 }, 'dicomweb-unauthorised'],
    ['404', { status: 404 }, 'not-found'],
    ['503 until tomorrow', { status: 503, retryAfter: '86400' }, 'dicomweb-refused'],
  ];

  test('each fault is a card with its code, nothing is started, and the same order gets its draft when the PACS is well again', async () => {
    const order = orderAbout('asked while searches fail');
    for (const [what, switches, code] of faults) {
      play(switches);
      const answer = await sign(service.url, order);
      expect([what, answer.status, answer.topics]).toEqual([what, 200, ['studies-not-read']]);
      expect(detailOf(answer)).toContain(`(code ${code})`);
    }
    play({ redirect: `${foreign.origin}/stolen` });
    expect(detailOf(await sign(service.url, order))).toContain('(code net-redirect-refused)');
    play({});
    expect((await sign(service.url, order)).topics).toEqual(['draft-preparing']);
    expect((await signUntilSettled(service.url, order)).topics).toEqual(['draft-ready']);
  });

  test('one fault that passes costs nothing: the search is made again within the same call', async () => {
    const order = orderAbout('asked while one search fails');
    play({ at: 'search', brokenJson: true, times: 1 });
    expect((await sign(service.url, order)).topics).toEqual(['draft-preparing']);
    play({ status: 503, retryAfter: '0', times: 1 });
    expect((await signUntilSettled(service.url, order)).topics).toEqual(['draft-ready']);
  });
});

describe('a PACS that fails while the pixels are read', () => {
  test.each([
    ['a cut', { cutAfter: 5000 }],
    ['a reset', { resetAfter: 5000 }],
    ['a stall', { stallAfter: 5000 }],
    ['206', { status: 206 }],
    ['503 with Retry-After', { status: 503, retryAfter: '1' }],
    ['a login page', { html: true }],
    ['parts of another type', { partType: 'text/html' }],
  ] as const)('%s, once: the draft comes after a retry', async (what, switches) => {
    play({ at: 'retrieve', times: 1, ...switches });
    const answer = await signUntilSettled(service.url, orderAbout(`read through ${what}`));
    expect(answer.topics).toEqual(['draft-ready']);
    expect(ward.sandbox.pacs.switches.times).toBe(0);
  });

  test('a redirect: no draft, a card with the code', async () => {
    play({ at: 'retrieve', redirect: `${foreign.origin}/stolen` });
    const answer = await signUntilSettled(service.url, orderAbout('read through a redirect'));
    expect([answer.topics, detailOf(answer)]).toEqual([['draft-failed'], expect.stringContaining('(code net-redirect-refused)')]);
  });
});

describe('an archive that lies about its studies', () => {
  test.each([
    ['ignores the patient', { ignoredKeys: ['PatientID'] as string[] }],
    ['ignores the study', { ignoredKeys: ['StudyInstanceUID'] as string[] }],
    ['matches without letter case', { caseless: true }],
    ['begins again at the end of its pages', { paging: 'loops' }],
    ['gives addresses on another host', 'otherHost'],
  ] as const)('one that %s: the draft is of this patient', async (what, switches) => {
    play(switches === 'otherHost' ? { otherHost: foreign.origin } : { ...switches });
    const answer = await signUntilSettled(service.url, orderAbout(`an archive that ${what}`));
    expect(answer.topics).toEqual(['draft-ready']);
  });

  test('one that loses the SR, once: it is stored again and found', async () => {
    const answer = await signUntilSettled(service.url, orderAbout('an archive that loses'));
    play({ at: 'store', loses: true, times: 1 });
    const [card] = answer.cards;
    const entry = {
      card: card?.uuid,
      outcome: 'accepted',
      acceptedSuggestions: [{ id: card?.suggestions?.[0]?.uuid }],
      outcomeTimestamp: '2026-11-24T10:00:00Z',
    };
    const body = JSON.stringify({ feedback: [entry] });
    const feedback = `${service.url}/cds-services/wetread-order-sign/feedback`;
    await fetch(feedback, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    await vi.waitFor(
      async () => {
        const found = await (await fetch(`${ward.sandbox.dicomweb}/series?Modality=SR`)).json();
        expect([found, ward.sandbox.pacs.switches.times]).toEqual([[expect.anything()], 0]);
      },
      { timeout: 30_000, interval: 200 },
    );
  });
});

describe('a record that names a patient of the same id on another server', () => {
  test('is put aside and said; by an address of our own server it is this patient', async () => {
    const about = (reference: string) => ({
      resourceType: 'Procedure',
      id: 'foreign',
      status: 'completed',
      code: { text: 'Splenectomy' },
      subject: { reference },
    });
    const sent = (reference: string) => {
      const procedures = { resourceType: 'Bundle', type: 'searchset', entry: [{ resource: about(reference) }] };
      return signUntilSettled(service.url, orderAbout('the same id elsewhere', { procedures }));
    };
    const aside = '1 resources of another patient were put aside';
    for (const base of [`${foreign.origin}/fhir`, `${ward.sandbox.fhir}/tenant`, `${ward.sandbox.fhir}.example`]) {
      expect([base, detailOf(await sent(`${base}/Patient/${patientId}`))]).toEqual([base, expect.stringContaining(aside)]);
    }
    expect(detailOf(await sent(`${ward.sandbox.fhir}/Patient/${patientId}`))).not.toContain(aside);
  });
});

describe('a request that names a host', () => {
  const token = 'TOKEN-OF-THE-EHR';
  const authorization = { access_token: token, token_type: 'Bearer', expires_in: 300, scope: 'patient/*.rs', subject: 'wetread' };

  test('as its FHIR server, however it is spelled: the token goes nowhere', async () => {
    const [own, there] = [new URL(ward.sandbox.fhir), new URL(foreign.origin).host];
    const servers = [
      `${foreign.origin}/fhir`,
      `http://${own.host}@${there}/fhir`,
      `${foreign.origin}/${ward.sandbox.fhir}`,
      `http://user@${own.host}/fhir`,
      `http://${own.hostname}.:${own.port}/fhir`,
      `${ward.sandbox.fhir}.example`,
      `https://${own.host}/fhir`,
    ];
    for (const fhirServer of servers) {
      const request = { ...orderAbout('a named server'), fhirServer, fhirAuthorization: authorization };
      expect([fhirServer, (await sign(service.url, request)).status]).toEqual([fhirServer, 412]);
      const patient = { resourceType: 'Patient', id: patientId };
      const sent = { ...orderAbout('a named server', { patient }), fhirServer, fhirAuthorization: authorization };
      expect([fhirServer, (await sign(service.url, sent)).status]).toEqual([fhirServer, 403]);
    }
  });

  test('in a paging link, a reference, an endpoint or an attachment of what it sends: nobody goes there', async () => {
    const link = [{ relation: 'next', url: `${foreign.origin}/fhir?page=2` }];
    const subject = { reference: `${foreign.origin}/fhir/Patient/${patientId}` };
    const studies = await (await fetch(`${ward.sandbox.fhir}/ImagingStudy?patient=${patientId}`)).json();
    const endpoint = [{ reference: `${foreign.origin}/fhir/Endpoint/e` }];
    const contained = [{ resourceType: 'Endpoint', id: 'e', address: `${foreign.origin}/dicomweb` }];
    const entry = studies.entry.map(({ resource }: { resource: object }) => ({ resource: { ...resource, endpoint, contained } }));
    const report = {
      resourceType: 'DiagnosticReport',
      id: 'r',
      status: 'final',
      code: { text: 'XR' },
      subject,
      presentedForm: [{ contentType: 'text/html', url: `${foreign.origin}/report.html` }],
      imagingStudy: [{ reference: `${foreign.origin}/fhir/ImagingStudy/s` }],
    };
    const bundle = (entries: object[]) => ({ resourceType: 'Bundle', type: 'searchset', link, entry: entries });
    const request = orderAbout('a linked host', { studies: bundle(entry), reports: bundle([{ resource: report }]) });
    expect((await signUntilSettled(service.url, request)).topics).toEqual(['draft-ready']);
  });

  test('in the jku of its token, or as the issuer of a launch: refused before it is looked at', async () => {
    const { privateKey } = await generateKeyPair('ES384');
    for (const jku of [`${foreign.origin}/jwks`, `${ward.sandbox.authorization}/jwks@${new URL(foreign.origin).host}`]) {
      const jwt = await new SignJWT({ jti: jku })
        .setProtectedHeader({ alg: 'ES384', kid: 'k', typ: 'JWT', jku })
        .setIssuer('https://ehr.example')
        .setAudience(`${service.url}/cds-services`)
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey);
      const response = await fetch(`${service.url}/cds-services`, { headers: { authorization: `Bearer ${jwt}` } });
      expect(response.status).toBe(401);
    }
    const launch = `${service.url}/launch?launch=x&iss=${encodeURIComponent(`${foreign.origin}/fhir`)}`;
    expect((await fetch(launch, { redirect: 'manual' })).status).toBe(400);
  });
});

describe('a study of which a part is hidden', () => {
  beforeAll(async () => {
    // The same film once more under another UID of the same length, so that the study has two.
    const [file] = ward.patients.find((patient) => patient.person.id === patientId)?.files ?? [];
    if (file === undefined) throw new Error('the ward lacks the film');
    const { instance } = readUids(file.bytes);
    const other = `${instance.slice(0, -1)}${instance.endsWith('1') ? '2' : '1'}`;
    const bytes = Buffer.from(Buffer.from(file.bytes).toString('latin1').replaceAll(instance, other), 'latin1');
    const body = Buffer.concat([Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), bytes, Buffer.from('\r\n--b--\r\n')]);
    const type = 'multipart/related; type="application/dicom"; boundary=b';
    expect((await fetch(`${ward.sandbox.dicomweb}/studies`, { method: 'POST', headers: { 'content-type': type }, body })).status).toBe(200);
  });

  test('a list shorter than its count is no study to draft from', async () => {
    play({ shortList: true });
    const answer = await sign(service.url, orderAbout('asked with a short list'));
    expect([answer.topics, detailOf(answer)]).toEqual([['studies-not-read'], expect.stringContaining('(code dicomweb-missing-instances)')]);
  });

  test('an instance that is listed and cannot be had: no draft from the other', async () => {
    play({ at: 'retrieve', missing: true });
    const answer = await signUntilSettled(service.url, orderAbout('asked with a missing film'));
    expect([answer.topics, detailOf(answer)]).toEqual([['draft-failed'], expect.stringContaining('(code dicomweb-missing-instances)')]);
  });
});
