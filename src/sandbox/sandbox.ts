/**
 * The embedded hospital: FHIR server, DICOMweb server and authorization server, each on its own port of this machine.
 *
 * Folders that a person names are only read; everything that is written lies in the data folder.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import express from 'express';
import { type Archive, openArchive } from './dicomweb/archive.ts';
import { renderPicture } from './dicomweb/rendered.ts';
import { dicomwebRouter } from './dicomweb/router.ts';
import { type LoadedFile, loadFiles } from './fhir/files.ts';
import { openFhirServer } from './fhir/server.ts';
import { listen } from './listen.ts';

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
  /** Base URLs without a trailing slash. */
  readonly fhir: string;
  readonly dicomweb: string;
  /** What came of each Bundle file. */
  readonly bundles: readonly LoadedFile[];
  /** DICOM files that were left out, with the reason. */
  readonly refusedFiles: Archive['refused'];
  close(): Promise<void>;
}

/** @throws port-in-use; nothing is left listening then */
export async function startSandbox({ dataDir, ports, dicomFolders, fhirBundles, now }: SandboxOptions): Promise<Sandbox> {
  await mkdir(dataDir, { recursive: true });
  await using stack = new AsyncDisposableStack();
  const open = async (name: string, port: number) => {
    const server = await listen(name, port);
    stack.defer(() => server.close());
    return server;
  };
  const fhirHttp = await open('FHIR', ports.fhir);
  const dicomwebHttp = await open('DICOMweb', ports.dicomweb);

  const base = `${fhirHttp.origin}/fhir`;
  const fhir = openFhirServer({ file: join(dataDir, 'fhir.sqlite'), base, now, introspect: async () => null });
  stack.defer(() => fhir.close());
  const bundles = await loadFiles(fhir, fhirBundles);
  fhirHttp.serve(express().disable('x-powered-by').use('/fhir', fhir.router));

  const root = `${dicomwebHttp.origin}/dicomweb`;
  const archive = await openArchive(dicomFolders, join(dataDir, 'dicom'));
  const pacs = dicomwebRouter({ archive, base: root, render: renderPicture, isActive: async () => false });
  dicomwebHttp.serve(express().disable('x-powered-by').use('/dicomweb', pacs));

  const opened = stack.move();
  return { fhir: base, dicomweb: root, bundles, refusedFiles: archive.refused, close: () => opened.disposeAsync() };
}
