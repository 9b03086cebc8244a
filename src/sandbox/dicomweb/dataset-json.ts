/**
 * A data set as DICOM JSON (PS3.18 annex F): text in UTF-8, numbers as numbers, names in component groups.
 *
 * Binary values at the top level become a BulkDataURI, so that metadata stay small; inside sequences they are InlineBinary. The VR is the
 * file's, else the dictionary's (implicit VR and UN). A character set that nobody defined is read as Latin-1 here: a PACS shows what it has.
 */
import { inflateRawSync } from 'node:zlib';
import dcmjs from 'dcmjs';
import dicomParser, { type DataSet, type Element } from 'dicom-parser';
import { decodeText } from '#dicom/charset.ts';
import { WetreadError } from '#domain/errors.ts';

export interface JsonElement {
  readonly vr: string;
  readonly Value?: readonly unknown[];
  readonly BulkDataURI?: string;
  readonly InlineBinary?: string;
}

/** Keys are tags, 8 hexadecimal digits in upper case. */
export type JsonDataSet = Readonly<Record<string, JsonElement>>;

interface Dictionary {
  readonly dictionary: Readonly<Record<string, { readonly vr: string } | undefined>>;
}
// dcmjs documents `dictionary` as a static member, keys "(0010,0010)"; the project's declaration of dcmjs names only what it writes with.
const { dictionary } = dcmjs.data.DicomMetaDictionary as unknown as Dictionary;

const maxInflatedBytes = 256 * 1024 * 1024;
const pixelData = 'x7fe00010';

function inflate(bytes: Uint8Array, position: number): Uint8Array {
  const body = inflateRawSync(bytes.subarray(position), { maxOutputLength: maxInflatedBytes });
  return Buffer.concat([bytes.subarray(0, position), body]);
}

/**
 * The data set, by default up to the pixel data (whose element is there, without a value).
 * @throws dicom-not-part10, dicom-malformed
 */
export function parseDataSet(given: Uint8Array, whole = false): DataSet {
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  if (String.fromCharCode(...bytes.subarray(128, 132)) !== 'DICM') {
    throw new WetreadError('dicom-not-part10', `file of ${bytes.length} bytes: found no DICM after the preamble`);
  }
  try {
    return dicomParser.parseDicom(bytes, { inflater: inflate, ...(whole ? {} : { untilTag: pixelData }) });
  } catch (thrown) {
    // dicom-parser throws strings, Errors and objects that hold one of them.
    const cause = typeof thrown === 'object' && thrown !== null && 'exception' in thrown ? thrown.exception : thrown;
    throw new WetreadError('dicom-malformed', `data set: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function vrOf(element: Element): string {
  const tag = element.tag.slice(1).toUpperCase();
  if (element.vr !== undefined && element.vr !== 'UN') return element.vr;
  if (/^....00[1-9A-F].$/.test(tag) && Number.parseInt(tag.charAt(3), 16) % 2 === 1) return 'LO'; // private creator (PS3.5 7.8.1)
  const vr = dictionary[`(${tag.slice(0, 4)},${tag.slice(4)})`]?.vr;
  if (vr === undefined) return 'UN';
  return vr === 'ox' ? 'OW' : vr === 'xs' ? 'US' : vr;
}

const binary = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'UN']);
const unsplit = new Set(['LT', 'ST', 'UT', 'UR']);
const encoded = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);

function bytesOf(dataSet: DataSet, element: Element): Uint8Array {
  return dataSet.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
}

function decoded(bytes: Uint8Array, charsets: readonly string[]): string {
  try {
    return decodeText(bytes, charsets);
  } catch (error) {
    if (error instanceof WetreadError) return new TextDecoder('latin1').decode(bytes);
    throw error;
  }
}

function personName(text: string): object | null {
  const [alphabetic = '', ideographic = '', phonetic = ''] = text.split('=');
  const groups = Object.entries({ Alphabetic: alphabetic, Ideographic: ideographic, Phonetic: phonetic }).filter(
    ([, group]) => group !== '',
  );
  return groups.length === 0 ? null : Object.fromEntries(groups);
}

function textValues(dataSet: DataSet, element: Element, vr: string, charsets: readonly string[]): unknown[] {
  const raw = bytesOf(dataSet, element);
  const text = (encoded.has(vr) ? decoded(raw, charsets) : new TextDecoder('latin1').decode(raw)).replace(/[\0 ]+$/, '');
  if (text === '') return [];
  const values = unsplit.has(vr) ? [text] : text.split('\\').map((value) => value.replace(/^ +|[\0 ]+$/g, ''));
  return values.map((value) => {
    if (value === '') return null;
    if (vr === 'PN') return personName(value);
    if ((vr === 'DS' || vr === 'IS') && Number.isFinite(Number(value))) return Number(value) + 0; // JSON has no -0
    return value;
  });
}

function numberValues(dataSet: DataSet, element: Element, vr: string): unknown[] | null {
  const { tag, length } = element;
  const many = (size: number, read: (index: number) => unknown): unknown[] =>
    Array.from({ length: Math.floor(length / size) }, (_, index) => read(index) ?? null);
  const view = (): DataView => new DataView(dataSet.byteArray.buffer, dataSet.byteArray.byteOffset + element.dataOffset, length);
  switch (vr) {
    case 'US':
      return many(2, (index) => dataSet.uint16(tag, index));
    case 'SS':
      return many(2, (index) => dataSet.int16(tag, index));
    case 'UL':
      return many(4, (index) => dataSet.uint32(tag, index));
    case 'SL':
      return many(4, (index) => dataSet.int32(tag, index));
    case 'FL':
      return many(4, (index) => dataSet.float(tag, index));
    case 'FD':
      return many(8, (index) => dataSet.double(tag, index));
    case 'AT': {
      const hex = (value: number | undefined): string => (value ?? 0).toString(16).padStart(4, '0').toUpperCase();
      return many(4, (index) => hex(dataSet.uint16(tag, index * 2)) + hex(dataSet.uint16(tag, index * 2 + 1)));
    }
    case 'SV':
      return many(8, (index) =>
        view()
          .getBigInt64(index * 8, true)
          .toString(),
      );
    case 'UV':
      return many(8, (index) =>
        view()
          .getBigUint64(index * 8, true)
          .toString(),
      );
    default:
      return null;
  }
}

function elementJson(
  dataSet: DataSet,
  element: Element,
  charsets: readonly string[],
  bulkUri: ((tag: string) => string) | null,
): JsonElement {
  const vr = vrOf(element);
  if (element.items !== undefined || vr === 'SQ') {
    const items = (element.items ?? []).flatMap((item) => (item.dataSet === undefined ? [] : [item.dataSet]));
    return items.length === 0 ? { vr: 'SQ' } : { vr: 'SQ', Value: items.map((item) => jsonOf(item, charsets, null)) };
  }
  if (element.length === 0) return { vr };
  if (binary.has(vr)) {
    if (bulkUri !== null) return { vr, BulkDataURI: bulkUri(element.tag.slice(1).toUpperCase()) };
    return { vr, InlineBinary: Buffer.from(bytesOf(dataSet, element)).toString('base64') };
  }
  const values = numberValues(dataSet, element, vr) ?? textValues(dataSet, element, vr, charsets);
  return values.length === 0 ? { vr } : { vr, Value: values };
}

/** Group 0002, group lengths and delimiters are no part of it. `bulkUri` null = binary values inline. */
export function jsonOf(dataSet: DataSet, inherited: readonly string[], bulkUri: ((tag: string) => string) | null): JsonDataSet {
  const own = dataSet.elements.x00080005;
  const charsets = own === undefined ? inherited : (dataSet.string('x00080005') ?? '').split('\\').map((term) => term.trim());
  const members = Object.values(dataSet.elements)
    .filter(({ tag }) => !/^x(0002|fffe|....0000)/.test(tag))
    .sort((a, b) => (a.tag < b.tag ? -1 : 1))
    .map((element): [string, JsonElement] => {
      const tag = element.tag.slice(1).toUpperCase();
      // The JSON itself is UTF-8, whatever the file was (PS3.18 F.2).
      if (tag === '00080005') return [tag, { vr: 'CS', Value: ['ISO_IR 192'] }];
      return [tag, elementJson(dataSet, element, charsets, bulkUri)];
    });
  return Object.fromEntries(members);
}
