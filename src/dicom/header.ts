/**
 * Typed access to the elements of a parsed data set: text, numbers, sequences, by keyword.
 *
 * Surprise: the VR comes from tags.ts, not from the file, since implicit files have none and real ones carry UN for known attributes.
 * An empty value is null, never "" or 0. Source: PS3.5 6.2, 7.
 */
import dicomParser, { type DataSet, type Element } from 'dicom-parser';
import { WetreadError } from '#domain/errors.ts';
import { decodeText } from './charset.ts';
import { type Keyword, tags, type Vr } from './tags.ts';

export interface Header {
  has(keyword: Keyword): boolean;
  /** First value, trimmed; null = absent or empty. @throws dicom-malformed for an unknown character set */
  text(keyword: Keyword): string | null;
  /** All values, trimmed, empty ones kept as ''. */
  texts(keyword: Keyword): readonly string[];
  /** First value; null = absent or empty. @throws dicom-malformed when the value is not a number */
  number(keyword: Keyword): number | null;
  /** All values. @throws dicom-malformed when one is not a number */
  numbers(keyword: Keyword): readonly number[];
  /** As `number`, but a value that is no number is unknown: for labels that nothing is computed from. */
  label(keyword: Keyword): number | null;
  /** Items of a sequence; absent or empty = []. */
  items(keyword: Keyword): readonly Header[];
  /** Raw value; null = absent. */
  bytes(keyword: Keyword): Uint8Array | null;
  /** True when numbers of more than one byte are big endian. */
  readonly bigEndian: boolean;
}

/** What an item inherits from the data set around it. */
interface Surroundings {
  readonly charsets: readonly string[];
  readonly signed: boolean;
  readonly bigEndian: boolean;
}

const textVrs: readonly Vr[] = ['LO', 'PN', 'SH', 'ST', 'UT'];
const single: readonly Vr[] = ['ST', 'UT'];

/** Wraps a parsed data set. `bigEndian` is that of the transfer syntax. */
export function headerOf(dataSet: DataSet, bigEndian: boolean, inherited?: Surroundings): Header {
  const element = (keyword: Keyword): Element | undefined => dataSet.elements[tags[keyword][0]];
  const bytes = (keyword: Keyword): Uint8Array | null => {
    const found = element(keyword);
    return found === undefined ? null : dataSet.byteArray.subarray(found.dataOffset, found.dataOffset + found.length);
  };
  const ascii = (keyword: Keyword): readonly string[] => {
    const raw = bytes(keyword);
    return raw === null || raw.length === 0 ? [] : trimmed(new TextDecoder('latin1').decode(raw)).split('\\').map(trimmed);
  };
  const charsets = element('SpecificCharacterSet') === undefined ? (inherited?.charsets ?? []) : ascii('SpecificCharacterSet');
  const signed = inherited?.signed ?? dataSet.uint16(tags.PixelRepresentation[0]) === 1;

  const texts = (keyword: Keyword): readonly string[] => {
    const vr = tags[keyword][1];
    if (!textVrs.includes(vr)) return ascii(keyword);
    const raw = bytes(keyword);
    if (raw === null || raw.length === 0) return [];
    const text = decodeText(raw, charsets);
    return single.includes(vr) ? [text.replace(/[\0 ]+$/, '')] : text.split('\\').map(trimmed);
  };
  const numbers = (keyword: Keyword): readonly number[] => {
    const vr: Vr = tags[keyword][1];
    if (vr === 'IS' || vr === 'DS')
      return ascii(keyword)
        .filter(Boolean)
        .map((text) => parseNumber(text, vr, keyword));
    return binaryNumbers(bytes(keyword), vr, signed, bigEndian);
  };
  return {
    bigEndian,
    has: (keyword) => element(keyword) !== undefined,
    bytes,
    texts,
    text: (keyword) => texts(keyword)[0] || null,
    numbers,
    number: (keyword) => numbers(keyword)[0] ?? null,
    label: (keyword) => {
      const text = texts(keyword)[0];
      return text !== undefined && isNumber(text, tags[keyword][1]) ? Number(text) : null;
    },
    items: (keyword) =>
      itemsOf(dataSet, element(keyword), keyword).map((item) => headerOf(item, bigEndian, { charsets, signed, bigEndian })),
  };
}

/** Padding is a space, or NUL for UI; both occur everywhere. */
function trimmed(text: string): string {
  return text.replace(/^[\0 ]+|[\0 ]+$/g, '');
}

function isNumber(text: string, vr: Vr): boolean {
  return vr === 'IS' ? /^[+-]?\d{1,12}$/.test(text) : /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text);
}

function parseNumber(text: string, vr: 'IS' | 'DS', keyword: Keyword): number {
  if (isNumber(text, vr)) return Number(text);
  throw new WetreadError('dicom-malformed', `${keyword}: found ${text.length} characters that are none, expected a number (VR ${vr})`);
}

function binaryNumbers(raw: Uint8Array | null, vr: Vr, signed: boolean, bigEndian: boolean): readonly number[] {
  if (raw === null) return [];
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const size = vr === 'FD' ? 8 : vr === 'UL' ? 4 : 2;
  return Array.from({ length: Math.floor(raw.length / size) }, (_, i) => {
    if (vr === 'FD') return view.getFloat64(i * 8, !bigEndian);
    if (vr === 'UL') return view.getUint32(i * 4, !bigEndian);
    return vr === 'XS' && signed ? view.getInt16(i * 2, !bigEndian) : view.getUint16(i * 2, !bigEndian);
  });
}

function itemsOf(dataSet: DataSet, element: Element | undefined, keyword: Keyword): readonly DataSet[] {
  if (element === undefined || element.length === 0) return [];
  if (element.items === undefined) return itemsOfUnknown(dataSet, element, keyword);
  return element.items.flatMap((item) => (item.dataSet === undefined ? [] : [item.dataSet]));
}

/** A sequence written with VR UN is implicit little endian inside, whatever the file is (PS3.5 6.2.2 note 4). */
function itemsOfUnknown(dataSet: DataSet, element: Element, keyword: Keyword): readonly DataSet[] {
  if (element.vr !== undefined && element.vr !== 'UN') {
    throw new WetreadError('dicom-malformed', `${keyword}: found VR ${element.vr}, expected a sequence`);
  }
  const stream = new dicomParser.ByteStream(dicomParser.littleEndianByteArrayParser, dataSet.byteArray, element.dataOffset);
  try {
    const copy: Element = { ...element, items: [] };
    dicomParser.readSequenceItemsImplicit(stream, copy);
    return (copy.items ?? []).flatMap((item) => (item.dataSet === undefined ? [] : [item.dataSet]));
  } catch (cause) {
    throw new WetreadError('dicom-malformed', `${keyword}: found bytes that are no items, expected a sequence`, { cause });
  }
}
