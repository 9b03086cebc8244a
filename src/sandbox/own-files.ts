/**
 * A person's own DICOM and FHIR files in the sandbox: which identifier system the PatientIDs belong to is found by looking where they occur.
 *
 * It is a guess for a demonstration on one machine; a site says it in its site file (patients.issuers).
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readPart10 } from '#dicom/read.ts';
import { WetreadError } from '#domain/errors.ts';

export interface OwnFiles {
  readonly dicomFolder: string;
  readonly fhirFolder: string;
  /** The identifier system whose values most PatientIDs are; null = none matches. */
  readonly issuer: { readonly issuer: string; readonly system: string } | null;
}

const bundleForm = z.looseObject({
  entry: z.array(z.looseObject({ resource: z.looseObject({ resourceType: z.string() }).optional() })).default([]),
});
const patientForm = z.looseObject({
  resourceType: z.literal('Patient'),
  identifier: z.array(z.looseObject({ system: z.string().optional(), value: z.string().optional() })).default([]),
});

async function filesBelow(folder: string): Promise<string[]> {
  const found = await stat(folder).catch(() => null);
  if (found === null || !found.isDirectory())
    throw new WetreadError('usage', `found no folder ${folder}`, { hint: 'give --dicom and --fhir existing folders' });
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function patientIdsOf(folder: string): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const path of await filesBelow(folder)) {
    try {
      const id = readPart10(await readFile(path)).header.text('PatientID');
      if (id !== null) ids.add(id);
    } catch {
      // The archive lists what is no DICOM file with its reason; here it only has no PatientID.
    }
  }
  return ids;
}

/** @throws usage when a folder is absent */
export async function ownFiles(folders: { readonly dicom: string; readonly fhir: string }): Promise<OwnFiles> {
  const ids = await patientIdsOf(folders.dicom);
  const counts = new Map<string, number>();
  for (const path of (await filesBelow(folders.fhir)).filter((name) => name.endsWith('.json'))) {
    const bundle = bundleForm.safeParse(JSON.parse(await readFile(path, 'utf8')));
    for (const { resource } of bundle.success ? bundle.data.entry : []) {
      const patient = patientForm.safeParse(resource);
      for (const { system, value } of patient.success ? patient.data.identifier : []) {
        if (system !== undefined && value !== undefined && ids.has(value)) counts.set(system, (counts.get(system) ?? 0) + 1);
      }
    }
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return { dicomFolder: folders.dicom, fhirFolder: folders.fhir, issuer: most === undefined ? null : { issuer: 'PACS', system: most[0] } };
}
