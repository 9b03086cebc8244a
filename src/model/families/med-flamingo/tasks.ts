/**
 * What the model is asked for each task, how exemplars are written, and what is known of terms and use.
 *
 * The authors publish one form, that of questions. No report is asked for; diagnoses and reasons are shown in the paper after exemplars of that
 * kind, without a string of their own. A choice and a yes-or-no question are asked as open ones: nothing else was trained.
 * Source: snap-stanford/med-flamingo at b3c1e64, scripts/demo.py; mlfoundations/open_flamingo 0.0.2 README.
 */
import type { Manifest } from '../../bundle-manifest.ts';
import { exemplarFile } from '../../exemplars.ts';
import type { Metadata } from '../../metadata.ts';
import type { Published } from '../import.ts';
import { marks } from './tokenizer.ts';

const demo = 'snap-stanford/med-flamingo, scripts/demo.py';
const captions = 'mlfoundations/open_flamingo 0.0.2, README';
const question = 'Question: {question} Answer:';

export const tasks: Manifest['tasks'] = {
  vqa_open: { text: question, source: demo },
  vqa_yes_no: { text: question, source: `${demo}: asked as an open question` },
  vqa_choice: {
    text: 'Question: {question} {options} Answer:',
    between: ' ',
    source: `none of the authors’: ${demo}, the options in the question`,
  },
  modality: { text: 'Question: Which image modality is this? Answer:', source: `${demo}: the question of an exemplar` },
  diagnosis: { text: question, source: `none of the authors’: the form of ${demo}; the paper shows it after exemplars of diagnoses` },
  rationale: { text: question, source: `none of the authors’: the form of ${demo}; the paper shows it after exemplars with reasons` },
  caption: { text: 'An image of', source: captions },
};

/** Those in the form of a question. */
const questions = ['vqa_open', 'vqa_yes_no', 'vqa_choice', 'modality', 'diagnosis', 'rationale'];

const instruction =
  'You are a helpful medical assistant. You are being provided with images, a question about the image and an answer. Follow the examples and answer the last question. ';

/** The importer's exemplars in the authors' form, each behind its picture. */
export function exemplarsOf({ source, license, items }: NonNullable<Metadata['exemplars']>): NonNullable<Manifest['exemplars']> {
  return {
    source,
    license,
    tasks: questions,
    before: instruction,
    items: items.map((item, place) => ({
      image: exemplarFile(place, item.image),
      text: `Question: ${item.question} Answer: ${item.answer}.${marks.endOfChunk}`,
    })),
  };
}

export const published: Published = {
  sources: ['snap-stanford/med-flamingo', 'mlfoundations/open_flamingo 0.0.2', 'LLaMA 7B', 'CLIP ViT-L/14 of OpenAI'],
  license: {
    name: 'none stated for weights and code; OpenFlamingo terms (research prototype); LLaMA licence',
    clinicalUse: false,
    commercialUse: false,
    terms:
      'Non-commercial research only: the base is LLaMA 1, and OpenFlamingo-9B, from which training went on, is offered as a research prototype. The authors state no licence of their own and write of hallucinations and of a first step. CLIP’s model card advises against deployment without a study of the use. The weights, and the pictures of exemplars, are the user’s own.',
  },
  intendedUse: { languages: ['en'], statement: 'Research on few-shot medical question answering; not for clinical decisions.' },
  promptVersion: 'med-flamingo-1',
};
