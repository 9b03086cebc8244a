/**
 * The mock EHR over the real hospital of the sandbox, beside a CDS service that answers what a test gives it: the page must work with any.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import cors from 'cors';
import express from 'express';
import { createEhr } from '#sandbox/ehr/router.ts';
import { startSandbox } from '#sandbox/sandbox.ts';
import { sandboxUser } from '#sandbox/user.ts';
import { listen } from '#src/listen.ts';

const people = [
  { id: 'anna', name: [{ family: 'Amsel', given: ['Anna'] }], birthDate: '1970-01-02', gender: 'female' },
  { id: 'berta', name: [{ family: 'Buche', given: ['Berta'] }], birthDate: '1980-03-04', gender: 'female' },
] as const;

const bundle = {
  resourceType: 'Bundle',
  type: 'transaction',
  entry: people.map((person) => ({
    resource: { resourceType: 'Patient', identifier: [{ system: 'urn:ids', value: `id-${person.id}` }], ...person },
    request: { method: 'PUT', url: `Patient/${person.id}` },
  })),
};

export interface EhrServer {
  readonly origin: string;
  readonly cds: string;
  readonly fhir: string;
  /** Order-sign requests and feedback as they came. */
  readonly signed: Record<string, unknown>[];
  readonly feedback: Record<string, unknown>[];
  /** Launches that the page asked for. */
  readonly launches: { readonly patient: string; readonly appContext: string | null; readonly user: string }[];
  /** What the CDS service answers next; called for each signature. */
  answer: (count: number) => { readonly status: number; readonly body: object };
  feedbackStatus: number;
  /** Prefetch templates of discovery. */
  prefetch: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export async function startEhr(): Promise<EhrServer> {
  const folder = await mkdtemp(join(tmpdir(), 'wetread-ehr-'));
  const file = join(folder, 'people.json');
  await writeFile(file, JSON.stringify(bundle));
  const ports = { fhir: 0, dicomweb: 0, authorization: 0 };
  const sandbox = await startSandbox({ dataDir: folder, ports, dicomFolders: [], fhirBundles: [file], now: () => new Date() });
  const [ehr, cds] = await Promise.all([listen('EHR', 0), listen('CDS service', 0)]);
  const server: EhrServer = {
    origin: ehr.origin,
    cds: cds.origin,
    fhir: sandbox.fhir,
    signed: [],
    feedback: [],
    launches: [],
    answer: () => ({ status: 200, body: { cards: [] } }),
    feedbackStatus: 200,
    prefetch: {},
    close: async () => {
      await Promise.all([ehr.close(), cds.close()]);
      await sandbox.close();
      await rm(folder, { recursive: true });
    },
  };
  const service = express().use(cors()).use(express.json());
  service.get('/cds-services', (_request, response) => {
    response.json({ services: [{ id: 'some-service', hook: 'order-sign', description: 'any', prefetch: server.prefetch }] });
  });
  service.post('/cds-services/some-service', (request, response) => {
    server.signed.push(request.body);
    const { status, body } = server.answer(server.signed.length);
    response.status(status).json(body);
  });
  service.post('/cds-services/some-service/feedback', (request, response) => {
    server.feedback.push(request.body);
    response.status(server.feedbackStatus).end();
  });
  cds.serve(service);
  ehr.serve(
    express().use(
      createEhr({
        fhir: sandbox.fhir,
        dicomweb: sandbox.dicomweb,
        cds: cds.origin,
        user: sandboxUser,
        cases: { anna: 'What Anna shows.' },
        createLaunch: (context) => {
          server.launches.push(context);
          return 'launch-1';
        },
      }),
    ),
  );
  return server;
}
