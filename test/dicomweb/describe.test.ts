import { describe, expect, it } from 'vitest';
import { instanceOf } from '#dicomweb/describe.ts';

describe('instanceOf', () => {
  const hit = (frames: number | null) => ({
    '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2.1'] },
    '00080018': { vr: 'UI', Value: ['1.2.3'] },
    ...(frames === null ? {} : { '00280008': { vr: 'IS', Value: [frames] } }),
  });

  it('an object has one frame where the archive does not say, or says none', () => {
    expect([null, 0, 1, 240].map((frames) => instanceOf(hit(frames))?.frames)).toEqual([1, 1, 1, 240]);
  });

  it('an object of more frames than can be is no usable hit, so that nothing is laid out for them', () => {
    expect([100_001, 2_000_000_000].map((frames) => instanceOf(hit(frames)))).toEqual([null, null]);
  });
});
