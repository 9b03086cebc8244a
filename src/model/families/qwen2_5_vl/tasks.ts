/**
 * What Lingshu is asked for each task, in the words of its authors' own evaluation kit, and what they publish about terms and use.
 *
 * The kit gives no system message, so the template's default one stands. Source: evaluation-kit.ts; the Lingshu model page.
 */
import type { Manifest } from '../../bundle-manifest.ts';
import { kitQuestions, kitReasoning, kitReports, kitWording } from '../evaluation-kit.ts';
import type { Published } from '../import.ts';

export const tasks: Manifest['tasks'] = { ...kitReports, ...kitQuestions, ...kitReasoning };

/** Most images of one prompt in the kit's settings. */
export const mostImages = 6;

export const published: Published = {
  license: {
    name: 'MIT (Lingshu), Apache-2.0 (Qwen2.5-VL 7B and 32B), Qwen research licence (Qwen2.5-VL 3B)',
    clinicalUse: null,
    commercialUse: null,
    terms:
      'The authors of Lingshu disclaim liability and ask developers for safety tests of their own and for local compliance. Another checkpoint of this architecture has the terms of its own authors.',
  },
  intendedUse: {
    languages: ['en', 'zh'],
    statement:
      'Two-dimensional pictures of many kinds (radiographs, slices, ultrasound, microscopy, fundus, endoscopy, photographs), not volumes. No clinical clearance.',
  },
  wording: kitWording,
  promptVersion: 'lingshu-2',
};
