/** FHIR server and PACS with phantom patients that have an unread film and an order, and what was written there of their drafts. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hospitalBundle, makeHospital } from '#phantom/hospital.ts';
import { startSandbox } from '#sandbox/sandbox.ts';
import type { Order } from './pacs/service.ts';
import { draftReports, searchAll } from './pacs/written.ts';

/** A patient's order, and the number by which the PACS knows the patient. */
export interface PatientOrder extends Order {
  readonly number: string;
}

export interface TestHospital {
  readonly fhir: string;
  readonly dicomweb: string;
  readonly orders: readonly PatientOrder[];
  close(): Promise<void>;
}

/** Two patients with a prior and one without for each seed. @param data an empty folder */
export async function startHospital(data: string, seeds: readonly string[], size = 96): Promise<TestHospital> {
  const orders: PatientOrder[] = [];
  const records: string[] = [];
  for (const seed of seeds) {
    const hospital = makeHospital({ seed, now: new Date(), size });
    const patients = hospital.patients.filter((one) => one.case.startsWith('unread'));
    for (const { path, bytes } of patients.flatMap(({ files }) => files)) {
      const target = join(data, 'films', seed, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, bytes);
    }
    records.push(join(data, `${seed}.json`));
    writeFileSync(join(data, `${seed}.json`), JSON.stringify(hospitalBundle({ ...hospital, patients })));
    for (const { person, resources } of patients) {
      const order = resources.find((one) => one.resourceType === 'ServiceRequest' && one.status === 'active');
      if (order === undefined) throw new Error('a phantom patient with an unread film has no order');
      orders.push({ patient: person.id, number: person.number, order });
    }
  }
  const sandbox = await startSandbox({
    dataDir: join(data, 'sandbox'),
    ports: { fhir: 0, dicomweb: 0, authorization: 0 },
    dicomFolders: [join(data, 'films')],
    fhirBundles: records,
    now: () => new Date(),
  });
  return { fhir: sandbox.fhir, dicomweb: sandbox.dicomweb, orders, close: () => sandbox.close() };
}

export interface Delivered {
  readonly reports: number;
  readonly provenance: number;
  readonly srs: number;
}

/** What there is of one patient's drafts outside the service. */
export async function deliveredOf({ fhir, dicomweb }: TestHospital, { patient, number }: PatientOrder): Promise<Delivered> {
  const reports = await draftReports(fhir, patient);
  const provenance = await Promise.all(reports.map(({ id }) => searchAll(fhir, `Provenance?target=DiagnosticReport/${id}`)));
  const response = await fetch(`${dicomweb}/instances?Modality=SR&PatientID=${number}`, { headers: { accept: 'application/dicom+json' } });
  const srs: unknown = response.status === 204 ? [] : await response.json();
  if (!Array.isArray(srs)) throw new Error('the PACS answered a search with something that is no list');
  return { reports: reports.length, provenance: provenance.flat().length, srs: srs.length };
}
