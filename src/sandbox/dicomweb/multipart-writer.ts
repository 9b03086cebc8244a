/** Writes a multipart/related answer part by part, waiting when the reader is slow, so that a study is never held whole in memory. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Response } from 'express';

export interface OutgoingPart {
  readonly type: string;
  readonly location: string;
  readonly bytes: Uint8Array;
}

/** What an answer says instead of what it is; null = the truth. */
export interface Disguise {
  readonly boundary: string | null;
  readonly partType: string | null;
}

async function write(response: Response, bytes: Uint8Array | string): Promise<void> {
  if (!response.write(bytes) && !response.destroyed) await once(response, 'drain', { signal: AbortSignal.timeout(60_000) });
}

/** `type` is the media type of the parts, as RFC 2387 wants it in the header. */
export async function sendParts(
  response: Response,
  type: string,
  parts: AsyncIterable<OutgoingPart>,
  disguise: Disguise = { boundary: null, partType: null },
): Promise<void> {
  const boundary = disguise.boundary ?? randomBytes(20).toString('hex');
  response.status(200).set('Content-Type', `multipart/related; type="${type}"; boundary="${boundary}"`);
  for await (const part of parts) {
    if (response.destroyed) return;
    const head = [
      `--${boundary}`,
      `Content-Type: ${disguise.partType ?? part.type}`,
      `Content-Length: ${part.bytes.length}`,
      `Content-Location: ${part.location}`,
      '',
      '',
    ];
    await write(response, head.join('\r\n'));
    await write(response, part.bytes);
    await write(response, '\r\n');
  }
  response.end(`--${boundary}--\r\n`);
}
