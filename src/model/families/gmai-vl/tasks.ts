/**
 * What the model is asked for each task, in the authors' words, and what they publish about terms and use.
 *
 * The demo puts a clinical area and an instruction around its task strings; with its template, so does the bundle. Choice questions were
 * scored with a kit whose wrapper for this model is not published: question and options stand without one.
 * Source: the authors' demo/gmai_vl_demo/app.py, examples/example_data.json, README.
 */
import type { AnswerRules } from '../../answer-text.ts';
import type { Manifest, PublishedGeneration } from '../../bundle-manifest.ts';
import type { Published } from '../import.ts';

const demo = 'uni-medical/GMAI-VL, demo/gmai_vl_demo/app.py';

const turn = 'uni-medical/GMAI-VL, xtuner/_lite/datasets/format.py: a turn is the question alone';

/** The demo's task strings. */
const demoTasks: Readonly<Record<string, string>> = {
  report: 'Write a short radiology-style impression with the most important observations first.',
  findings: 'Answer this medical visual question: What are the most relevant findings in this image?',
  diagnosis: 'Provide a ranked differential diagnosis and mention what visual clues support each option.',
  caption: 'Describe the medical image concisely, including modality, visible anatomy, and key abnormal or normal findings.',
  localization: 'Identify the likely region of interest and explain what visual evidence supports it.',
  safety: 'Flag any urgent or safety-critical findings that would require immediate clinical attention.',
};

/** The demo's clinical areas that are one of our body regions. */
const areas: Readonly<Record<string, string>> = { chest: 'Chest / Lung', head: 'Brain / Neuro', abdomen: 'Abdomen', breast: 'Breast' };

/** @param regions body regions of the intended use: a single one that the demo knows becomes its clinical area */
export function tasksOf(template: string, regions: readonly string[]): Manifest['tasks'] {
  const isDemo = template === 'internlm2-demo';
  const [region = '', ...others] = regions;
  const area = others.length === 0 && Object.hasOwn(areas, region) ? `Clinical area: ${areas[region]}.\n` : '';
  const around = (task: string, question: string) => `${area}Task: ${task}\nAnswer once, concisely. Do not repeat the question.${question}`;
  const tasks: Manifest['tasks'] = {};
  for (const [name, task] of Object.entries(demoTasks)) tasks[name] = { text: isDemo ? around(task, '') : task, source: demo };
  const asked = (question: string, source: string) =>
    isDemo ? { text: around(demoTasks.findings ?? '', `\nUser question: ${question}`), source: demo } : { text: question, source };
  tasks.vqa_open = asked('{question}', turn);
  tasks.vqa_yes_no = asked('{question}', turn);
  tasks.vqa_choice = asked(
    '{question}\n{options}',
    'uni-medical/GMAI-VL, README: choices were scored with a kit; its wrapper for this model is not published, so there is none',
  );
  tasks.caption_training = {
    text: 'Could you kindly generate a caption that provides an overview of the medical image depicted here?',
    source: 'uni-medical/GMAI-VL, examples/example_data.json',
  };
  return tasks;
}

/** The demo shows of an answer what comes before a mark of a turn, a repeated line or its question. */
export const answerRules: AnswerRules = {
  strip: true,
  cutAt: ['<|im_end|>', '<|im_start|>', 'User:', 'Assistant:', 'assistant'],
  cutRepetition: true,
};

export const demoGeneration: PublishedGeneration = { source: demo, temperature: 0.2, topP: 0.9, repetitionPenalty: 1.12, noRepeatNgram: 5 };

export const published: Published = {
  sources: ['uni-medical/GMAI-VL'],
  license: {
    name: 'InternLM licence (decoder), MIT (CLIP), Apache-2.0 (code)',
    clinicalUse: null,
    commercialUse: false,
    terms:
      'Research only. InternLM2.5 weights are free for research and need an application for commercial use; several of the sources of GMAI-VL-5.5M are non-commercial. No clinical clearance is claimed. The weights are the user’s own.',
  },
  intendedUse: { languages: ['en', 'zh'], statement: 'Research on medical vision-language models; not for clinical decisions.' },
  promptVersion: 'gmai-vl-2',
};
