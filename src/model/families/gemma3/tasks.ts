/**
 * What the model is asked for each task, in the authors' words, and what they publish about terms and use.
 * Source: Google-Health/medgemma, notebooks; the model cards of MedGemma.
 */
import type { Manifest } from '../../bundle-manifest.ts';
import type { Published } from '../import.ts';

export const tasks: Manifest['tasks'] = {
  report: { text: 'Describe this X-ray', source: 'Google-Health/medgemma, quick-start notebook' },
  vqa_open: { text: '{question}', source: 'none of the authors’: the question alone' },
  comparison: {
    text: 'Provide a comparison of these two images and include details from\nthe image which students should take note of when reading longitudinal CXR\n',
    source: 'Google-Health/medgemma, notebook cxr_longitudinal_comparison (MedGemma 1.5)',
  },
};

export const published: Published = {
  sources: ['Google-Health/medgemma'],
  license: {
    name: 'Health AI Developer Foundations terms of use',
    clinicalUse: null,
    commercialUse: null,
    terms:
      'Not an open-source licence: the terms and their use restrictions must be passed on, and regulated medical use is the developer’s responsibility. Outputs are not meant to inform diagnosis or treatment without verification. The weights are the user’s own.',
  },
  intendedUse: {
    languages: ['en'],
    statement:
      'Development of medical applications; evaluated mainly on single images, and not for clinical decisions without verification.',
  },
  promptVersion: 'gemma3-1',
};
