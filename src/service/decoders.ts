/** Pixel decoders at the start of a service: one that does not give its known answers is said in the log, and its frames are refused. */
import type { Logger } from 'pino';
import { checkWorkers } from '#dicom/decode.ts';

/** Never fails: the other decoders go on. @param check gives what was wrong with each, null = nothing */
export async function reportDecoders(log: Pick<Logger, 'error' | 'info'>, check: typeof checkWorkers = checkWorkers): Promise<void> {
  const checks = await check();
  const failed = checks.filter(({ fault }) => fault !== null);
  for (const { name: decoder, codec, fault } of failed) {
    log.error({ code: 'transfer-syntax-unsupported', decoder, codec, fault }, 'a pixel decoder is switched off: wrong known answer');
  }
  log.info({ decoders: checks.length, failed: failed.length }, 'pixel decoders checked');
}
