/**
 * Reads a DICOM Part 10 file: header and pixel access, every fault a coded error.
 *
 * dicom-parser does the walking; the limits, the bounded inflater and the end-of-file checks are ours, since it accepts a sequence that
 * the end of the file cuts off with no more than a warning. Source: PS3.10 7.1, PS3.5 7 and A.
 */
import { inflateRawSync } from 'node:zlib';
import dicomParser, { type DataSet } from 'dicom-parser';
import { codeOf, WetreadError } from '#domain/errors.ts';
import { parseUid, type Uid } from '#domain/uid.ts';
import { type Header, headerOf } from './header.ts';
import { tags } from './tags.ts';

/** Largest file. */
const maxFileBytes = 1024 * 1024 * 1024;
/** Largest deflated data set after inflation: 0.3 MB can hold as much. */
const maxInflatedBytes = 256 * 1024 * 1024;

/** Pixel data as they lie in the file. */
type PixelData =
  | {
      readonly kind: 'native';
      readonly bytes: Uint8Array /** 8-bit samples in big endian words (VR OW) are swapped in pairs. */;
      readonly swapped: boolean;
    }
  /** From the Basic Offset Table item to the end of the file. */
  | { readonly kind: 'encapsulated'; readonly bytes: Uint8Array };

export interface DicomFile {
  readonly transferSyntax: string;
  /** Group 0002. */
  readonly meta: Header;
  readonly header: Header;
  /** Null = an object without pixels (SR, RTPLAN), or with float ones. */
  readonly pixelData: PixelData | null;
  /** A graphic overlay in one of the 16 groups 60xx, its bits in an element of its own or above the pixels' (PS3.3 C.9.2). */
  readonly hasOverlay: boolean;
}

const bigEndianSyntax = '1.2.840.10008.1.2.2';

/**
 * @throws dicom-too-large, dicom-not-part10, dicom-truncated when an element is cut off, dicom-malformed for everything else
 */
export function readPart10(bytes: Uint8Array): DicomFile {
  const dataSet = parse(bytes);
  const bigEndian = dataSet.byteArray.length > 0 && textOf(dataSet, 'TransferSyntaxUID') === bigEndianSyntax;
  const header = headerOf(dataSet, bigEndian);
  return {
    transferSyntax: textOf(dataSet, 'TransferSyntaxUID'),
    meta: headerOf(dataSet, false),
    header,
    pixelData: pixelDataOf(dataSet),
    hasOverlay: Object.keys(dataSet.elements).some((tag) => /^x60[01][02468ace](0010|3000)$/.test(tag)),
  };
}

/** What names an instance. */
export interface InstanceUids {
  readonly study: Uid;
  readonly series: Uid;
  readonly instance: Uid;
  readonly sopClass: Uid;
}

/**
 * UIDs of a file without looking at its pixels. The data set's, not file meta's: archives and references go by those.
 * @throws dicom-uid-invalid when one is absent or no UID, and what readPart10 throws
 */
export function readUids(bytes: Uint8Array): InstanceUids {
  return uidsOf(headerOf(parse(bytes, 'x0020000e'), false));
}

/** @throws dicom-uid-invalid */
export function uidsOf(header: Header): InstanceUids {
  return {
    study: parseUid(header.text('StudyInstanceUID') ?? '', 'StudyInstanceUID'),
    series: parseUid(header.text('SeriesInstanceUID') ?? '', 'SeriesInstanceUID'),
    instance: parseUid(header.text('SOPInstanceUID') ?? '', 'SOPInstanceUID'),
    sopClass: parseUid(header.text('SOPClassUID') ?? '', 'SOPClassUID'),
  };
}

function parse(given: Uint8Array, untilTag?: string): DataSet {
  // A Buffer's slice and map share memory where a Uint8Array's copy.
  const plain = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  if (plain.length > maxFileBytes)
    throw new WetreadError('dicom-too-large', `file: found ${plain.length} bytes, expected at most ${maxFileBytes}`);
  const magic = String.fromCharCode(...plain.subarray(128, 132));
  if (magic !== 'DICM') {
    throw new WetreadError(
      'dicom-not-part10',
      `file of ${plain.length} bytes: found no DICM after the preamble, expected a DICOM Part 10 file`,
    );
  }
  const bytes = withReadableOffsetTable(plain);
  const dataSet = parsed(bytes, untilTag);
  const cut = dataSet.warnings.find((warning) => /^eof |missing sequence delimiter/.test(warning));
  if (cut !== undefined) throw new WetreadError('dicom-truncated', `file of ${bytes.length} bytes: ${cut}`);
  return dataSet;
}

function parsed(bytes: Uint8Array, untilTag?: string): DataSet {
  try {
    return dicomParser.parseDicom(bytes, { inflater: inflate, ...(untilTag === undefined ? {} : { untilTag }) });
  } catch (thrown) {
    throw coded(thrown);
  }
}

/**
 * dicom-parser does not know VR OV and would read the Extended Offset Table's length from the wrong place: the VR is written as OB, which
 * has the same form, in a copy.
 */
function withReadableOffsetTable(bytes: Uint8Array): Uint8Array {
  let readable = bytes;
  for (const keyword of ['ExtendedOffsetTable', 'ExtendedOffsetTableLengths'] as const) {
    const tag = tags[keyword][0];
    const pattern = Buffer.from([0xe0, 0x7f, keyword === 'ExtendedOffsetTable' ? 1 : 2, 0, 0x4f, 0x56]);
    if (!Buffer.from(readable.buffer, readable.byteOffset, readable.byteLength).includes(pattern)) continue;
    const found = parsed(readable, tag).elements[tag];
    if (found?.vr !== 'OV') continue;
    readable = readable.slice();
    readable[found.dataOffset - 3] = 0x42; // dataOffset lies behind tag, VR and the two bytes taken for a length.
  }
  return readable;
}

/** dicom-parser throws strings, Errors and objects that hold one of them and the data set so far. */
function coded(thrown: unknown): WetreadError {
  const inner = thrown !== null && typeof thrown === 'object' && 'exception' in thrown ? thrown.exception : thrown;
  if (codeOf(inner) !== 'internal' && inner instanceof WetreadError) return inner;
  if (inner instanceof RangeError)
    return new WetreadError('dicom-malformed', 'data set: found sequences nested too deeply', { cause: inner });
  const text = inner instanceof Error ? inner.message : String(inner);
  const code = /overrun|maxPosition|eof/i.test(text) ? 'dicom-truncated' : 'dicom-malformed';
  return new WetreadError(code, `data set: ${text}`, { cause: inner });
}

/** Deflated explicit VR: everything behind file meta, bounded. The result holds the head too, as dicom-parser wants it. */
function inflate(bytes: Uint8Array, position: number): Uint8Array {
  let body: Buffer;
  try {
    body = inflateRawSync(bytes.subarray(position), { maxOutputLength: maxInflatedBytes });
  } catch (cause) {
    const tooLarge = cause instanceof RangeError;
    throw new WetreadError(tooLarge ? 'dicom-too-large' : 'dicom-truncated', 'deflated data set: cannot be inflated within the limit', {
      cause,
    });
  }
  const whole = new Uint8Array(position + body.length);
  whole.set(bytes.subarray(0, position));
  whole.set(body, position);
  return whole;
}

function textOf(dataSet: DataSet, keyword: 'TransferSyntaxUID'): string {
  const text = dataSet.string(tags[keyword][0]);
  if (text === undefined || text === '') throw new WetreadError('dicom-malformed', `file meta: found no ${keyword}, expected a UID`);
  return text;
}

function pixelDataOf(dataSet: DataSet): PixelData | null {
  const element = dataSet.elements[tags.PixelData[0]];
  if (element === undefined) return null;
  const bytes = dataSet.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
  if (element.encapsulatedPixelData === true) return { kind: 'encapsulated', bytes };
  return { kind: 'native', bytes, swapped: element.vr === 'OW' && textOf(dataSet, 'TransferSyntaxUID') === bigEndianSyntax };
}
