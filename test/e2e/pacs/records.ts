/**
 * FHIR records for the studies that a PACS holds: patients from the DICOM headers, histories from the FHIR bundles at hand, one order for
 * each study, named by its ImagingStudy.
 *
 * Everything follows from the files by rule: patient k gets the history of bundle k mod n. References into the bundle are dropped.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { systems } from '#domain/code.ts';
import { uidOf, uuidOf } from '#domain/uid.ts';
import type { HeldStudy } from './archive.ts';

export interface OrderedStudy {
  readonly study: HeldStudy;
  /** FHIR logical id. */
  readonly patient: string;
  readonly imagingStudy: string;
  /** The ServiceRequest as it stands on the server. */
  readonly order: { readonly resourceType: 'ServiceRequest'; readonly id: string };
}

export interface Records {
  readonly ordered: readonly OrderedStudy[];
  /** A patient whose record contradicts the header of one study; null = no header says anything that can be contradicted. */
  readonly conflict: (OrderedStudy & { readonly field: string }) | null;
  readonly issuers: { readonly defaultIssuer: string; readonly issuers: readonly { issuer: string; system: string }[] };
  /** Transactions; the first holds patients, orders and studies, the others one history each. */
  readonly bundles: readonly object[];
}

type Resource = { readonly resourceType: string; readonly id: string } & Readonly<Record<string, unknown>>;

const defaultIssuer = 'e2e-pacs';
/** Most of each type that a patient gets. */
const quota: Readonly<Record<string, number>> = {
  Condition: 12,
  MedicationRequest: 8,
  AllergyIntolerance: 4,
  Observation: 12,
  Procedure: 4,
};

function systemOf(issuer: string | null): string {
  return `urn:oid:${uidOf(`e2e/issuer/${issuer ?? defaultIssuer}`)}`;
}

/** Text that a FHIR string may hold: no control characters, not empty; null = nothing is left. */
function stringOf(text: string | null): string | null {
  const plain = (text ?? '').replace(/\p{Cc}+/gu, ' ').trim();
  return plain === '' ? null : plain;
}

/** A DICOM modality as a FHIR code; what is none becomes OT. */
function modalityOf(modality: string): string {
  return /^[A-Za-z0-9]{1,16}$/.test(modality) ? modality : 'OT';
}

function patientKey({ patientId, issuer }: HeldStudy): string {
  return `${issuer ?? ''}|${patientId ?? ''}`;
}

type Demographics = Pick<HeldStudy, 'patientId' | 'issuer' | 'patientName' | 'birthDate' | 'sex'>;

function patientOf(id: string, { patientId, issuer, patientName, birthDate, sex }: Demographics): Resource {
  const [family = '', ...given] = (stringOf(patientName)?.split('=')[0] ?? '')
    .split('^')
    .slice(0, 3)
    .map((part) => part.trim());
  const names = given.flatMap((part) => part.split(/\s+/)).filter(Boolean);
  const name = { ...(family === '' ? {} : { family }), ...(names.length === 0 ? {} : { given: names }) };
  return {
    resourceType: 'Patient',
    id,
    identifier: [{ system: systemOf(issuer), value: stringOf(patientId) }],
    ...(Object.keys(name).length === 0 ? {} : { name: [name] }),
    ...(birthDate === null ? {} : { birthDate }),
    ...(sex === null ? {} : { gender: sex }),
  };
}

/** Order and ImagingStudy of one study under one patient; `as` keeps the two patients of one study apart. */
function orderOf(study: HeldStudy, patient: string, as: string): { ordered: OrderedStudy; resources: Resource[] } {
  const id = uuidOf(`e2e/${as}/${study.uid}`);
  const subject = { reference: `Patient/${patient}` };
  const modalities = [...new Set(study.series.map(({ modality }) => modalityOf(modality)))];
  const description = stringOf(study.description);
  // FHIR writes a series' UID as an id; a series whose UID is none cannot be listed.
  const series = study.series.filter(({ uid }) => /^[A-Za-z0-9.-]{1,64}$/.test(uid));
  const order: Resource & OrderedStudy['order'] = {
    resourceType: 'ServiceRequest',
    id,
    status: 'active',
    intent: 'order',
    category: [{ coding: [{ system: systems.snomed, code: '363679005', display: 'Imaging' }] }],
    code: { text: [modalities[0], description].filter(Boolean).join(' ') },
    subject,
  };
  const imagingStudy: Resource = {
    resourceType: 'ImagingStudy',
    id,
    identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${study.uid}` }],
    status: 'available',
    modality: modalities.map((code) => ({ system: systems.dcm, code })),
    subject,
    ...(study.date === null ? {} : { started: study.time === null ? study.date : `${study.date}T${study.time}Z` }),
    basedOn: [{ reference: `ServiceRequest/${id}` }],
    numberOfSeries: study.series.length,
    numberOfInstances: study.instances,
    ...(description === null ? {} : { description }),
    ...(series.length === 0
      ? {}
      : { series: series.map(({ uid, modality }) => ({ uid, modality: { system: systems.dcm, code: modalityOf(modality) } })) }),
  };
  return { ordered: { study, patient, imagingStudy: `ImagingStudy/${id}`, order }, resources: [order, imagingStudy] };
}

/** The first header, in the order of the studies, that says a birth date (else a sex, else a whole name), told otherwise. */
function contradicted(studies: readonly HeldStudy[]): { study: HeldStudy; field: string; record: Demographics } | null {
  const born = studies.find(({ birthDate }) => birthDate !== null);
  if (born?.birthDate) {
    const other = `${Number(born.birthDate.slice(0, 4)) + 11}-03-03`;
    return { study: born, field: 'birth date', record: { ...born, birthDate: other } };
  }
  const sexed = studies.find(({ sex }) => sex === 'male' || sex === 'female');
  if (sexed !== undefined) return { study: sexed, field: 'sex', record: { ...sexed, sex: sexed.sex === 'male' ? 'female' : 'male' } };
  const named = studies.find(({ patientName, patientId }) => /^\p{L}{3,}\^\p{L}{3,}/u.test(patientName ?? '') && patientName !== patientId);
  return named === undefined ? null : { study: named, field: 'name', record: { ...named, patientName: 'Zyxwvuts^Qponmlkj' } };
}

const bundleForm = z.object({
  resourceType: z.literal('Bundle'),
  entry: z.array(z.object({ resource: z.looseObject({ resourceType: z.string() }) })),
});
type Loose = z.infer<typeof bundleForm>['entry'][number]['resource'];

/** Without references, extensions, contained resources and narrative: none of them can be followed under another patient. */
function unlinked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unlinked).filter((item) => item !== undefined);
  if (typeof value !== 'object' || value === null) return value;
  if ('reference' in value) return undefined;
  const dropped = new Set(['extension', 'modifierExtension', 'contained', 'meta', 'id']);
  const members = Object.entries(value)
    .filter(([name]) => !dropped.has(name) && !name.startsWith('_'))
    .map(([name, member]) => [name, unlinked(member)] as const)
    .filter(([, member]) => member !== undefined && !(Array.isArray(member) && member.length === 0));
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

function isWanted(resource: Loose): boolean {
  if (resource.resourceType === 'Observation') return JSON.stringify(resource.category ?? '').includes('"laboratory"');
  if (resource.resourceType === 'MedicationRequest') return resource.medicationCodeableConcept !== undefined;
  return quota[resource.resourceType] !== undefined;
}

/** The clinical part of a bundle, rewritten for `patient`; the last entries of each type, since bundles are mostly in order of time. */
function historyFor(patient: string, bundle: z.infer<typeof bundleForm>): readonly Resource[] {
  return Object.entries(quota).flatMap(([type, count]) =>
    bundle.entry
      .map(({ resource }) => resource)
      .filter((resource) => resource.resourceType === type && isWanted(resource))
      .slice(-count)
      .flatMap((resource, index): Resource[] => {
        const { text: _, ...rest } = resource;
        const plain = unlinked(rest);
        if (typeof plain !== 'object' || plain === null) return [];
        const subject = { [type === 'AllergyIntolerance' ? 'patient' : 'subject']: { reference: `Patient/${patient}` } };
        return [{ ...plain, ...subject, resourceType: type, id: uuidOf(`e2e/history/${patient}/${type}/${index}`) }];
      }),
  );
}

/** FHIR bundles of a folder at any depth, and the JSON files in it that are none. */
export function readBundles(folder: string): { bundles: readonly z.infer<typeof bundleForm>[]; others: number } {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort();
  const bundles = names.flatMap((name) => {
    try {
      const parsed = bundleForm.safeParse(JSON.parse(readFileSync(join(folder, name), 'utf8')));
      return parsed.success ? [parsed.data] : [];
    } catch {
      // No JSON: counted among the others.
      return [];
    }
  });
  return { bundles, others: names.length - bundles.length };
}

function transaction(resources: readonly Resource[]): object {
  const entry = resources.map((resource) => ({ resource, request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` } }));
  return { resourceType: 'Bundle', type: 'transaction', entry };
}

/** Studies without a PatientID get no record. */
export function makeRecords(all: readonly HeldStudy[], histories: ReturnType<typeof readBundles>['bundles']): Records {
  const studies = all.filter(({ patientId }) => patientId !== null);
  const patients = new Map<string, { id: string; first: HeldStudy }>();
  for (const study of studies) {
    const key = patientKey(study);
    if (!patients.has(key)) patients.set(key, { id: uuidOf(`e2e/patient/${key}`), first: study });
  }
  const made = studies.flatMap((study) => {
    const patient = patients.get(patientKey(study));
    return patient === undefined ? [] : [orderOf(study, patient.id, 'order')];
  });
  const against = contradicted(studies);
  const other = uuidOf('e2e/patient of the conflict');
  const conflict = against === null ? null : orderOf(against.study, other, 'conflict');
  const resources: Resource[] = [
    ...[...patients.values()].map(({ id, first }) => patientOf(id, first)),
    ...made.flatMap((one) => one.resources),
    ...(against === null || conflict === null ? [] : [patientOf(other, against.record), ...conflict.resources]),
  ];
  const issuers = [...new Set(studies.flatMap(({ issuer }) => issuer ?? [])), defaultIssuer];
  return {
    ordered: made.map(({ ordered }) => ordered),
    conflict: against === null || conflict === null ? null : { ...conflict.ordered, field: against.field },
    issuers: { defaultIssuer, issuers: issuers.map((issuer) => ({ issuer, system: systemOf(issuer) })) },
    bundles: [
      transaction(resources),
      ...[...patients.values()].flatMap(({ id }, index) => {
        const history = histories[index % Math.max(histories.length, 1)];
        return history === undefined ? [] : [transaction(historyFor(id, history))];
      }),
    ],
  };
}
