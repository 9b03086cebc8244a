/**
 * Decodes frames in a worker thread, one after the other, so that a hostile codestream takes a worker and not the service.
 *
 * Before a decoder's first use it must pass its known-answer test here. Source: decode-pool.ts.
 */
import { parentPort } from 'node:worker_threads';
import { type ErrorCode, WetreadError } from '#domain/errors.ts';
import { decodeCodestream } from './codecs.ts';
import { requireKnownAnswers } from './known-answers.ts';
import type { PixelDescription } from './pixel-description.ts';
import type { StoredFrame } from './stored.ts';
import type { Codec } from './transfer-syntax.ts';

export interface DecodeRequest {
  readonly codec: Codec;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly description: PixelDescription;
}

export type DecodeReply = { readonly frame: StoredFrame } | { readonly code: ErrorCode; readonly message: string };

parentPort?.on('message', async ({ codec, bytes, description }: DecodeRequest) => {
  try {
    await requireKnownAnswers(codec);
    const frame = await decodeCodestream(codec, bytes, description);
    // valuesOf and the colour conversion made the values in memory of their own, which can be handed over.
    parentPort?.postMessage({ frame } satisfies DecodeReply, [frame.values.buffer as ArrayBuffer]);
  } catch (error) {
    // What is not ours comes out of a decoder (memory, an index out of range): for the reader of the draft the image is damaged.
    const code = error instanceof WetreadError ? error.code : 'pixel-damaged';
    const reply: DecodeReply = { code, message: error instanceof Error ? error.message : String(error) };
    parentPort?.postMessage(reply);
  }
});
