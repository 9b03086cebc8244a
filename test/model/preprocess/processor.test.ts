import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RawImage } from '#domain/answer.ts';
import { roundHalfEven } from '#domain/ct-windows.ts';
import { centerCrop, padToSquare, toRgb } from '#model/preprocess/canvas.ts';
import { grayTo8Bit } from '#model/preprocess/gray.ts';
import { frame, normalize, outputSize, readProcessor } from '#model/preprocess/processor.ts';
import { resize } from '#model/preprocess/resize.ts';
import { patchRows, readPatchProcessor, smartSize } from '#model/preprocess/smart-resize.ts';

function picture(width: number, height: number, channels: 1 | 3, value: (i: number) => number): RawImage {
  return { width, height, channels, pixels: Uint8Array.from({ length: width * height * channels }, (_, i) => value(i)) };
}

const sizes = fc.integer({ min: 1, max: 40 });

describe('resize', () => {
  test('a constant picture stays constant, whatever the sizes and the filter', () => {
    fc.assert(
      fc.property(
        sizes,
        sizes,
        sizes,
        sizes,
        fc.constantFrom('bilinear' as const, 'bicubic' as const, 'lanczos' as const),
        fc.nat(255),
        (w, h, toW, toH, filter, grey) => {
          const made = resize(
            picture(w, h, 1, () => grey),
            toW,
            toH,
            filter,
          );
          expect([made.width, made.height, made.pixels.length]).toEqual([toW, toH, toW * toH]);
          expect(made.pixels.every((value) => value === grey)).toBe(true);
        },
      ),
    );
  });

  test('the same size is a copy', () => {
    const image = picture(5, 4, 3, (i) => (i * 37) % 256);
    expect(resize(image, 5, 4, 'bicubic').pixels).toEqual(image.pixels);
  });

  test('channels are independent: RGB of a grey picture is the RGB of its resize', () => {
    const grey = picture(31, 17, 1, (i) => (i * 73) % 256);
    expect(resize(toRgb(grey), 12, 9, 'bicubic').pixels).toEqual(toRgb(resize(grey, 12, 9, 'bicubic')).pixels);
  });

  test('reduction by two with the bilinear filter weighs four neighbours 1 3 3 1, as PIL does', () => {
    expect([
      ...resize(
        picture(4, 1, 1, (i) => [0, 0, 255, 255][i] ?? 0),
        2,
        1,
        'bilinear',
      ).pixels,
    ]).toEqual([36, 219]);
  });
});

describe('canvas', () => {
  test('padding fills with the mean colour and puts the picture in the middle, rounded down', () => {
    const padded = padToSquare(
      picture(2, 5, 1, () => 9),
      [122, 116, 104],
    );
    expect([padded.width, padded.height, padded.channels]).toEqual([5, 5, 3]);
    expect([...padded.pixels.subarray(0, 15)]).toEqual([122, 116, 104, 9, 9, 9, 9, 9, 9, 122, 116, 104, 122, 116, 104]);
  });

  test('the crop is rounded down (HF) or half to even (torchvision)', () => {
    const row = picture(10, 1, 1, (i) => i);
    expect(centerCrop(row, 3, 1, 'floor').pixels[0]).toBe(3);
    expect(centerCrop(row, 3, 1, 'half-even').pixels[0]).toBe(4);
  });

  test('a picture smaller than the crop is surrounded by raw zeros', () => {
    expect([
      ...centerCrop(
        picture(1, 1, 1, () => 7),
        3,
        2,
        'floor',
      ).pixels,
    ]).toEqual([0, 0, 0, 0, 7, 0]);
  });

  test.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [2.4, 2],
    [2.6, 3],
    [3.5, 4],
  ])('%d is rounded to %d', (value, expected) => {
    expect(roundHalfEven(value)).toBe(expected);
  });
});

describe('processor configs', () => {
  test('bare integers of old CLIP configs are the shortest edge and a square crop', () => {
    const processor = readProcessor({ feature_extractor_type: 'CLIPFeatureExtractor', size: 336, crop_size: 336, resample: 3 }, false);
    expect(processor).toMatchObject({ resize: { to: 'shortest', edge: 336 }, crop: { height: 336, width: 336 }, filter: 'bicubic' });
  });

  test('missing keys are the defaults of the class, not of another', () => {
    expect(readProcessor({ image_processor_type: 'CLIPImageProcessor' }, false)).toMatchObject({
      resize: { to: 'shortest', edge: 224 },
      crop: { height: 224, width: 224 },
    });
    expect(readProcessor({ image_processor_type: 'SiglipImageProcessor' }, false)).toMatchObject({
      resize: { to: 'size', height: 224 },
      crop: null,
      mean: [0.5, 0.5, 0.5],
    });
    expect(readProcessor({ image_processor_type: 'Gemma3ImageProcessorFast' }, false).filter).toBe('bilinear');
  });

  test('steps that the config switches off are left out', () => {
    const processor = readProcessor({ do_resize: false, do_center_crop: false, do_rescale: false, do_normalize: false }, false);
    const image = picture(3, 2, 3, (i) => i);
    expect(frame(image, processor).final).toEqual(image);
    expect([...normalize(image, processor).subarray(0, 3)]).toEqual([0, 3, 6]);
    expect(outputSize(processor)).toBeNull();
  });

  test('a processor or filter that is not built is named', () => {
    expect(() => readProcessor({ image_processor_type: 'ConvNextImageProcessor' }, false)).toThrow(/ConvNextImageProcessor/);
    expect(() => readProcessor({ resample: 5 }, false)).toThrow(/resample 5/);
    expect(() => readProcessor({ size: { longest_edge: 5 } }, false)).toThrow(/preprocessor_config\.json/);
    expect(() => readProcessor({ image_mean: [0.5] }, false)).toThrow(/image_mean/);
  });

  test('every picture comes out in the size that the config fixes', () => {
    const processor = readProcessor({ size: { shortest_edge: 20 }, crop_size: { height: 20, width: 20 }, do_pad: true }, false);
    fc.assert(
      fc.property(sizes, sizes, fc.constantFrom(1 as const, 3 as const), (width, height, channels) => {
        const { final } = frame(
          picture(width, height, channels, (i) => i % 256),
          processor,
        );
        expect([final.width, final.height]).toEqual([20, 20]);
        expect(normalize(final, processor).length).toBe(3 * 400);
      }),
    );
  });
});

describe('values beyond 8 bit', () => {
  test('a 12-bit picture is not clipped white: minmax scales it, half to even', () => {
    const values = Uint16Array.of(0, 4095, 2047);
    expect([...grayTo8Bit(3, 1, values, 'minmax').pixels]).toEqual([0, 255, 127]);
    expect([...grayTo8Bit(3, 1, values, 'clip').pixels]).toEqual([0, 255, 255]);
    expect([...grayTo8Bit(3, 1, values, 'high-byte').pixels]).toEqual([0, 15, 7]);
  });

  test('a constant 16-bit picture is black, not NaN', () => {
    expect([...grayTo8Bit(2, 1, Uint16Array.of(900, 900), 'minmax').pixels]).toEqual([0, 0]);
  });
});

describe('smart resize', () => {
  const processor = readPatchProcessor({ min_pixels: 3136, max_pixels: 12_845_056, patch_size: 14, merge_size: 2 });

  test('edges are rounded half to even', () => expect(smartSize(70, 98, processor)).toEqual({ height: 56, width: 112 }));

  test('for pictures of ordinary shape the edges are multiples of patch x merge and the area is at most the limit', () => {
    const small = readPatchProcessor({ min_pixels: 3136, max_pixels: 28 * 28 * 40 });
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 800 }), fc.integer({ min: 200, max: 800 }), (height, width) => {
        const size = smartSize(height, width, small);
        expect([size.height % 28, size.width % 28]).toEqual([0, 0]);
        expect(size.height * size.width).toBeLessThanOrEqual(28 * 28 * 40);
        expect(size.height * size.width).toBeGreaterThan(0);
      }),
    );
  });

  test('a picture over 200 times longer than wide is refused', () => {
    expect(() =>
      patchRows(
        picture(1, 201, 1, () => 0),
        processor,
      ),
    ).toThrow(expect.objectContaining({ code: 'pixel-unsupported' }));
  });
});
