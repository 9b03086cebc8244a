/** Tokens stay home: hosts that an answer, an address or a look-alike leads to get no connection, whatever client of ours is led. */
import { generateKeyPairSync } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readUids } from '#dicom/read.ts';
import { openDicomweb } from '#dicomweb/client.ts';
import { codeOf, WetreadError } from '#domain/errors.ts';
import type { Series } from '#domain/study.ts';
import { backendToken, discoverTokenUrl, readBackendKey } from '#fhir/backend-token.ts';
import { openFhir } from '#fhir/client.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { authorize, bearerToken } from '#net/token.ts';
import { type Answerer, type Asked, decoy, json, type RawServer, serve } from '../net/servers.ts';
import { film } from '../sandbox/dicomweb/start.ts';

const open: { close: () => Promise<void> }[] = [];
let foreign: RawServer;
const patientId = 'PATIENT-77';
const token = 'TOKEN-OF-THE-SITE';

beforeEach(async () => {
  foreign = await decoy();
  open.push(foreign);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
  expect([foreign.connections(), foreign.heard()]).toEqual([0, '']);
});

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'no error',
    (error: unknown) => error,
  );
}

const codeFrom = async (promise: Promise<unknown>): Promise<string> => codeOf(await failure(promise));

describe('an address that looks like a neighbour', () => {
  const alike = [
    'https://pacs.example.evil/x',
    'https://pacs.example.evil.example/x',
    'https://pacs.example@evil.example/x',
    'https://pacs.example:443@evil.example/x',
    'https://user@pacs.example/x',
    'https://:secret@pacs.example/x',
    'https://pacs.example:8443/x',
    'https://pacs.example:80/x',
    'http://pacs.example/x',
    'https://pacs.example./x',
    'https://sub.pacs.example/x',
    'https://evilpacs.example/x',
    'https://p\u0430cs.example/x', // a Cyrillic letter
    'https://xn--pcs-6cd.example/x',
    'https://pacs.example%2eevil.example/x',
    'https://evil.example/https://pacs.example/x',
    'https://evil.example\\@pacs.example/x',
    '//pacs.example/x',
    'ftp://pacs.example/x',
    'data:text/plain,https://pacs.example',
    '',
  ];

  test.each(alike)('%s is refused, and the refusal holds neither query nor password', async (url) => {
    const neighbour = openNeighbour({ name: 'PACS', origins: ['https://pacs.example/dicom-web'] });
    open.push(neighbour);
    expect(neighbour.allows(url)).toBe(false);
    const error = await failure(neighbour.fetch(url === '' ? url : `${url}?PatientID=${patientId}`));
    expect(error).toMatchObject({ code: 'net-origin-refused' });
    expect(`${String(error)} ${error instanceof WetreadError ? error.hint : ''}`).not.toMatch(/PATIENT-77|secret/);
  });

  test.each(['HTTPS://PACS.EXAMPLE/x', 'https://pacs.example:443/x', 'https://pacs\u3002example/x', 'https:\\\\pacs.example\\x'])(
    '%s is the neighbour itself, spelled otherwise',
    async (url) => {
      const neighbour = openNeighbour({ name: 'PACS', origins: ['https://pacs.example/dicom-web'] });
      open.push(neighbour);
      expect(neighbour.allows(url)).toBe(true);
      expect(await authorize(bearerToken('https://pacs.example/dicom-web', token), url)).toEqual({ authorization: `Bearer ${token}` });
    },
  );

  test('a user in the address of a site file is refused without showing the password', () => {
    expect(() => openNeighbour({ name: 'PACS', origins: ['https://me:secret@pacs.example/'] })).toThrow(
      /found a user in the address https:\/\/pacs\.example/,
    );
  });
});

/** Ways to write the decoy's address so that it begins like `own`, or resolves away from it. */
function leading(own: string): readonly string[] {
  const [here, there] = [new URL(own).host, new URL(foreign.origin).host];
  return [
    `${foreign.origin}/r4/x?page=2`,
    `//${there}/r4/x?page=2`,
    `\\\\${there}\\r4\\x`,
    `http://${here}@${there}/r4/x?page=2`,
    `http://${here.replace(':', '%3A')}:80@${there}/r4/x`,
    `${own}@${there}/r4/x`,
    `http:${foreign.origin.slice('http:'.length)}/r4/x#${own}`,
  ];
}

const redirects = [301, 302, 303, 307, 308] as const;
const toDecoy =
  (status: number): Answerer =>
  (_, response) =>
    void response.writeHead(status, { location: `${foreign.origin}/stolen` }).end();

describe('a DICOMweb server that leads away', () => {
  async function pacs(answer: Answerer) {
    const server = await serve(answer);
    const neighbour = openNeighbour({ name: 'PACS', origins: [server.origin], totalMs: 2000 });
    open.push(server, neighbour);
    const root = `${server.origin}/dicom-web`;
    const roots = { qido: root, wado: root, stow: root };
    return { server, client: openDicomweb({ roots, neighbour, token: bearerToken(root, token), readUids, defaultIssuer: null }) };
  }
  const uids = readUids(film('1.2.3.1.1'));
  const series: Series = { uid: uids.series, modality: 'DX', number: 1, description: null, bodyPart: null, side: null, instances: [] };

  test.each(redirects)('by status %i: search, retrieve and store are refused', async (status) => {
    const { client, server } = await pacs(toDecoy(status));
    expect(await codeFrom(client.searchStudies({ patientId }))).toBe('net-redirect-refused');
    const read = async () => {
      for await (const _ of client.retrieve(uids.study, series, [uids.instance]));
    };
    expect(await codeFrom(read())).toBe('net-redirect-refused');
    expect(await codeFrom(client.store(film('1.2.3.1.1')))).toBe('net-redirect-refused');
    expect(server.asked.every(({ headers }) => headers.authorization === `Bearer ${token}`)).toBe(true);
  });

  test('by BulkDataURI, RetrieveURL, Content-Location or Endpoint: the values are not followed, and the object is proven at our root', async () => {
    const bytes = Buffer.from(film('1.2.3.1.1'));
    const uri = `${foreign.origin}/bulk`;
    const hit = (values: object) => ({
      '00081190': { vr: 'UR', Value: [uri] },
      '00100020': { vr: 'LO', Value: [patientId] },
      '0020000D': { vr: 'UI', Value: [uids.study] },
      '0020000E': { vr: 'UI', Value: [uids.series] },
      '00080060': { vr: 'CS', Value: ['DX'] },
      '00081030': { vr: 'LO', BulkDataURI: uri },
      ...values,
    });
    const referenced = { '00081190': { vr: 'UR', Value: [uri] }, '00081155': { vr: 'UI', Value: [uids.instance] } };
    const part = `--b\r\nContent-Type: application/dicom\r\nContent-Location: ${uri}\r\n\r\n`;
    const answer = (asked: Asked, response: ServerResponse): void => {
      if (asked.method === 'POST')
        json(response, { '00081190': { vr: 'UR', Value: [uri] }, '00081199': { vr: 'SQ', Value: [referenced] } });
      else if (asked.url.includes('offset=0')) json(response, [hit({})], 200, { link: `<${uri}>; rel="next"`, 'content-location': uri });
      else if (asked.url.includes('?')) json(response, []);
      else {
        response.writeHead(200, { 'content-type': 'multipart/related; type="application/dicom"; boundary=b', 'content-location': uri });
        response.end(Buffer.concat([Buffer.from(part), bytes, Buffer.from('\r\n--b--')]));
      }
    };
    const { client, server } = await pacs(answer);
    expect((await client.searchStudies({ patientId })).found).toHaveLength(1);
    expect((await client.describe(uids.study, 'series')).study?.series).toHaveLength(1);
    expect(await client.store(bytes)).toMatchObject({ equal: 'bytes' });
    expect(server.asked.every(({ url }) => url.startsWith('/dicom-web/studies'))).toBe(true);
  });
});

describe('a FHIR server that leads away', () => {
  async function fhir(answer: Answerer) {
    const server = await serve(answer);
    const neighbour = openNeighbour({ name: 'FHIR server', origins: [server.origin], totalMs: 2000 });
    open.push(server, neighbour);
    const base = `${server.origin}/r4`;
    return { server, client: openFhir({ base, neighbour, token: bearerToken(base, token) }) };
  }
  const observation = { resourceType: 'Observation', id: 'o', status: 'final', subject: { reference: `Patient/${patientId}` } };

  test.each(redirects)('by status %i: every request is refused', async (status) => {
    const { client } = await fhir(toDecoy(status));
    const calls = [
      client.read('Patient', patientId),
      client.search('ImagingStudy', [['patient', patientId]]),
      client.create(observation, { ifNoneExist: [['identifier', patientId]] }),
      client.update(observation),
      client.transaction({ resourceType: 'Bundle', type: 'transaction', entry: [{ resource: observation }] }),
      client.metadata(),
    ];
    expect(await Promise.all(calls.map(codeFrom))).toEqual(calls.map(() => 'net-redirect-refused'));
  });

  test('by the next link of a page: it is not followed, however it is spelled, and the list is incomplete', async () => {
    let next = '';
    const { client, server } = await fhir((_, response) =>
      json(response, { resourceType: 'Bundle', type: 'searchset', link: [{ relation: 'next', url: next }], entry: [] }),
    );
    const own = [
      `http://user@${new URL(server.origin).host}/r4/x`,
      `http://:pw@${new URL(server.origin).host}/r4/x`,
      `${server.origin}/r4/../admin`,
    ];
    for (next of [...leading(server.origin), ...own]) {
      const before = server.asked.length;
      const found = await client.search('ImagingStudy', [['patient', patientId]]);
      expect([next, found.complete, server.asked.length - before]).toEqual([next, false, 1]);
    }
  });

  test('by an absolute reference, a Location or an attachment: the values are taken as text', async () => {
    const study = {
      resourceType: 'ImagingStudy',
      id: 's',
      subject: { reference: `${foreign.origin}/r4/Patient/${patientId}` },
      endpoint: [{ reference: `${foreign.origin}/r4/Endpoint/e` }],
    };
    const { client, server } = await fhir((asked, response) => {
      if (asked.method === 'POST') json(response, observation, 201, { location: `${foreign.origin}/r4/Observation/o/_history/1` });
      else
        json(response, {
          resourceType: 'Bundle',
          type: 'searchset',
          entry: [{ fullUrl: `${foreign.origin}/r4/ImagingStudy/s`, resource: study }],
        });
    });
    expect((await client.search('ImagingStudy', [['patient', patientId]])).hits).toHaveLength(1);
    expect((await client.create(observation)).id).toBe('o');
    expect(server.asked).toHaveLength(2);
  });

  test.each(['http://auth.example/token', 'https://user:pw@auth.example/token', 'ftp://auth.example/token'])(
    'by a token endpoint that is less safe than the server (%s): no assertion is made for it',
    async (endpoint) => {
      const neighbour: Neighbour = {
        ...openNeighbour({ name: 'FHIR server', origins: ['https://fhir.example'] }),
        // TLS with a certificate that anybody believes cannot be had here, so the answer is given as the network would give it.
        fetch: async () => Response.json({ token_endpoint: endpoint }) as never,
      };
      expect(await codeFrom(discoverTokenUrl('https://fhir.example/r4', neighbour))).toBe('fhir-bad-answer');
    },
  );

  test('by its token endpoint: the assertion follows no redirect', async () => {
    const { server } = await fhir(toDecoy(307));
    const neighbour = openNeighbour({ name: 'authorization server', origins: [server.origin] });
    open.push(neighbour);
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const key = await readBackendKey(pem, 'ES384', null);
    const tokenUrl = `${server.origin}/token`;
    const backend = backendToken({ tokenUrl, clientId: 'wetread', key, scopes: ['system/*.rs'], neighbour, audience: server.origin });
    expect(await codeFrom(backend.header())).toBe('net-redirect-refused');
    expect(server.asked[0]?.body).toContain('client_assertion=');
  });
});
