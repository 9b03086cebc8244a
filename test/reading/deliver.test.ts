/** Delivery to FHIR servers that are unlike the sandbox's: without transactions, without conditions, forgetful, or lying. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Draft } from '#domain/draft.ts';
import { openFhir } from '#fhir/client.ts';
import { openNeighbour } from '#net/neighbour.ts';
import { deliverFhir } from '#reading/deliver.ts';
import { type Sandbox, startSandbox } from '#sandbox/sandbox.ts';
import { type FhirDoor, fhirJson, openFhirDoor, type Rule } from '../faults/fhir-door.ts';
import { exampleDraft, writeOptions } from '../report/example-draft.ts';

let folder: string;
let sandbox: Sandbox;
let door: FhirDoor;
let round = 0;
let draft: Draft;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wetread-deliver-'));
  const ports = { fhir: 0, dicomweb: 0, authorization: 0 };
  sandbox = await startSandbox({ dataDir: folder, ports, dicomFolders: [], fhirBundles: [], now: () => new Date() });
  door = await openFhirDoor(sandbox.fhir);
});
afterAll(async () => {
  await door.close();
  await sandbox.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => nextRound());
afterEach(() => {
  door.rule = null;
});

/** Another draft, of another patient and other images. */
function nextRound(): void {
  round += 1;
  const images = JSON.parse(JSON.stringify(exampleDraft).replaceAll('"2.25.1', `"2.25.${round}1`)) as Draft; // other digits of the same draft
  draft = { ...images, key: `deliver-${round}`, patient: { ...exampleDraft.patient, id: `p${round}` } };
}

async function deliver(): Promise<Record<string, unknown>> {
  const neighbour = openNeighbour({ name: 'FHIR server', origins: [door.base] });
  try {
    const client = openFhir({ base: door.base, neighbour, token: null });
    return await deliverFhir(client, writeOptions, () => new Date('2026-11-24T10:00:00Z'))(draft);
  } finally {
    await neighbour.close();
  }
}

async function search(query: string): Promise<string[]> {
  const page = (await (await fetch(`${sandbox.fhir}/${query}&_count=200`)).json()) as { entry?: { resource: { id: string } }[] };
  return (page.entry ?? []).map(({ resource }) => resource.id);
}

/** Number of this round's resources by type; of Devices, all. */
async function counts(): Promise<Record<string, number>> {
  const mine = async (type: string) => (await search(`${type}?patient=p${round}`)).length;
  const reports = await search(`DiagnosticReport?patient=p${round}`);
  const provenances = await Promise.all(reports.map((id) => search(`Provenance?target=DiagnosticReport/${id}`)));
  return {
    reports: reports.length,
    statements: await mine('Observation'),
    images: await mine('Media'),
    provenances: provenances.flat().length,
    devices: (await search('Device?')).length,
  };
}

const refusal = (status: number) =>
  fhirJson({ resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'not-supported' }] }, status);
const isBase = (url: string) => url === new URL(door.base).pathname;

/** A server without transactions, which says so. */
const withoutTransactions: Rule = async (asked, forward) => {
  if (asked.method === 'POST' && isBase(asked.url.replace(/\/$/, ''))) return refusal(405);
  if (!asked.url.endsWith('/metadata')) return forward();
  const {
    rest: [rest],
    ...statement
  } = JSON.parse((await forward()).body);
  return fhirJson({ ...statement, rest: [{ ...rest, interaction: [{ code: 'batch' }] }] });
};

describe('a server without transactions', () => {
  test('gets the same resources one by one, each after those that it refers to, and a second delivery adds nothing', async () => {
    await deliver();
    const whole = await counts();
    expect(whole).toMatchObject({ reports: 1, statements: 5, images: 2, provenances: 1 });
    nextRound();
    door.rule = withoutTransactions;
    const first = await deliver();
    expect(first.differences).toEqual([]);
    expect(await counts()).toEqual(whole);
    const types = door.asked.filter(({ method, url }) => method === 'POST' && !isBase(url)).map(({ url }) => url.split('/').at(-1));
    expect(types.lastIndexOf('Observation')).toBeLessThan(types.lastIndexOf('DiagnosticReport'));
    expect(await deliver()).toEqual(first);
    expect(await counts()).toEqual(whole);
  });

  test.each([
    ['with', true],
    ['without', false],
  ] as const)('%s conditional creates: a delivery that ends anywhere goes on where it ended', async (_, conditional) => {
    await deliver();
    const whole = await counts();
    for (let ends = 0; ends < 60; ends += 1) {
      nextRound();
      let left = ends;
      door.rule = async (asked, forward) => {
        if (asked.method !== 'POST' || isBase(asked.url)) return withoutTransactions(asked, forward);
        // The request is carried out, and its answer is lost.
        const { 'if-none-exist': _condition, ...headers } = asked.headers;
        const answer = await forward(conditional ? {} : { headers });
        left -= 1;
        return left < 0 ? refusal(503) : answer;
      };
      const ended = await deliver().then(
        () => 'whole',
        (error: unknown) => error,
      );
      door.rule = withoutTransactions;
      await deliver();
      expect([ends, await counts()]).toEqual([ends, whole]);
      if (ended === 'whole') return;
      expect(ended).toMatchObject({ code: 'fhir-refused' });
    }
    throw new Error('no delivery came to its end');
  });

  test('one that says that it has them and refuses one gets nothing by pieces', async () => {
    const before = door.asked.length;
    door.rule = (asked, forward) => (isBase(asked.url) ? refusal(422) : forward());
    await expect(deliver()).rejects.toMatchObject({ code: 'fhir-refused' });
    expect(door.asked.slice(before).filter(({ method, url }) => method === 'POST' && !isBase(url))).toEqual([]);
  });
});

describe('a server that', () => {
  test('ignores search parameters: the report and its Provenance are told from those of others', async () => {
    await deliver();
    const whole = await counts();
    nextRound();
    door.rule = (asked, forward) => forward({ url: asked.url.replace(/\?(identifier|target)=.*$/, '') });
    expect(await deliver()).toMatchObject({ differences: [] });
    expect(await counts()).toEqual(whole);
  });

  test('drops the labels of artificial intelligence, or puts others in their place: the difference has its name', async () => {
    for (const security of [undefined, [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'N' }]]) {
      nextRound();
      door.rule = async (asked, forward) => {
        if (!isBase(asked.url)) return forward();
        const bundle = JSON.parse(Buffer.from(asked.body, 'latin1').toString('utf8'));
        for (const { resource } of bundle.entry) if (resource.resourceType === 'DiagnosticReport') resource.meta.security = security;
        return forward({ body: Buffer.from(JSON.stringify(bundle)).toString('latin1') });
      };
      expect((await deliver()).differences).toContain('DiagnosticReport.meta.security[0]');
    }
  });

  test('adds labels of its own: nothing that is ours differs', async () => {
    door.rule = async (asked, forward) => {
      if (!isBase(asked.url)) return forward();
      const bundle = JSON.parse(Buffer.from(asked.body, 'latin1').toString('utf8'));
      const added = { system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'N' };
      for (const { resource } of bundle.entry) resource.meta = { ...resource.meta, security: [added, ...(resource.meta?.security ?? [])] };
      return forward({ body: Buffer.from(JSON.stringify(bundle)).toString('latin1') });
    };
    expect((await deliver()).differences).toEqual([]);
  });

  test('names another report than the one it wrote is not believed', async () => {
    await deliver();
    const [other] = (
      (await (await fetch(`${sandbox.fhir}/DiagnosticReport?patient=p${round}`)).json()) as { entry: { resource: { id: string } }[] }
    ).entry;
    nextRound();
    door.rule = async (asked, forward) => {
      const answer = await forward();
      if (!isBase(asked.url)) return answer;
      return {
        ...answer,
        body: answer.body.replace(/DiagnosticReport\/[\w-]+(\/_history\/\d+")/, `DiagnosticReport/${other?.resource.id}$1`),
      };
    };
    await expect(deliver()).rejects.toMatchObject({ code: 'fhir-bad-answer' });
  });

  test('is asked twice at once: one report', async () => {
    await Promise.all([deliver(), deliver()]);
    expect(await counts()).toMatchObject({ reports: 1, statements: 5, images: 2 });
  });

  test('already has two reports of the draft: delivery-conflict, and nobody chooses', async () => {
    door.rule = withoutTransactions;
    const { report } = await deliver();
    const { id: _id, ...again } = (await (await fetch(`${sandbox.fhir}/${report}`)).json()) as Record<string, unknown>;
    await fetch(`${sandbox.fhir}/DiagnosticReport`, {
      method: 'POST',
      headers: { 'content-type': 'application/fhir+json' },
      body: JSON.stringify(again),
    });
    await expect(deliver()).rejects.toMatchObject({ code: 'delivery-conflict' });
  });
});
