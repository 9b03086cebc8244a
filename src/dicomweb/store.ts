/**
 * Stores one object and proves that the archive holds it: the answer must name our UID, and what is read back must be what was sent.
 *
 * Status 200 proves neither: Orthanc answers 200 for parts that it could not read and for other bytes under a known UID. An archive
 * that rewrites preamble or file meta (Azure) is compared by the data set.
 *
 * Source: PS3.18 10.5.3 (answers), PS3.4 table GG.4-1 and PS3.7 annex C (reasons), PS3.10 7.1 (file meta).
 */
import { type Warning, WetreadError } from '#domain/errors.ts';
import { post } from './calls.ts';
import { type Dataset, dataset, integerAt, itemsAt, textAt } from './json.ts';
import { type PartUids, type RetrieveSetup, retrieveOne } from './retrieve.ts';

export interface Stored {
  readonly uids: PartUids;
  /** What is equal to what was sent: every byte, or the data set while preamble or file meta were rewritten. */
  readonly equal: 'bytes' | 'data-set';
  readonly warnings: readonly Warning[];
}

const failedSequence = '00081198';
const referencedSequence = '00081199';
const referencedInstance = '00081155';
const failureReason = '00081197';
const warningReason = '00081196';

/** Reasons that mean "already there": DIMSE 0111H, and Azure's own number. */
const duplicates = new Set([273, 45070]);

/** FailureReason in words. */
function reasonWords(reason: number | null): string {
  if (reason === null) return 'no reason given';
  const hex = `${reason.toString(16).toUpperCase().padStart(4, '0')}H`;
  if (reason === 272) return `processing failure (${hex})`;
  if (reason === 290) return `SOP class not supported (${hex})`;
  if (duplicates.has(reason)) return `already there (${hex})`;
  if (reason >= 0xa700 && reason <= 0xa7ff) return `out of resources (${hex})`;
  if (reason >= 0xa900 && reason <= 0xa9ff) return `data set does not match its class (${hex})`;
  if (reason === 49442) return `transfer syntax not supported (${hex})`;
  if (reason >= 0xc000 && reason <= 0xcfff) return `cannot understand (${hex})`;
  return hex;
}

function itemOf(answer: Dataset, sequence: string, instance: string): Dataset | undefined {
  return itemsAt(answer, sequence).find((item) => textAt(item, referencedInstance) === instance);
}

/** Bytes after the file meta group; null when there is no readable file meta. */
function dataSetOf(bytes: Uint8Array): Uint8Array | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // (0002,0000) UL with 4 bytes: the length of the rest of the group (PS3.10 7.1).
  if (view.length < 144 || view.toString('latin1', 128, 138) !== 'DICM\x02\x00\x00\x00UL') return null;
  const start = 144 + view.readUInt32LE(140);
  return start < view.length ? view.subarray(start) : null;
}

/** What is equal; null = different objects. */
export function compared(sent: Uint8Array, found: Uint8Array): Stored['equal'] | null {
  if (Buffer.compare(sent, found) === 0) return 'bytes';
  const [ours, theirs] = [dataSetOf(sent), dataSetOf(found)];
  return ours !== null && theirs !== null && Buffer.compare(ours, theirs) === 0 ? 'data-set' : null;
}

/** What the archive holds now. @throws dicomweb-store-failed when it acknowledged the object and does not give it back */
async function readBack(setup: RetrieveSetup, uids: PartUids): Promise<Uint8Array> {
  try {
    return await retrieveOne(setup, uids);
  } catch (error) {
    if (!(error instanceof WetreadError) || error.code !== 'dicomweb-missing-instances') throw error;
    throw new WetreadError('dicomweb-store-failed', `${setup.neighbour.name}: ${uids.instance} was acknowledged and does not come back`, {
      cause: error,
    });
  }
}

/**
 * Stores and reads back; storing the same object again is a success.
 * @throws dicomweb-store-failed when the archive does not say that it holds our UID or does not give it back, delivery-conflict when it holds other content
 * under it, dicomweb-unauthorised, net-*
 */
export async function store(setup: RetrieveSetup, bytes: Uint8Array): Promise<Stored> {
  const { name } = setup.neighbour;
  const uids = setup.readUids(bytes);
  const { status, body, retryAfter } = await post(setup, uids.study, bytes);
  if (status === 401 || status === 403) {
    throw new WetreadError('dicomweb-unauthorised', `${name}: found status ${status} for a store`, {
      hint: 'the PACS account must be allowed to store',
    });
  }
  const parsed = dataset.safeParse(body);
  const answer = parsed.success ? parsed.data : {};
  const referenced = itemOf(answer, referencedSequence, uids.instance);
  const failed = itemOf(answer, failedSequence, uids.instance);
  const reason = failed === undefined ? null : integerAt(failed, failureReason);
  if (referenced === undefined && !(reason !== null && duplicates.has(reason))) {
    const why = failed === undefined ? 'the answer does not name it' : reasonWords(reason);
    throw new WetreadError('dicomweb-store-failed', `${name}: found status ${status} for ${uids.instance}: ${why}`, {
      ...(retryAfter === null ? {} : { hint: `the archive asks to wait: Retry-After ${retryAfter}` }),
    });
  }
  const coerced = referenced === undefined ? null : integerAt(referenced, warningReason);
  const warnings =
    coerced === null ? [] : [{ code: 'dicomweb-store-warning', message: `${name}: stored with warning ${reasonWords(coerced)}` }];
  const equal = compared(bytes, await readBack(setup, uids));
  if (equal !== null) return { uids, equal, warnings };
  throw new WetreadError('delivery-conflict', `${name}: what is stored under ${uids.instance} differs from what was sent`, {
    hint: 'the archive held another object under this UID or changed it; it is not sent again under a new UID',
  });
}
