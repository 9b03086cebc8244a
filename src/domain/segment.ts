/** The prompt before a family's template: text and images, interleaved and labelled. */
import type { Picture } from './picture.ts';
import type { ImageRef } from './study.ts';

export type Segment =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'image'; readonly label: string; readonly ref: ImageRef; readonly picture: Picture };
