/** Small files made by our own writer, for tests that need no reference material. */
import { type DicomFile, readPart10 } from '#dicom/read.ts';
import { writePart10 } from '#dicom/write.ts';

export const explicitLittleEndian = '1.2.840.10008.1.2.1';
export const dxClass = '1.2.840.10008.5.1.4.1.1.1.1';

/** A 4 x 3 DX image of 12 bits whose stored values are 0, 300, 600, ... */
export function filmBytes(changes: Readonly<Record<string, unknown>> = {}): Uint8Array {
  const values = Uint16Array.from({ length: 12 }, (_, i) => i * 300);
  const dataset = {
    SpecificCharacterSet: 'ISO_IR 192',
    SOPClassUID: dxClass,
    SOPInstanceUID: '2.25.3',
    StudyInstanceUID: '2.25.1',
    SeriesInstanceUID: '2.25.2',
    StudyDate: '20260102',
    StudyTime: '101112',
    AccessionNumber: 'A1',
    Modality: 'DX',
    PatientName: [{ Alphabetic: 'Müller^Anna Maria' }],
    PatientID: 'P1',
    PatientBirthDate: '19500203',
    PatientSex: 'F',
    ViewPosition: 'PA',
    BodyPartExamined: 'CHEST',
    SeriesNumber: '2',
    InstanceNumber: '7',
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    Rows: 3,
    Columns: 4,
    BitsAllocated: 16,
    BitsStored: 12,
    HighBit: 11,
    PixelRepresentation: 0,
    PixelData: [values.buffer],
    _vrMap: { PixelData: 'OW' },
    ...changes,
  };
  return writePart10(dataset, { sopClass: dxClass, sopInstance: '2.25.3', transferSyntax: explicitLittleEndian });
}

export function film(changes: Readonly<Record<string, unknown>> = {}): DicomFile {
  return readPart10(filmBytes(changes));
}
