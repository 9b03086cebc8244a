/**
 * Faults that a test, or whoever connects a PACS, turns on in the DICOMweb server, to see what a client does about them.
 *
 * Each is something that an archive or the network before it does in the field: PS3.18 8.3.4 and 10.3 to 10.6 say what should be.
 */
import { z } from 'zod';

const bytes = z.int().min(0).max(1_000_000_000).nullable().default(null);

export const switchesForm = z.strictObject({
  at: z.enum(['search', 'retrieve', 'store']).nullable().default(null).describe('Requests that are disturbed; null = all.'),
  times: z.int().min(0).nullable().default(null).describe('How many of them, then none; null = every one.'),
  cutAfter: bytes.describe('The answer ends after so many bytes, with neither length nor chunks: only the closing boundary is missing.'),
  resetAfter: bytes.describe('The connection is reset after so many bytes.'),
  stallAfter: bytes.describe('Nothing comes after so many bytes, and the connection stays open.'),
  dripBytes: z.int().min(1).nullable().default(null).describe('The body comes in so many bytes every 50 ms.'),
  status: z.int().min(200).max(599).nullable().default(null).describe('Answered with this status and no body: 206, 401, 503, ...'),
  retryAfter: z.string().nullable().default(null).describe('Retry-After beside that status.'),
  redirect: z.url().nullable().default(null).describe('Answered with 302 to this address.'),
  html: z.boolean().default(false).describe('A login page with status 200.'),
  brokenJson: z.boolean().default(false).describe('JSON answers end in the middle, with a length that fits.'),
  partType: z.string().min(1).nullable().default(null).describe('Media type of every part of a multipart answer.'),
  boundary: z
    .string()
    .regex(/^[0-9A-Za-z'()+_,./:=?-]{1,70}$/)
    .nullable()
    .default(null)
    .describe('The boundary, which may stand in the pixel data of an object that was stored before.'),
  padding: z.int().min(0).max(1_000_000_000).default(0).describe('So many bytes are added to every instance.'),
  missing: z.boolean().default(false).describe('The last instance of a study with several is listed and cannot be had.'),
  extra: z.boolean().default(false).describe('The last instance of a study with several is sent and not listed.'),
  shortList: z.boolean().default(false).describe('The last instance of a study with several is counted, sent and not listed.'),
  ignoredKeys: z.array(z.string().min(1)).default([]).describe('Search keys that are not applied, by keyword.'),
  caseless: z.boolean().default(false).describe('PatientID is matched without letter case.'),
  otherHost: z.url().nullable().default(null).describe('BulkDataURI, RetrieveURL and Content-Location are on this host.'),
  paging: z
    .enum(['repeats', 'loops'])
    .nullable()
    .default(null)
    .describe('The first page for every offset, or from the start again at the end.'),
  keepsOld: z.boolean().default(false).describe('A store under a known UID is answered with 200, and the old bytes stay.'),
  loses: z.boolean().default(false).describe('A store is answered with 200, and nothing is kept.'),
});

export type Switches = z.output<typeof switchesForm>;

/** A set of switches with every fault off. */
export function noSwitches(): Switches {
  return switchesForm.parse({});
}
