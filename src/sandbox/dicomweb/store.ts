/**
 * STOW-RS: parts of a multipart body stored one by one as they arrive, each judged alone.
 *
 * The bytes are kept as they came. The same instance again with the same bytes is a success; with other bytes it is refused, and the old
 * bytes stay. Source: PS3.18 10.5, tables 10.5.3-1 and 10.5.3-2; PS3.4 table GG.4-1 (failure reasons).
 */
import type { Request, Response } from 'express';
import { readPart10 } from '#dicom/read.ts';
import { mediaTypeOf } from '#dicomweb/media-type.ts';
import { boundaryOf, readParts } from '#dicomweb/multipart.ts';
import { WetreadError } from '#domain/errors.ts';
import { type Archive, type Described, describe, type Stored } from './archive.ts';
import { DicomwebRefusal } from './refusal.ts';
import { instanceUrl } from './retrieve.ts';

/** Largest instance, and the number of instances in one request. */
const limits = { maxPartBytes: 512 * 1024 * 1024, maxParts: 5000 };

const reasons = { processing: 0x0110, duplicate: 0x0111, mismatch: 0xa900, notUnderstood: 0xc000 };

interface Failure {
  readonly sopClass: string | null;
  readonly instance: string | null;
  readonly reason: number;
}

type Outcome = { readonly stored: Stored } | { readonly failure: Failure };

async function storePart(archive: Archive, bytes: Uint8Array, study: string | null): Promise<Outcome> {
  let described: Described;
  try {
    readPart10(bytes);
    described = describe(bytes);
  } catch (error) {
    if (!(error instanceof WetreadError)) throw error;
    return { failure: { sopClass: null, instance: null, reason: reasons.notUnderstood } };
  }
  const { sopClass, instance } = described;
  if (study !== null && described.study !== study) return { failure: { sopClass, instance, reason: reasons.mismatch } };
  const stored = await archive.add(described, bytes);
  return stored === null ? { failure: { sopClass, instance, reason: reasons.duplicate } } : { stored };
}

const text = (vr: string, value: string | number | null) => (value === null ? { vr } : { vr, Value: [value] });

function answer(outcomes: readonly Outcome[], base: string): object {
  const stored = outcomes.flatMap((one) => ('stored' in one ? [one.stored] : []));
  const failures = outcomes.flatMap((one) => ('failure' in one ? [one.failure] : []));
  const study = stored[0] === undefined ? null : `${base}/studies/${stored[0].study}`;
  const references = stored.map((one) => ({
    '00081150': text('UI', one.sopClass),
    '00081155': text('UI', one.instance),
    '00081190': text('UR', instanceUrl(base, one)),
  }));
  const failed = failures.map((one) => ({
    '00081150': text('UI', one.sopClass),
    '00081155': text('UI', one.instance),
    '00081197': text('US', one.reason),
  }));
  return {
    '00081190': text('UR', study),
    ...(references.length === 0 ? {} : { '00081199': { vr: 'SQ', Value: references } }),
    ...(failed.length === 0 ? {} : { '00081198': { vr: 'SQ', Value: failed } }),
  };
}

/** `study` null = any. @throws DicomwebRefusal 400, 413, 415 for a body that is no such message; complete parts before a fault are kept */
export async function storeInstances(
  request: Request,
  response: Response,
  archive: Archive,
  study: string | null,
  base: string,
): Promise<void> {
  const { type, parameters } = mediaTypeOf(request.get('Content-Type') ?? null);
  if (type !== 'multipart/related' || parameters.get('type')?.toLowerCase() !== 'application/dicom') {
    throw new DicomwebRefusal(
      415,
      `found Content-Type ${request.get('Content-Type') ?? 'none'}, expected multipart/related; type="application/dicom"`,
    );
  }
  const outcomes: Outcome[] = [];
  try {
    for await (const part of readParts(request, boundaryOf(request.get('Content-Type') ?? null, 'STOW'), limits, 'STOW')) {
      const dicom = part.type.type === 'application/dicom' || part.type.type === '';
      outcomes.push(
        dicom
          ? await storePart(archive, part.bytes, study)
          : { failure: { sopClass: null, instance: null, reason: reasons.notUnderstood } },
      );
    }
  } catch (error) {
    if (error instanceof WetreadError) throw new DicomwebRefusal(error.code === 'net-too-large' ? 413 : 400, error.message);
    throw error;
  }
  if (outcomes.length === 0) throw new DicomwebRefusal(400, 'the body has no part');
  const failures = outcomes.filter((one) => 'failure' in one).length;
  const status = failures === 0 ? 200 : failures === outcomes.length ? 409 : 202;
  response
    .status(status)
    .type('application/dicom+json')
    .send(JSON.stringify(answer(outcomes, base)));
}
