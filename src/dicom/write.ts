/**
 * Writes a Part 10 file from a naturalized data set (keyword -> value, sequences as arrays of data sets).
 *
 * The same input gives the same bytes: implementation UID and version are fixed and no date is added. The caller gives every type 2
 * attribute (empty as '' or []) and values that fit their VR. Source: PS3.10 7.1, PS3.5 7.
 */
import dcmjs from 'dcmjs';
import { WetreadError } from '#domain/errors.ts';
import { uidOf } from '#domain/uid.ts';

const implementationClassUid = uidOf('implementation');
const implementationVersionName = 'WETREAD_1';

dcmjs.log.setLevel('error', false);

export interface WriteOptions {
  readonly sopClass: string;
  readonly sopInstance: string;
  /** Explicit VR Little Endian unless PixelData is already encapsulated in another. */
  readonly transferSyntax: string;
}

/** @throws dicom-malformed when dcmjs cannot encode a value */
export function writePart10(
  dataset: Readonly<Record<string, unknown>>,
  { sopClass, sopInstance, transferSyntax }: WriteOptions,
): Uint8Array {
  const meta = {
    '00020001': { vr: 'OB', Value: [Uint8Array.of(0, 1).buffer] },
    '00020002': { vr: 'UI', Value: [sopClass] },
    '00020003': { vr: 'UI', Value: [sopInstance] },
    '00020010': { vr: 'UI', Value: [transferSyntax] },
    '00020012': { vr: 'UI', Value: [implementationClassUid] },
    '00020013': { vr: 'SH', Value: [implementationVersionName] },
  };
  try {
    const dict = new dcmjs.data.DicomDict(meta);
    dict.dict = dcmjs.data.DicomMetaDictionary.denaturalizeDataset({ ...dataset });
    return new Uint8Array(dict.write());
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WetreadError('dicom-malformed', `data set of ${sopInstance}: cannot be written, ${reason}`, { cause });
  }
}
