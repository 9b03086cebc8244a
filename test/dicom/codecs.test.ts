import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeCodestream } from '#dicom/codecs.ts';
import { openDecodePool } from '#dicom/decode-pool.ts';
import { encapsulatedFrame } from '#dicom/frames.ts';
import { describePixels, type PixelDescription } from '#dicom/pixel-description.ts';
import { readPart10 } from '#dicom/read.ts';
import { decodeRle } from '#dicom/rle.ts';
import { type Codec, codecFor } from '#dicom/transfer-syntax.ts';
import { codeOf } from '#domain/errors.ts';
import { available, sharedPath } from '../setup/require.ts';
import { film } from './fixture.ts';

interface Stream {
  readonly codec: Codec;
  readonly bytes: Uint8Array;
  readonly description: PixelDescription;
}

function streamOf(path: string): Stream {
  const file = readPart10(readFileSync(sharedPath('data/dicom', path)));
  const description = describePixels(file.header);
  const codec = codecFor(file.transferSyntax);
  return {
    codec,
    description,
    bytes: Uint8Array.from(encapsulatedFrame(file.pixelData?.bytes ?? new Uint8Array(), file.header, description.frames, 0, codec)),
  };
}

const cases = [
  'mr-brain/j2k/IM-0001-0001-0001.dcm',
  'htj2k/ct-rpcl-202.dcm',
  'mr-brain/jpegls/IM-0001-0001-0001.dcm',
  'mr-brain/jpeg/IM-0001-0001-0001.dcm',
  'mr-brain/rle/IM-0001-0001-0001.dcm',
  'sc-rgb/SC_rgb_dcmtk_ebcyn1.dcm',
  'nm/JPGExtended.dcm',
];

describe.skipIf(!available('shared'))('decoders on damaged codestreams', () => {
  const pool = openDecodePool({ workers: 2 });
  afterAll(() => pool.close());

  it.each(cases)('%s: cut and closed again with an end marker is pixel-damaged', async (path) => {
    const { codec, bytes, description } = streamOf(path);
    for (const part of [0.02, 0.3, 0.7, 0.97]) {
      const cut = Buffer.concat([bytes.subarray(0, Math.floor(bytes.length * part)), Buffer.from(codec === 'rle' ? [] : [0xff, 0xd9])]);
      await expect(pool.decode(codec, cut, description)).rejects.toMatchObject({ code: 'pixel-damaged' });
    }
  });

  it.each(cases)('%s: any changed bytes end in a code or in an image of the declared size', async (path) => {
    const { codec, bytes, description } = streamOf(path);
    const random = fc.sample(
      fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
      { numRuns: 12, seed: 8 },
    );
    const headers = fc.sample(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 120 }), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 2 }),
      { numRuns: 12, seed: 9 },
    );
    const places = [
      ...random.map((changes) => changes.map(([part, value]) => [Math.floor(part * bytes.length), value] as const)),
      ...headers,
    ];
    await Promise.all(
      places.map(async (changes) => {
        const changed = Uint8Array.from(bytes);
        for (const [at, value] of changes) changed[at] = value;
        try {
          const { values } = await pool.decode(codec, changed, description);
          expect(values.length).toBe(description.rows * description.columns * description.samples);
        } catch (error) {
          expect(codeOf(error)).toMatch(/^pixel-/);
        }
      }),
    );
  });

  it.each(cases.filter((path) => !path.includes('rle')))(
    '%s: a size other than the data set says is refused before decoding',
    async (path) => {
      const { codec, bytes, description } = streamOf(path);
      for (const other of [
        { rows: description.rows * 2 },
        { columns: 7 },
        { samples: description.samples === 1 ? (3 as const) : (1 as const) },
      ]) {
        await expect(pool.decode(codec, bytes, { ...description, ...other })).rejects.toMatchObject({
          code: 'pixel-damaged',
          message: expect.stringContaining('as the data set says'),
        });
      }
    },
  );

  it('a header that claims 60000 x 60000 is refused at once by every codec', async () => {
    for (const path of cases.filter((one) => !one.includes('rle'))) {
      const { codec, bytes, description } = streamOf(path);
      const forged = Uint8Array.from(bytes);
      if (codec === 'jpeg2000' || codec === 'htj2k') forged.set([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60], 8);
      else forged.set([0xea, 0x60, 0xea, 0x60], startOfFrame(bytes) + 5);
      await expect(pool.decode(codec, forged, description)).rejects.toMatchObject({ code: 'pixel-damaged' });
    }
  });

  it('a huge frame that both headers claim is refused by every codec when the bytes cannot hold it', async () => {
    const word = (value: number): number[] => [value >> 8, value & 255];
    // A small JPEG 2000 frame stands for both its codecs: the check is before the decoder.
    const small = streamOf('enhanced/emri_small_jpeg_2k_lossless.dcm');
    const others = cases.slice(2).map((path) => streamOf(path));
    for (const { codec, bytes, description } of [small, { ...small, codec: 'htj2k' as const }, ...others]) {
      const [rows, columns] = [10_240, description.samples === 1 ? 10_240 : 4096];
      const forged = Uint8Array.from(bytes);
      const size = [0, 0, ...word(columns), 0, 0, ...word(rows)];
      // JPEG 2000: the size of the image, its origin, the size of the one tile.
      if (codec === 'jpeg2000' || codec === 'htj2k') forged.set([...size, 0, 0, 0, 0, 0, 0, 0, 0, ...size], 8);
      else if (codec !== 'rle') forged.set([...word(rows), ...word(columns)], startOfFrame(bytes) + 5);
      const short = description === small.description || codec === 'rle' ? forged : shortened(forged);
      await expect(pool.decode(codec, short, { ...description, rows, columns })).rejects.toMatchObject({
        code: 'pixel-damaged',
        message: expect.stringMatching(/found \d+ bytes for \d+( samples)?, expected more/),
      });
    }
  });

  it('a frame that takes longer than its limit is pixel-damaged, and the next one is decoded', async () => {
    const { codec, bytes, description } = streamOf('cr/RG3_J2KI.dcm');
    let limit = 1;
    const slow = openDecodePool({ workers: 1, limitMs: () => limit });
    await expect(slow.decode(codec, bytes, description)).rejects.toMatchObject({
      code: 'pixel-damaged',
      message: expect.stringContaining('took longer'),
    });
    limit = 60_000;
    const { codec: other, bytes: small, description: grey } = streamOf('mr-brain/rle/IM-0001-0001-0001.dcm');
    expect((await slow.decode(other, small, grey)).values).toHaveLength(65536);
    await slow.close();
  });
});

/** Ends soon after the header. */
function shortened(jpeg: Uint8Array): Buffer {
  return Buffer.concat([jpeg.subarray(0, 2000), Buffer.from([0xff, 0xd9])]);
}

function startOfFrame(bytes: Uint8Array): number {
  const at = bytes.findIndex((byte, i) => byte === 0xff && [0xc0, 0xc1, 0xc3, 0xf7].includes(bytes[i + 1] ?? 0));
  expect(at).toBeGreaterThan(0);
  return at;
}

describe('decodeRle', () => {
  /** PackBits as runs of one literal each, or of repeated bytes. */
  const pack = (plane: readonly number[], repeat: boolean): number[] => {
    const out: number[] = [];
    for (let i = 0; i < plane.length; ) {
      let run = 1;
      while (repeat && i + run < plane.length && plane[i + run] === plane[i] && run < 128) run++;
      out.push(...(run > 1 ? [257 - run, plane[i] ?? 0] : [0, plane[i] ?? 0]));
      i += run;
    }
    return out.length % 2 === 0 ? out : [...out, 128];
  };

  it('gives back what was packed, for one and three samples of 8, 16 and 32 bits', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(8, 16, 32),
        fc.constantFrom(1, 3),
        fc.uint8Array({ minLength: 48, maxLength: 48 }),
        fc.boolean(),
        (bitsAllocated, samples, noise, repeat) => {
          const width = bitsAllocated / 8;
          const pixels = 48 / (width * samples);
          const description = {
            ...describePixels(film().header),
            rows: 1,
            columns: Math.floor(pixels),
            samples,
            bitsAllocated,
          } as PixelDescription;
          const whole = noise.subarray(0, description.columns * width * samples);
          const segments = Array.from({ length: width * samples }, (_, i) => {
            const offset = Math.floor(i / width) * width + (width - 1 - (i % width));
            return pack(
              [...whole].filter((_, at) => at % (width * samples) === offset),
              repeat,
            );
          });
          const header = new Uint32Array(16);
          header[0] = segments.length;
          let at = 64;
          segments.forEach((segment, i) => {
            header[i + 1] = at;
            at += segment.length;
          });
          const bytes = Buffer.concat([Buffer.from(header.buffer), Buffer.from(segments.flat())]);
          expect([...decodeRle(bytes, description)]).toEqual([...whole]);
        },
      ),
    );
  });
});

describe('decodeCodestream', () => {
  it('refuses what is no codestream at all', async () => {
    const description = describePixels(film().header);
    for (const codec of ['jpeg', 'jpeg-lossless', 'jpeg-ls', 'jpeg2000', 'htj2k', 'rle'] as const) {
      for (const bytes of [
        Uint8Array.of(),
        Uint8Array.of(1, 2, 3),
        Uint8Array.of(0xff, 0xd8, 0xff, 0xd9),
        Uint8Array.of(0xff, 0x4f, 0xff, 0x51, 0xff, 0xd9),
      ]) {
        await expect(decodeCodestream(codec, bytes, description)).rejects.toMatchObject({ code: 'pixel-damaged' });
      }
    }
  });
});
