/**
 * The image processor that a VILA checkpoint's pictures go through: the tower's own, with what image_aspect_ratio puts before it.
 *
 * `resize` stretches to the square with PIL's default filter, bicubic whatever the processor says; the processor's own resize and crop must
 * then change nothing. Source: NVlabs/VILA 355fda9, llava/mm_utils.py (process_image).
 */
import { WetreadError } from '#domain/errors.ts';
import { type Processor, readProcessor } from '../../preprocess/processor.ts';
import type { VilaArchitecture } from './architecture.ts';

/** @param config preprocessor_config.json of the tower. @throws architecture-unsupported */
export function vilaProcessor(config: unknown, aspect: VilaArchitecture['aspect']): Processor {
  const own = readProcessor(config, aspect === 'pad');
  if (aspect !== 'resize') return own;
  const { crop, resize } = own;
  const square = crop ?? (resize?.to === 'size' ? resize : null);
  const { height, width } = square ?? { height: 0, width: 0 };
  const isStable = resize === null || (resize.to === 'size' ? resize.height === height && resize.width === width : resize.edge === height);
  if (height > 0 && height === width && isStable) {
    return { ...own, pad: false, resize: { to: 'size', height, width }, filter: 'bicubic', crop: null };
  }
  throw new WetreadError(
    'architecture-unsupported',
    `config.json: image_aspect_ratio is resize, and the processor would change the picture again (${JSON.stringify({ resize, crop })})`,
  );
}
