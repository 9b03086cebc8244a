/** One patient for each modality, with an unread study of it in PACS and FHIR and the order that asks for it: what a bundle's intended use picks. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Patient, Resource, ServiceRequest } from '@medplum/fhirtypes';
import { writePart10 } from '#dicom/write.ts';
import { systems } from '#domain/code.ts';
import { type Uid, uidOf, uuidOf } from '#domain/uid.ts';
import { patientOf } from '#phantom/history.ts';
import { accessionSystem, makePerson, type Person, patientIssuer } from '#phantom/person.ts';
import { randomOf } from '#phantom/random.ts';

interface Modality {
  readonly code: string;
  readonly sopClass: string;
  readonly images: number;
  /** Slices of one volume, not pictures by themselves. */
  readonly volume?: true;
}

/** Kinds of picture that no other in the list is taken for (CR would be: it is a film as DX is). */
const modalities: readonly Modality[] = [
  { code: 'DX', sopClass: '1.2.840.10008.5.1.4.1.1.1.1', images: 1 },
  { code: 'CT', sopClass: '1.2.840.10008.5.1.4.1.1.2', images: 6, volume: true },
  { code: 'MR', sopClass: '1.2.840.10008.5.1.4.1.1.4', images: 3, volume: true },
  { code: 'US', sopClass: '1.2.840.10008.5.1.4.1.1.6.1', images: 2 },
  { code: 'MG', sopClass: '1.2.840.10008.5.1.4.1.1.1.2', images: 2 },
  { code: 'XA', sopClass: '1.2.840.10008.5.1.4.1.1.12.1', images: 1 },
  { code: 'RF', sopClass: '1.2.840.10008.5.1.4.1.1.12.2', images: 1 },
  { code: 'NM', sopClass: '1.2.840.10008.5.1.4.1.1.20', images: 1 },
  { code: 'PT', sopClass: '1.2.840.10008.5.1.4.1.1.128', images: 1 },
  { code: 'ES', sopClass: '1.2.840.10008.5.1.4.1.1.77.1.1', images: 1 },
  { code: 'GM', sopClass: '1.2.840.10008.5.1.4.1.1.77.1.2', images: 1 },
  { code: 'XC', sopClass: '1.2.840.10008.5.1.4.1.1.77.1.4', images: 1 },
  { code: 'OP', sopClass: '1.2.840.10008.5.1.4.1.1.77.1.5.1', images: 1 },
];

export interface Exam {
  readonly modality: string;
  readonly patient: Patient;
  readonly order: ServiceRequest;
  readonly imagingStudy: string;
  readonly studyUid: string;
  readonly instanceUids: readonly string[];
  readonly resources: readonly Resource[];
  readonly files: readonly Uint8Array[];
}

const side = 40;
const explicitLittleEndian = '1.2.840.10008.1.2.1';
const uidsOf = (name: string) => ({ study: uidOf(`study ${name}`), series: uidOf(`series ${name}`) });
const instanceOf = (name: string, number: number) => uidOf(`instance ${name} ${number}`);
const accessionOf = (person: Person) => person.number.replace('LH', 'F');

/** A bright disc on a ramp, another one in each image. */
function pixels(number: number): ArrayBuffer {
  const values = Uint16Array.from({ length: side * side }, (_, at) => {
    const [x, y] = [at % side, Math.floor(at / side)];
    const inside = Math.hypot(x - 12 - 2 * number, y - 20) < 8;
    return 40 * x + (inside ? 1800 : 0);
  });
  return values.buffer;
}

function imageFile(name: string, number: number, { code, sopClass, volume }: Modality, person: Person, date: string): Uint8Array {
  const { study, series } = uidsOf(name);
  const sopInstance = instanceOf(name, number);
  const place = {
    FrameOfReferenceUID: uidOf(`frame ${name}`),
    ImagePositionPatient: [0, 0, 5 * number],
    ImageOrientationPatient: [1, 0, 0, 0, 1, 0],
    PixelSpacing: [2, 2],
    SliceThickness: 5,
  };
  return writePart10(
    {
      SpecificCharacterSet: 'ISO_IR 192',
      SOPClassUID: sopClass,
      SOPInstanceUID: sopInstance,
      StudyInstanceUID: study,
      SeriesInstanceUID: series,
      StudyDate: date.replaceAll('-', ''),
      StudyTime: '001000',
      StudyID: '1',
      AccessionNumber: accessionOf(person),
      Modality: code,
      PatientName: `${person.family}^${person.given}`,
      PatientID: person.number,
      IssuerOfPatientID: patientIssuer,
      PatientBirthDate: person.birthDate.replaceAll('-', ''),
      PatientSex: person.female ? 'F' : 'M',
      BodyPartExamined: 'CHEST',
      SeriesNumber: 1,
      InstanceNumber: number,
      SamplesPerPixel: 1,
      PhotometricInterpretation: 'MONOCHROME2',
      Rows: side,
      Columns: side,
      BitsAllocated: 16,
      BitsStored: 12,
      HighBit: 11,
      PixelRepresentation: 0,
      WindowCenter: 1800,
      WindowWidth: 3600,
      ...(volume ? place : {}),
      PixelData: [pixels(number)],
      _vrMap: { PixelData: 'OW' },
    },
    { sopClass: sopClass as Uid, sopInstance, transferSyntax: explicitLittleEndian }, // a constant of PS3.6
  );
}

function examOf(modality: Modality, index: number, now: Date): Exam {
  const { code } = modality;
  const name = `families ${code}`;
  const person = makePerson(randomOf(name), 'families', index, now);
  const date = now.toISOString().slice(0, 10);
  const numbers = Array.from({ length: modality.images }, (_, at) => at + 1);
  const subject = { reference: `Patient/${person.id}` };
  const accession = {
    type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'ACSN' }] },
    system: accessionSystem,
    value: accessionOf(person),
  };
  const order: ServiceRequest = {
    resourceType: 'ServiceRequest',
    id: `${person.id}-order`,
    identifier: [accession],
    status: 'active',
    intent: 'order',
    category: [{ coding: [{ system: systems.snomed, code: '363679005', display: 'Imaging' }] }],
    code: { text: 'Imaging of the chest' },
    subject,
    reasonCode: [{ text: 'Shortness of breath' }],
  };
  const { study, series } = uidsOf(name);
  const instanceUids = numbers.map((number) => instanceOf(name, number));
  const imagingStudy: Resource = {
    resourceType: 'ImagingStudy',
    id: `${person.id}-study`,
    identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${study}` }, accession],
    status: 'available',
    subject,
    started: `${date}T00:10:00Z`,
    basedOn: [{ reference: `ServiceRequest/${order.id}` }],
    numberOfSeries: 1,
    numberOfInstances: numbers.length,
    series: [{ uid: series, modality: { system: systems.dcm, code }, numberOfInstances: numbers.length }],
  };
  const patient = patientOf(person);
  return {
    modality: code,
    patient,
    order,
    imagingStudy: `ImagingStudy/${imagingStudy.id}`,
    studyUid: study,
    instanceUids,
    resources: [patient, order, imagingStudy],
    files: numbers.map((number) => imageFile(name, number, modality, person, date)),
  };
}

/** @throws when there are more families than kinds of picture: another row of the list above is needed then */
export function examsOf(count: number, now: Date): readonly Exam[] {
  if (count > modalities.length) throw new Error(`${count} families, and ${modalities.length} modalities that tell them apart`);
  return modalities.slice(0, count).map((modality, index) => examOf(modality, index, now));
}

/** DICOM files and one FHIR transaction below `folder`. */
export function writeExams(exams: readonly Exam[], folder: string): { readonly dicom: string; readonly fhir: string } {
  const dicom = join(folder, 'dicom');
  mkdirSync(dicom, { recursive: true });
  for (const { modality, files } of exams) {
    for (const [index, bytes] of files.entries()) writeFileSync(join(dicom, `${modality}-${index}.dcm`), bytes);
  }
  const entry = exams.flatMap(({ resources }) =>
    resources.map((resource) => {
      const url = `${resource.resourceType}/${resource.id}`;
      return { fullUrl: `urn:uuid:${uuidOf(url)}`, resource, request: { method: 'PUT', url } };
    }),
  );
  const fhir = join(folder, 'fhir.json');
  writeFileSync(fhir, JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry }));
  return { dicom, fhir };
}
