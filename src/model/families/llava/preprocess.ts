/** A picture as the llava encoder's input tensor, and its black null. */
import type { RawImage } from '#domain/answer.ts';
import type { EncodedImage } from '../../encoded.ts';
import { frame, normalize, type Processor } from '../../preprocess/processor.ts';

/** [1, 3, height, width] f32; the black null is a raw 0 in the whole square, padding included. */
export function encodeImage(image: RawImage, processor: Processor): EncodedImage {
  const { final } = frame(image, processor);
  return {
    data: normalize(final, processor),
    shape: [1, 3, final.height, final.width],
    black: processor.mean.map((mean, channel) => (0 - mean) / (processor.std[channel] ?? 1)),
  };
}
