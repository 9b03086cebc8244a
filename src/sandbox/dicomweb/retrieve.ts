/**
 * WADO-RS: instances as stored, metadata, frames, bulk data, rendered pictures.
 *
 * Nothing is transcoded: an instance goes out in the transfer syntax in which it lies, where the request accepts that one, else 406.
 * Source: PS3.18 10.4, 8.7.3 (default transfer syntax Explicit VR Little Endian, `*` = as stored).
 */
import type { Request, Response } from 'express';
import { encapsulatedFrame } from '#dicom/frames.ts';
import { describePixels } from '#dicom/pixel-description.ts';
import { type DicomFile, readPart10 } from '#dicom/read.ts';
import { nativeFrame } from '#dicom/stored.ts';
import { codecFor } from '#dicom/transfer-syntax.ts';
import { type Acceptable, acceptableOf, covers } from './accept.ts';
import type { Archive, Stored } from './archive.ts';
import { jsonOf, parseDataSet } from './dataset-json.ts';
import { type Disguise, sendParts } from './multipart-writer.ts';
import { DicomwebRefusal } from './refusal.ts';

const explicitLittleEndian = '1.2.840.10008.1.2.1';

/** Media types of compressed frames (PS3.18 table 8.7.3-5). */
const frameTypes = {
  rle: 'image/dicom-rle',
  jpeg: 'image/jpeg',
  'jpeg-lossless': 'image/jpeg',
  'jpeg-ls': 'image/jls',
  jpeg2000: 'image/jp2',
  htj2k: 'image/jphc',
};

export function instanceUrl(base: string, stored: Stored): string {
  return `${base}/studies/${stored.study}/series/${stored.series}/instances/${stored.instance}`;
}

function accepts(acceptable: readonly Acceptable[], part: string, transferSyntax: string): boolean {
  return acceptable.some(
    (one) =>
      (one.multipart || one.type === '*/*') &&
      covers(one.type, part) &&
      (one.transferSyntax === '*' || (one.transferSyntax ?? explicitLittleEndian) === transferSyntax),
  );
}

export async function sendInstances(
  request: Request,
  response: Response,
  archive: Archive,
  found: readonly Stored[],
  base: string,
  disguise?: Disguise,
): Promise<void> {
  const acceptable = acceptableOf(request.get('Accept'));
  const refused = found.find((stored) => !accepts(acceptable, 'application/dicom', stored.transferSyntax));
  if (refused !== undefined) {
    const message = `${refused.instance} lies in transfer syntax ${refused.transferSyntax}, which Accept ${request.get('Accept') ?? '(none)'} does not cover`;
    throw new DicomwebRefusal(406, `${message}; ask multipart/related; type="application/dicom"; transfer-syntax=*`);
  }
  async function* parts() {
    for (const stored of found) {
      const type = `application/dicom; transfer-syntax=${stored.transferSyntax}`;
      yield { type, location: instanceUrl(base, stored), bytes: await archive.bytes(stored) };
    }
  }
  await sendParts(response, 'application/dicom', parts(), disguise);
}

export async function sendMetadata(
  request: Request,
  response: Response,
  archive: Archive,
  found: readonly Stored[],
  base: string,
): Promise<void> {
  if (!acceptableOf(request.get('Accept')).some((one) => covers(one.type, 'application/dicom+json') || one.type === 'application/json')) {
    throw new DicomwebRefusal(406, `metadata come as application/dicom+json, found Accept ${request.get('Accept')}`);
  }
  const metadata: object[] = [];
  for (const stored of found) {
    const url = instanceUrl(base, stored);
    metadata.push(jsonOf(parseDataSet(await archive.bytes(stored)), [], (tag) => `${url}/bulkdata/${tag}`));
  }
  response.type('application/dicom+json').send(JSON.stringify(metadata));
}

function frameNumbers(list: string, frames: number): number[] {
  return list.split(',').map((text) => {
    const frame = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (frame < 1) throw new DicomwebRefusal(400, `frames: found ${JSON.stringify(text.slice(0, 40))}, expected numbers from 1`);
    if (frame > frames) throw new DicomwebRefusal(404, `frames: found ${frame}, the instance has ${frames}`);
    return frame;
  });
}

function frameOf(file: DicomFile, frame: number, frames: number): { bytes: Uint8Array; type: string } {
  if (file.pixelData === null) throw new DicomwebRefusal(404, 'the instance has no pixel data');
  if (file.pixelData.kind === 'native') {
    return { bytes: nativeFrame(file.pixelData.bytes, describePixels(file.header), frame - 1), type: 'application/octet-stream' };
  }
  const codec = codecFor(file.transferSyntax);
  return { bytes: encapsulatedFrame(file.pixelData.bytes, file.header, frames, frame - 1, codec), type: frameTypes[codec] };
}

export async function sendFrames(
  request: Request,
  response: Response,
  archive: Archive,
  stored: Stored,
  list: string,
  base: string,
): Promise<void> {
  const file = readPart10(await archive.bytes(stored));
  const count = file.header.number('NumberOfFrames') ?? 1;
  const frames = frameNumbers(list, count).map((number) => ({ number, ...frameOf(file, number, count) }));
  const [first] = frames;
  if (first === undefined) throw new DicomwebRefusal(400, 'frames: the list is empty');
  const native = first.type === 'application/octet-stream';
  const acceptable = acceptableOf(request.get('Accept'));
  // Uncompressed frames are the same bytes under each native syntax; `*` takes the stored codestream under any part type.
  const covered = native
    ? acceptable.some((one) => covers(one.type, first.type))
    : acceptable.some((one) => (one.transferSyntax === '*' ? true : one.type !== '*/*' && covers(one.type, first.type)));
  if (!covered) {
    throw new DicomwebRefusal(
      406,
      `frames lie as ${first.type} (${file.transferSyntax}), which Accept ${request.get('Accept') ?? '(none)'} does not cover`,
    );
  }
  const suffix = native ? '' : `; transfer-syntax=${file.transferSyntax}`;
  async function* parts() {
    for (const frame of frames) {
      yield { type: `${frame.type}${suffix}`, location: `${instanceUrl(base, stored)}/frames/${frame.number}`, bytes: frame.bytes };
    }
  }
  await sendParts(response, first.type, parts());
}

/** The value of a top-level element of which metadata gave a BulkDataURI. */
export async function sendBulkData(response: Response, archive: Archive, stored: Stored, tag: string, base: string): Promise<void> {
  const dataSet = parseDataSet(await archive.bytes(stored), true);
  const element = dataSet.elements[`x${tag.toLowerCase()}`];
  if (element === undefined || element.items !== undefined) throw new DicomwebRefusal(404, `${tag} has no bulk data in ${stored.instance}`);
  if (element.encapsulatedPixelData === true) throw new DicomwebRefusal(406, 'compressed pixel data are retrieved as frames');
  const bytes = dataSet.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
  async function* parts() {
    yield { type: 'application/octet-stream', location: `${instanceUrl(base, stored)}/bulkdata/${tag}`, bytes };
  }
  await sendParts(response, 'application/octet-stream', parts());
}

/** An 8-bit picture of a frame (1-based, null = the first) in one of the two types. */
export type Render = (file: DicomFile, frame: number | null, type: 'image/png' | 'image/jpeg') => Promise<Uint8Array>;

export async function sendRendered(
  request: Request,
  response: Response,
  archive: Archive,
  stored: Stored,
  frame: string | null,
  render: Render,
): Promise<void> {
  const params = [...new URL(request.originalUrl, 'http://localhost').searchParams.keys()];
  if (params.length > 0) throw new DicomwebRefusal(400, `rendered: ${params.join(', ')} is not supported; the window is the image's own`);
  const acceptable = acceptableOf(request.get('Accept'));
  const type = (['image/png', 'image/jpeg'] as const).find((candidate) => acceptable.some((one) => covers(one.type, candidate)));
  if (type === undefined)
    throw new DicomwebRefusal(406, `rendered pictures are image/png or image/jpeg, found Accept ${request.get('Accept')}`);
  const file = readPart10(await archive.bytes(stored));
  const number = frame === null ? null : (frameNumbers(frame, file.header.number('NumberOfFrames') ?? 1)[0] ?? null);
  response.type(type).send(Buffer.from(await render(file, number, type)));
}
