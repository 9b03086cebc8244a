/** A small ward for tests: phantom patients in the sandbox's servers, and the service on them with a random bundle; ended by the caller. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pino, { type Logger } from 'pino';
import { makeRandomBundle } from '#model/random.ts';
import { type HospitalPatient, hospitalBundle, makeHospital } from '#phantom/hospital.ts';
import { patientIssuer, patientSystem } from '#phantom/person.ts';
import { type Sandbox, startSandbox } from '#sandbox/sandbox.ts';
import { serve } from '#service/serve.ts';
import type { SiteInput } from '#site/schema.ts';
import { parseSite } from '#site/site.ts';
import { listen } from '#src/listen.ts';

export interface Ward {
  readonly sandbox: Sandbox;
  readonly patients: readonly HospitalPatient[];
  readonly folder: string;
  /** Starts a service with changes to the usual site; `name` keeps the data of two services apart. */
  start(
    name: string,
    change?: Partial<SiteInput>,
    log?: Logger,
  ): Promise<{ readonly url: string; readonly dataFolder: string; stop(): Promise<void> }>;
  close(): Promise<void>;
}

export async function openWard(): Promise<Ward> {
  const folder = mkdtempSync(join(tmpdir(), 'wetread-ward-'));
  const hospital = makeHospital({ seed: 'ward', now: new Date(), size: 128 });
  for (const { path, bytes } of hospital.patients.flatMap((patient) => patient.files)) {
    const target = join(folder, 'dicom', path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes);
  }
  writeFileSync(join(folder, 'fhir.json'), JSON.stringify(hospitalBundle(hospital)));
  const bundle = await makeRandomBundle({
    dir: join(folder, 'bundle'),
    seed: 1,
    modalities: ['DX', 'CR'],
    maxImages: 2,
    citeUncalibrated: true,
  });
  const sandbox = await startSandbox({
    dataDir: join(folder, 'sandbox'),
    ports: { fhir: 0, dicomweb: 0, authorization: 0 },
    dicomFolders: [join(folder, 'dicom')],
    fhirBundles: [join(folder, 'fhir.json')],
    now: () => new Date(),
  });
  const key = randomBytes(32).toString('hex');
  return {
    sandbox,
    patients: hospital.patients,
    folder,
    async start(name, change = {}, log = pino({ level: 'silent' })) {
      const listening = await listen('service', 0);
      const dataFolder = join(folder, name);
      const input: SiteInput = {
        environment: 'test',
        service: { publicUrl: listening.origin, port: 0 },
        dataFolder,
        fhir: { base: sandbox.fhir, auth: { kind: 'none' } },
        dicomweb: { root: sandbox.dicomweb, auth: { kind: 'none' } },
        patients: { defaultIssuer: patientIssuer, issuers: [{ issuer: patientIssuer, system: patientSystem }] },
        hooks: { requireJwt: false, allowAnonymousLoopback: true, deadlineMs: 20_000 },
        cards: { statementsFor: ['66862007'] },
        store: { kind: 'embedded' },
        snapshotKey: { env: 'KEY' },
        bundles: [{ path: bundle.dir, device: 'cpu', threads: 1 }],
        ...change,
      };
      const site = parseSite(input, 'test', folder, { env: { KEY: key } });
      const service = await serve(site, { role: 'all', listening, log, now: () => new Date() });
      return {
        url: listening.origin,
        dataFolder,
        stop: async () => {
          await listening.close();
          await service.close();
        },
      };
    },
    close: async () => {
      await sandbox.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface OrderOptions {
  readonly order?: string;
  readonly user?: string;
  readonly prefetch?: Readonly<Record<string, unknown>>;
}

/** An order-sign request for a chest film. */
export function orderSign(
  patientId: string,
  { order = 'order-1', user = 'Practitioner/sandbox-radiologist', prefetch }: OrderOptions = {},
): object {
  return {
    hook: 'order-sign',
    hookInstance: 'd1577c69-dfbe-44ad-ba6d-3e05e953b2ea',
    context: {
      userId: user,
      patientId,
      draftOrders: {
        resourceType: 'Bundle',
        type: 'collection',
        entry: [
          {
            resource: {
              resourceType: 'ServiceRequest',
              id: order,
              status: 'draft',
              intent: 'order',
              code: { coding: [{ system: 'http://loinc.org', code: '36554-4', display: 'XR Chest Single view' }] },
              subject: { reference: `Patient/${patientId}` },
            },
          },
        ],
      },
    },
    ...(prefetch === undefined ? {} : { prefetch }),
  };
}

export interface Answered {
  readonly status: number;
  readonly topics: readonly string[];
  readonly cards: readonly {
    readonly uuid: string;
    readonly summary: string;
    readonly detail?: string;
    readonly suggestions?: readonly { readonly uuid: string }[];
  }[];
  /** Code of the OperationOutcome, null for 200. */
  readonly code: string | null;
}

export async function sign(url: string, request: object): Promise<Answered> {
  const response = await fetch(`${url}/cds-services/wetread-order-sign`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  const body = (await response.json()) as {
    cards?: (Answered['cards'][number] & { source: { topic: { code: string } } })[];
    issue?: { details: { coding: { code: string }[] } }[];
  };
  return {
    status: response.status,
    topics: (body.cards ?? []).map((card) => card.source.topic.code),
    cards: body.cards ?? [],
    code: body.issue?.[0]?.details.coding[0]?.code ?? null,
  };
}

/** Signs again until the answer is no longer "being prepared" (which is said once, then nothing). */
export async function signUntilSettled(url: string, request: object): Promise<Answered> {
  for (let round = 0; round < 200; round += 1) {
    const answer = await sign(url, request);
    if (answer.status !== 200 || (answer.topics.length > 0 && !answer.topics.includes('draft-preparing'))) return answer;
    await new Promise((later) => setTimeout(later, 150));
  }
  throw new Error('the draft was not settled in 30 seconds');
}
