/** Pixel decoders at the start of a service. */
import pino, { type Logger } from 'pino';
import { describe, expect, it } from 'vitest';
import { reportDecoders } from '#service/decoders.ts';
import { openWard } from '../reading/ward.ts';

function logged(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  return { log: pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }), lines };
}

describe('reportDecoders', () => {
  it('names a decoder that is switched off, and goes on with the others', async () => {
    const { log, lines } = logged();
    await reportDecoders(log, async () => [
      { name: 'RLE', codec: 'rle', fault: '3 of 256 values differ' },
      { name: 'JPEG-LS', codec: 'jpeg-ls', fault: null },
    ]);
    expect(lines).toMatchObject([
      { code: 'transfer-syntax-unsupported', decoder: 'RLE', codec: 'rle', fault: '3 of 256 values differ' },
      { decoders: 2, failed: 1 },
    ]);
  });

  it('is part of the start of a service', async () => {
    const ward = await openWard();
    const { log, lines } = logged();
    const service = await ward.start('decoders', {}, log);
    expect(lines).toContainEqual(expect.objectContaining({ decoders: 14, failed: 0, msg: 'pixel decoders checked' }));
    await service.stop();
    await ward.close();
  });
});
