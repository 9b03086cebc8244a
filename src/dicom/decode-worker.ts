/**
 * Decodes frames in a worker thread, one after the other, so that a hostile codestream takes a worker and not the service.
 *
 * Before a decoder's first use it must pass its known-answer test here. Source: decode-pool.ts.
 */
import { parentPort } from 'node:worker_threads';
import { type ErrorCode, WetreadError } from '#domain/errors.ts';
import { decodeCodestream } from './codecs.ts';
import { type Decode, decoderGate } from './known-answers.ts';
import type { PixelDescription } from './pixel-description.ts';
import type { StoredFrame } from './stored.ts';
import type { Codec } from './transfer-syntax.ts';

export interface DecodeRequest {
  readonly codec: Codec;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly description: PixelDescription;
}

export type DecodeReply = { readonly frame: StoredFrame } | { readonly code: ErrorCode; readonly message: string };

/** Checks a decoder at its first use, then decodes; every fault is a reply. The tests give a decoder that is wrong. */
export function answering(decode: Decode = decodeCodestream): (request: DecodeRequest) => Promise<DecodeReply> {
  const requireKnownAnswers = decoderGate(decode);
  return async ({ codec, bytes, description }) => {
    try {
      await requireKnownAnswers(codec);
      return { frame: await decode(codec, bytes, description) };
    } catch (error) {
      // What is not ours comes out of a decoder (memory, an index out of range): for the reader of the draft the image is damaged.
      const code = error instanceof WetreadError ? error.code : 'pixel-damaged';
      return { code, message: error instanceof Error ? error.message : String(error) };
    }
  };
}

const answer = answering();

parentPort?.on('message', async (request: DecodeRequest) => {
  const reply = await answer(request);
  // valuesOf and the colour conversion made the values in memory of their own, which can be handed over.
  parentPort?.postMessage(reply, 'frame' in reply ? [reply.frame.values.buffer as ArrayBuffer] : []);
});
