/** Small files made by our own writer, for tests that need no reference material. */
import { type DicomFile, readPart10 } from '#dicom/read.ts';
import { writePart10 } from '#dicom/write.ts';

const explicitLittleEndian = '1.2.840.10008.1.2.1';
const dxClass = '1.2.840.10008.5.1.4.1.1.1.1';

/** A 4 x 3 DX image of 12 bits whose stored values are 0, 300, 600, ... */
export function filmBytes(changes: Readonly<Record<string, unknown>> = {}, transferSyntax = explicitLittleEndian): Uint8Array {
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
  return writePart10(dataset, { sopClass: dxClass, sopInstance: '2.25.3', transferSyntax });
}

export function film(changes: Readonly<Record<string, unknown>> = {}): DicomFile {
  return readPart10(filmBytes(changes));
}

/** One item (FFFE,E000) with its bytes, padded to an even length. */
export function item(bytes: Uint8Array): Buffer {
  const padded = Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)]);
  const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]);
  head.writeUInt32LE(padded.length, 4);
  return Buffer.concat([head, padded]);
}

/** Basic Offset Table (absent offsets = empty), fragments, delimiter. */
export function fragmentsOf(fragments: readonly Uint8Array[], offsets: readonly number[] = []): Buffer {
  const table = Buffer.alloc(offsets.length * 4);
  offsets.forEach((offset, i) => {
    table.writeUInt32LE(offset, i * 4);
  });
  return Buffer.concat([item(table), ...fragments.map(item), Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])]);
}

/** Element of group 7FE0 with a 32-bit length; `length` other than the value's makes a false one. */
export function element(number: number, vr: 'OB' | 'OV' | 'OW', value: Uint8Array, length = value.length): Buffer {
  const head = Buffer.from([0xe0, 0x7f, number, 0, vr.charCodeAt(0), vr.charCodeAt(1), 0, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(length, 8);
  return Buffer.concat([head, value]);
}

/** The film with its pixel data in another transfer syntax; `before` goes in front of PixelData. */
export function compressedBytes(
  transferSyntax: string,
  pixelData: Uint8Array,
  changes: Readonly<Record<string, unknown>> = {},
  before: Uint8Array = new Uint8Array(),
): Uint8Array {
  const head = filmBytes({ ...changes, PixelData: undefined, _vrMap: {} }, transferSyntax);
  return Buffer.concat([head, before, element(0x10, 'OB', pixelData, 0xffffffff)]);
}
