import type { DiagnosticReport, ImagingStudy, Patient, Resource } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { readPart10, readUids } from '#dicom/read.ts';
import { type Hospital, type HospitalPatient, hospitalBundle, makeHospital } from '#phantom/hospital.ts';
import { isServed } from '#sandbox/fhir/types.ts';
import { checkResource } from '#sandbox/fhir/validate.ts';

const now = new Date('2026-11-24T14:30:00Z');
const hospital: Hospital = makeHospital({ seed: 'test', now, size: 64 });

function of(name: HospitalPatient['case']): HospitalPatient {
  const patient = hospital.patients.find((one) => one.case === name);
  if (patient === undefined) throw new Error(`no patient shows ${name}`);
  return patient;
}

function resources<T extends Resource>(patient: HospitalPatient, type: T['resourceType']): readonly T[] {
  return patient.resources.filter((one): one is T => one.resourceType === type);
}

const headerText = (
  patient: HospitalPatient,
  file: number,
  keyword: 'PatientBirthDate' | 'PatientID' | 'Modality' | 'StudyDate',
): string | null => {
  const bytes = patient.files[file]?.bytes;
  return bytes === undefined ? null : readPart10(bytes).header.text(keyword);
};

describe('the synthetic hospital', () => {
  it('is the same for the same seed and time', () => {
    const again = makeHospital({ seed: 'test', now, size: 64 });
    expect(JSON.stringify(hospitalBundle(again))).toBe(JSON.stringify(hospitalBundle(hospital)));
    const bytes = (one: Hospital): readonly Uint8Array[] => one.patients.flatMap(({ files }) => files.map((file) => file.bytes));
    expect(bytes(again)).toEqual(bytes(hospital));
  });

  it('shows every case of the sandbox', () => {
    expect(new Set(hospital.patients.map((patient) => patient.case))).toEqual(
      new Set(['unread-with-prior', 'unread-alone', 'reported-only', 'other-modality', 'no-study', 'identity-conflict']),
    );
  });

  it('gives ids once, and every reference names a resource that is there', () => {
    const all = hospitalBundle(hospital).entry?.map(({ resource }) => `${resource?.resourceType}/${resource?.id}`) ?? [];
    expect(new Set(all).size).toBe(all.length);
    const references = [...JSON.stringify(hospitalBundle(hospital)).matchAll(/"reference":"([^"]+)"/g)].map(([, reference]) => reference);
    expect(references.length).toBeGreaterThan(20);
    for (const reference of references) expect(all).toContain(reference);
  });

  it('is accepted resource by resource by the sandbox that it is loaded into', () => {
    const all = [hospital.radiologist, ...hospital.patients.flatMap((patient) => patient.resources)];
    for (const resource of all) {
      if (!isServed(resource.resourceType)) throw new Error(`${resource.resourceType} is not served`);
      expect(checkResource(resource.resourceType, resource)).toEqual(resource);
    }
  });

  it('names in each ImagingStudy the UIDs of a file', () => {
    for (const patient of hospital.patients) {
      const studies = resources<ImagingStudy>(patient, 'ImagingStudy');
      expect(studies).toHaveLength(patient.files.length);
      const inFiles = patient.files.map(({ bytes }) => readUids(bytes).study);
      expect(studies.map((study) => study.identifier?.[0]?.value?.replace('urn:oid:', ''))).toEqual(inFiles);
    }
  });

  it('has an unread film of today and a reported prior, with the truth of both', () => {
    const patient = of('unread-with-prior');
    expect(resources<DiagnosticReport>(patient, 'DiagnosticReport').map(({ status }) => status)).toEqual(['final']);
    expect(headerText(patient, 1, 'StudyDate')).toBe('20261124');
    expect(patient.truth?.findings).toContainEqual({
      finding: 'effusion',
      polarity: 'present',
      side: 'left',
      site: null,
      change: 'larger',
    });
    expect(patient.truth?.priorUid).not.toBeNull();
  });

  it('has only reported films, an unread ultrasound, and nobody at all', () => {
    const reported = of('reported-only');
    expect(resources<DiagnosticReport>(reported, 'DiagnosticReport')).toHaveLength(reported.files.length);
    expect(headerText(of('other-modality'), 0, 'Modality')).toBe('US');
    expect(of('no-study').files).toEqual([]);
  });

  it('has a birth date that contradicts FHIR only where it is meant to', () => {
    for (const patient of hospital.patients) {
      const [record] = resources<Patient>(patient, 'Patient');
      const wanted = record?.birthDate?.replaceAll('-', '');
      for (let file = 0; file < patient.files.length; file += 1) {
        expect(headerText(patient, file, 'PatientID')).toBe(record?.identifier?.[0]?.value);
        if (patient.case === 'identity-conflict') expect(headerText(patient, file, 'PatientBirthDate')).not.toBe(wanted);
        else expect(headerText(patient, file, 'PatientBirthDate')).toBe(wanted);
      }
    }
  });
});
