/**
 * The embedded hospital: FHIR server, DICOMweb server and authorization server, each on its own port of this machine.
 *
 * Folders that a person names are only read; everything that is written lies in the data folder. Tokens and launches end with the process.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import cors from 'cors';
import express from 'express';
import { type Listening, listen } from '#src/listen.ts';
import { type Authorization, openAuthorization } from './authorization/authorization.ts';
import { type Archive, openArchive } from './dicomweb/archive.ts';
import { renderFrame } from './dicomweb/rendered.ts';
import { dicomwebRouter } from './dicomweb/router.ts';
import { switchBoard } from './dicomweb/switch-board.ts';
import { noSwitches, type Switches } from './dicomweb/switches.ts';
import { type LoadedFile, loadFiles } from './fhir/files.ts';
import { type FhirServer, openFhirServer } from './fhir/server.ts';
import { sandboxUserBundle, sandboxUserId } from './user.ts';

export interface SandboxOptions {
  /** Folder for what is written: fhir.sqlite and the instances that arrive by STOW. */
  readonly dataDir: string;
  /** 0 = a free port. */
  readonly ports: { readonly fhir: number; readonly dicomweb: number; readonly authorization: number };
  /** Folders with DICOM files at any depth. */
  readonly dicomFolders: readonly string[];
  /** Bundle files, or folders of them. */
  readonly fhirBundles: readonly string[];
  readonly now: () => Date;
}

export interface Sandbox {
  /** Base URLs without a trailing slash; `authorization` is the issuer. */
  readonly fhir: string;
  readonly dicomweb: string;
  readonly authorization: string;
  /** What came of each Bundle file. */
  readonly bundles: readonly LoadedFile[];
  /** DICOM files that were left out, with the reason. */
  readonly refusedFiles: Archive['refused'];
  /** Registration of apps and services, launches, and the switches of tests. */
  readonly smart: Pick<Authorization, 'createLaunch' | 'registerApp' | 'registerService' | 'switches'>;
  /** Faults of the DICOMweb server; by hand at `/faults` beside its root. */
  readonly pacs: { readonly switches: Switches };
  /** Ends the servers; open answers get two seconds. */
  close(): Promise<void>;
}

function serveFhir(http: Listening, fhir: FhirServer, authorization: Authorization): void {
  const app = express().disable('x-powered-by');
  app.get('/fhir/.well-known/smart-configuration', cors(), (_request, response) => {
    response.type('application/json').send(JSON.stringify(authorization.smartConfiguration()));
  });
  app.use('/fhir', fhir.router);
  http.serve(app);
}

/** @throws port-in-use; nothing is left listening then */
export async function startSandbox({ dataDir, ports, dicomFolders, fhirBundles, now }: SandboxOptions): Promise<Sandbox> {
  await mkdir(dataDir, { recursive: true });
  await using stack = new AsyncDisposableStack();
  // Disposed in reverse order: the store closes after the servers that use it.
  let fhir: FhirServer | null = null;
  stack.defer(() => fhir?.close());
  const open = async (name: string, port: number) => {
    const server = await listen(name, port);
    stack.defer(() => server.close());
    return server;
  };
  const fhirHttp = await open('FHIR', ports.fhir);
  const dicomwebHttp = await open('DICOMweb', ports.dicomweb);
  const authorizationHttp = await open('authorization', ports.authorization);
  const base = `${fhirHttp.origin}/fhir`;
  const root = `${dicomwebHttp.origin}/dicomweb`;

  const authorization = await openAuthorization({ issuer: authorizationHttp.origin, fhirBase: base, now });
  authorizationHttp.serve(authorization.listener);

  fhir = openFhirServer({ file: join(dataDir, 'fhir.sqlite'), base, now, introspect: authorization.introspect });
  if (fhir.services.store.newest('Practitioner', sandboxUserId) === null) fhir.loadBundle(sandboxUserBundle);
  const bundles = await loadFiles(fhir, fhirBundles);
  serveFhir(fhirHttp, fhir, authorization);

  const archive = await openArchive(dicomFolders, join(dataDir, 'dicom'));
  const isActive = async (token: string) => (await authorization.introspect(token)) !== null;
  const switches = noSwitches();
  const pacs = dicomwebRouter({ archive, base: root, render: renderFrame, isActive, switches });
  dicomwebHttp.serve(express().disable('x-powered-by').use('/faults', switchBoard(switches)).use('/dicomweb', pacs));

  const opened = stack.move();
  return {
    fhir: base,
    dicomweb: root,
    authorization: authorizationHttp.origin,
    bundles,
    refusedFiles: archive.refused,
    smart: authorization,
    pacs: { switches },
    close: () => opened.disposeAsync(),
  };
}
