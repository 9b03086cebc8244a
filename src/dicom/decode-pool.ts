/**
 * Worker threads that decode frames, with a time limit per frame. A worker that passes it, dies or has done its share is replaced:
 * wasm memory never shrinks, and a stuck decoder cannot be stopped in another way.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { WetreadError } from '#domain/errors.ts';
import type { DecodeReply, DecodeRequest } from './decode-worker.ts';
import type { PixelDescription } from './pixel-description.ts';
import type { StoredFrame } from './stored.ts';
import type { Codec } from './transfer-syntax.ts';

export interface DecodePool {
  /** @throws pixel-damaged (also for the time limit and a dead worker), pixel-unsupported, transfer-syntax-unsupported */
  decode(codec: Codec, bytes: Uint8Array, description: PixelDescription): Promise<StoredFrame>;
  /** Ends the workers; frames in work are rejected. */
  close(): Promise<void>;
}

interface Job {
  readonly request: DecodeRequest;
  readonly resolve: (frame: StoredFrame) => void;
  readonly reject: (error: WetreadError) => void;
}

interface Slot {
  readonly worker: Worker;
  job: Job | null;
  timer: NodeJS.Timeout | null;
  samples: number;
}

/** A worker is replaced after this many samples: about 200 CT slices, or two mammograms. */
const samplesPerWorker = 50_000_000;

/** JPEG 2000 needs up to 0.6 s a megapixel on an idle core. */
function defaultLimitMs(description: PixelDescription): number {
  return 15_000 + (2_000 * description.rows * description.columns * description.samples) / 1_000_000;
}

export function openDecodePool({
  workers = Math.min(availableParallelism(), 4),
  limitMs = defaultLimitMs,
}: {
  readonly workers?: number;
  readonly limitMs?: (description: PixelDescription) => number;
} = {}): DecodePool {
  const queue: Job[] = [];
  const slots: Slot[] = [];

  function open(): Slot {
    const worker = new Worker(new URL('./decode-worker.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 512 } });
    const slot: Slot = { worker, job: null, timer: null, samples: 0 };
    worker.on('message', (reply: DecodeReply) => settle(slot, reply));
    worker.on('error', (cause) => fail(slot, `the decoder's thread died (${cause instanceof Error ? cause.message : String(cause)})`));
    worker.on('exit', () => fail(slot, "the decoder's thread ended"));
    slots.push(slot);
    return slot;
  }

  function drop(slot: Slot): void {
    const at = slots.indexOf(slot);
    if (at >= 0) slots.splice(at, 1);
    if (slot.timer !== null) clearTimeout(slot.timer);
  }

  function fail(slot: Slot, reason: string): void {
    const { job } = slot;
    slot.job = null;
    drop(slot);
    job?.reject(new WetreadError('pixel-damaged', `${job.request.codec}: ${reason}`));
    pump();
  }

  function settle(slot: Slot, reply: DecodeReply): void {
    const { job } = slot;
    slot.job = null;
    if (slot.timer !== null) clearTimeout(slot.timer);
    slot.worker.unref();
    if (slot.samples > samplesPerWorker) {
      drop(slot);
      void slot.worker.terminate();
    }
    if ('frame' in reply) job?.resolve(reply.frame);
    else job?.reject(new WetreadError(reply.code, reply.message));
    pump();
  }

  function pump(): void {
    while (queue.length > 0) {
      const slot = slots.find(({ job }) => job === null) ?? (slots.length < workers ? open() : null);
      const job = slot === null ? undefined : queue.shift();
      if (slot === null || job === undefined) return;
      const { description, bytes, codec } = job.request;
      const limit = limitMs(description);
      slot.job = job;
      slot.samples += description.rows * description.columns * description.samples;
      slot.worker.ref();
      slot.timer = setTimeout(() => {
        fail(slot, `took longer than ${Math.round(limit / 1000)} s`);
        void slot.worker.terminate();
      }, limit);
      slot.worker.postMessage({ codec, bytes, description } satisfies DecodeRequest, [bytes.buffer]);
    }
  }

  return {
    decode: (codec, bytes, description) =>
      new Promise((resolve, reject) => {
        // A copy in memory of its own, which can be handed over; slice() of a Buffer would share the pool's.
        queue.push({ request: { codec, bytes: new Uint8Array(bytes), description }, resolve, reject });
        pump();
      }),
    close: async () => {
      queue.splice(0).forEach(({ reject }) => {
        reject(new WetreadError('stopping', 'decoders: closed'));
      });
      await Promise.all(slots.slice().map(({ worker }) => worker.terminate()));
    },
  };
}
