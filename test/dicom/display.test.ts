import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyVoi, type Display, displayColour, displayGrey, displayValue } from '#dicom/display.ts';

const identity = { kind: 'linear', slope: 1, intercept: 0 } as const;
const plain: Display = { modality: identity, voi: { kind: 'linear', center: 2048, width: 4096 }, padding: null, invert: false };

describe('VOI transforms', () => {
  it('LINEAR reaches both ends where PS3.3 C.11.2.1.2.1 says: width 1 is a threshold at center - 0.5', () => {
    const voi = { kind: 'linear', center: 100, width: 1 } as const;
    expect(applyVoi(voi, 99.5)).toBe(0);
    expect(applyVoi(voi, 99.6)).toBe(1);
    const wide = { kind: 'linear', center: 2048, width: 4096 } as const;
    expect([applyVoi(wide, 0), applyVoi(wide, 2047.5), applyVoi(wide, 4095)]).toEqual([0, 0.5, 1]);
  });

  it('LINEAR_EXACT maps the middle to the middle', () => {
    const voi = { kind: 'linear-exact', center: 10, width: 20 } as const;
    expect([applyVoi(voi, 0), applyVoi(voi, 5), applyVoi(voi, 10), applyVoi(voi, 20), applyVoi(voi, 21)]).toEqual([0, 0.25, 0.5, 1, 1]);
  });

  it('SIGMOID has its middle at the center and slope 1/width there', () => {
    const voi = { kind: 'sigmoid', center: 10, width: 20 } as const;
    expect(applyVoi(voi, 10)).toBe(0.5);
    expect((applyVoi(voi, 10.001) - applyVoi(voi, 9.999)) / 0.002).toBeCloseTo(1 / 20, 6);
  });

  it('a LUT takes its first entry below its range and its last above', () => {
    const voi = { kind: 'lut', lut: { first: -2, entries: [10, 20, 255], bits: 8 } } as const;
    expect([-9, -2, -1, 0, 9].map((x) => Math.round(applyVoi(voi, x) * 255))).toEqual([10, 10, 20, 255, 255]);
  });
});

describe('displayGrey', () => {
  it('equals displayValue for every pixel, by table or one by one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -100_000, max: 100_000 }), { minLength: 1, maxLength: 50 }),
        fc.boolean(),
        (numbers, invert) => {
          const display: Display = { ...plain, padding: { low: -3000, high: -2000 }, invert };
          const frame = { rows: 1, columns: numbers.length, samples: 1, bitsStored: 32, values: Int32Array.from(numbers) } as const;
          expect([...displayGrey(frame, display)]).toEqual(numbers.map((number) => displayValue(display, number)));
        },
      ),
    );
  });

  it('MONOCHROME1 is inverted once and padding stays black', () => {
    const display: Display = { ...plain, padding: { low: 4095, high: 4095 }, invert: true };
    const frame = { rows: 1, columns: 3, samples: 1, bitsStored: 12, values: Uint16Array.of(0, 4094, 4095) } as const;
    expect([...displayGrey(frame, display)]).toEqual([255, 0, 0]);
  });
});

describe('displayColour', () => {
  it('scales 16-bit samples to 8', () => {
    const frame = { rows: 1, columns: 1, samples: 3, bitsStored: 16, values: Uint16Array.of(0, 32896, 65535) } as const;
    expect([...displayColour(frame)]).toEqual([0, 128, 255]);
  });
});
