/**
 * What the model is asked, and what is known of terms and use. It was trained on the open questions of SLAKE, OVQA and PathVQA, one picture
 * each: there is no report, no comparison, no rationale, and PathVQA's yes/no questions were left out.
 * Source: tjvsonsbeek/open-ended-medical-vqa; arXiv 2303.05977.
 */
import type { Manifest } from '../../bundle-manifest.ts';
import type { Published } from '../import.ts';

const repository = 'tjvsonsbeek/open-ended-medical-vqa';

export const tasks: Manifest['tasks'] = {
  vqa_open: {
    text: '{question}',
    source: `${repository}, dataloader.py: the data sets' own questions, between the pieces of the template`,
  },
};

const labels = { current: '', prior: '', currentSlice: '', priorSlice: '', currentImage: '', priorImage: '' };

export const published: Published = {
  sources: [repository],
  license: {
    name: 'not stated (code); the terms of the base models (gpt2-xl, BioGPT or BioMedLM, and CLIP)',
    clinicalUse: null,
    commercialUse: null,
    terms:
      'Research only. The repository states no licence. BioMedLM is under a licence with use restrictions, and the card of CLIP calls any deployment out of scope; read the cards of the base models. The weights are the user’s own.',
  },
  intendedUse: {
    languages: ['en'],
    statement: 'Research on open questions to one medical picture; not for clinical decisions.',
  },
  promptVersion: 'prefix-vqa-1',
  // The question alone: history and labels were never shown.
  wording: { order: ['images', 'task'], labels, afterImage: '', afterSlice: '' },
};
