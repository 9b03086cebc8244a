/**
 * Synthetic studies as DICOM Part 10: a chest film as Digital X-Ray Image for presentation, and a grey ultrasound image.
 *
 * Type 2 attributes that nobody knows are written empty. Source: PS3.3 A.26 (DX), A.6 (US), C.8.11 (DX modules).
 */
import { writePart10 } from '#dicom/write.ts';
import { type Uid, uidOf } from '#domain/uid.ts';
import type { Film } from './film.ts';
import { type Person, patientIssuer } from './person.ts';
import { presentationOf } from './presentation.ts';
import type { UltrasoundPicture } from './ultrasound.ts';

export const dxForPresentation = '1.2.840.10008.5.1.4.1.1.1.1' as Uid; // a constant of PS3.6
export const ultrasoundImage = '1.2.840.10008.5.1.4.1.1.6.1' as Uid; // a constant of PS3.6
const explicitLittleEndian = '1.2.840.10008.1.2.1';

/** One study of one image. Its UIDs follow from `name`. */
export interface StudyHeader {
  readonly name: string;
  readonly person: Person;
  /** YYYY-MM-DD and HH:MM:SS. */
  readonly date: string;
  readonly time: string;
  readonly accession: string;
  readonly description: string;
  readonly referrer: string;
  /** What the PACS has as birth date, where that is not the person's. */
  readonly birthDate?: string;
}

export interface StudyUids {
  readonly study: Uid;
  readonly series: Uid;
  readonly instance: Uid;
}

export function uidsOfStudy(name: string): StudyUids {
  return { study: uidOf(`study ${name}`), series: uidOf(`series ${name}`), instance: uidOf(`instance ${name}`) };
}

const digits = (text: string): string => text.replaceAll(/[-:]/g, '');

function code(value: string, scheme: string, meaning: string): Readonly<Record<string, unknown>> {
  return { CodeValue: value, CodingSchemeDesignator: scheme, CodeMeaning: meaning };
}

/** Patient, study, series, equipment and SOP common modules. */
function commonOf(header: StudyHeader, sopClass: Uid, modality: string): Record<string, unknown> {
  const { person, date, time } = header;
  const uids = uidsOfStudy(header.name);
  return {
    SpecificCharacterSet: 'ISO_IR 192',
    SOPClassUID: sopClass,
    SOPInstanceUID: uids.instance,
    InstanceCreationDate: digits(date),
    InstanceCreationTime: digits(time),
    StudyDate: digits(date),
    SeriesDate: digits(date),
    AcquisitionDate: digits(date),
    ContentDate: digits(date),
    StudyTime: digits(time),
    SeriesTime: digits(time),
    AcquisitionTime: digits(time),
    ContentTime: digits(time),
    AccessionNumber: header.accession,
    Modality: modality,
    Manufacturer: 'wetread',
    InstitutionName: 'Lindenhof Hospital (synthetic)',
    ReferringPhysicianName: header.referrer,
    StudyDescription: header.description,
    SeriesDescription: header.description,
    ManufacturerModelName: 'phantom',
    DeviceSerialNumber: '1',
    SoftwareVersions: '1',
    PatientName: `${person.family}^${person.given}`,
    PatientID: person.number,
    IssuerOfPatientID: patientIssuer,
    PatientBirthDate: digits(header.birthDate ?? person.birthDate),
    PatientSex: person.female ? 'F' : 'M',
    PatientAge: ageOf(header.birthDate ?? person.birthDate, date),
    StudyInstanceUID: uids.study,
    SeriesInstanceUID: uids.series,
    StudyID: '1',
    SeriesNumber: 1,
    InstanceNumber: 1,
    AcquisitionNumber: 1,
  };
}

/** "067Y". */
function ageOf(birthDate: string, date: string): string {
  const years = Number(date.slice(0, 4)) - Number(birthDate.slice(0, 4)) - (date.slice(5) < birthDate.slice(5) ? 1 : 0);
  return `${String(Math.max(0, years)).padStart(3, '0')}Y`;
}

function bytesOf(values: Uint16Array): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(values.length * 2));
  for (let at = 0; at < values.length; at += 1) view.setUint16(at * 2, values[at] ?? 0, true);
  return view.buffer;
}

/** A film as DX for presentation, 12 of 16 bits. `seed` decides polarity and window (presentation.ts). */
export function writeFilm(header: StudyHeader, film: Film, seed: string): Uint8Array {
  const { photometric, center, width, stored } = presentationOf(film, seed);
  const spacing = [film.spacingMm, film.spacingMm].map((value) => Number(value.toFixed(6)));
  return writePart10(
    {
      ...commonOf(header, dxForPresentation, 'DX'),
      ImageType: ['ORIGINAL', 'PRIMARY', ''],
      PresentationIntentType: 'FOR PRESENTATION',
      AnatomicRegionSequence: [code('43799004', 'SCT', 'Thoracic cavity')],
      BodyPartExamined: 'CHEST',
      KVP: 125,
      ExposureInuAs: 2000,
      DetectorType: 'DIRECT',
      DetectorConfiguration: 'AREA',
      ImagerPixelSpacing: spacing,
      PixelSpacing: spacing,
      PixelSpacingCalibrationType: 'FIDUCIAL',
      PixelSpacingCalibrationDescription: 'synthetic',
      PositionerType: '',
      ViewPosition: 'PA',
      ViewCodeSequence: [{ ...code('399348003', 'SCT', 'postero-anterior'), ViewModifierCodeSequence: [] }],
      PatientOrientation: ['L', 'F'],
      ImageLaterality: 'U',
      SamplesPerPixel: 1,
      PhotometricInterpretation: photometric,
      Rows: film.size,
      Columns: film.size,
      BitsAllocated: 16,
      BitsStored: 12,
      HighBit: 11,
      PixelRepresentation: 0,
      BurnedInAnnotation: 'NO',
      PixelIntensityRelationship: 'LOG',
      PixelIntensityRelationshipSign: photometric === 'MONOCHROME1' ? 1 : -1,
      RescaleIntercept: 0,
      RescaleSlope: 1,
      RescaleType: 'US',
      PresentationLUTShape: photometric === 'MONOCHROME1' ? 'INVERSE' : 'IDENTITY',
      WindowCenter: center,
      WindowWidth: width,
      LossyImageCompression: '00',
      AcquisitionContextSequence: [],
      PixelData: [bytesOf(Uint16Array.from(stored.values))],
      _vrMap: { PixelData: 'OW' },
    },
    { sopClass: dxForPresentation, sopInstance: uidsOfStudy(header.name).instance, transferSyntax: explicitLittleEndian },
  );
}

/** A grey ultrasound image. */
export function writeUltrasound(header: StudyHeader, picture: UltrasoundPicture): Uint8Array {
  const bytes = new Uint8Array(picture.pixels); // its own buffer, of exactly this length
  return writePart10(
    {
      ...commonOf(header, ultrasoundImage, 'US'),
      ImageType: ['ORIGINAL', 'PRIMARY', 'ABDOMINAL', '0001'],
      BodyPartExamined: 'ABDOMEN',
      PatientOrientation: '',
      SamplesPerPixel: 1,
      PhotometricInterpretation: 'MONOCHROME2',
      Rows: picture.height,
      Columns: picture.width,
      BitsAllocated: 8,
      BitsStored: 8,
      HighBit: 7,
      PixelRepresentation: 0,
      BurnedInAnnotation: 'NO',
      LossyImageCompression: '00',
      PixelData: [bytes.buffer],
      _vrMap: { PixelData: 'OW' },
    },
    { sopClass: ultrasoundImage, sopInstance: uidsOfStudy(header.name).instance, transferSyntax: explicitLittleEndian },
  );
}
