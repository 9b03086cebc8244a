/**
 * What Lingshu is asked for each task, in the words of its authors' own evaluation kit, and what they publish about terms and use.
 *
 * The kit gives no system message, so the template's default one stands. Braces in the report's prompt are part of its wording; {options} is
 * filled by who asks, one option a line.
 * Source: alibaba-damo-academy/MedEvalKit, utils/question_formats.py, utils/MIMIC_CXR; the Lingshu model page.
 */
import type { Manifest } from '../../bundle-manifest.ts';
import type { Published } from '../import.ts';

const formats = 'alibaba-damo-academy/MedEvalKit, utils/question_formats.py';
const reports = 'alibaba-damo-academy/MedEvalKit, report generation';

const report =
  'You are a helpful assistant. Please generate a report for the given images, including both findings and impressions. Return the report in the following format: Findings: {} Impression: {}.';
const choice = '\nQuestion: {question}\nOptions: \n{options}\n';
const boxed = 'and put the answer in one "\\boxed{}".';

export const tasks: Manifest['tasks'] = {
  report: { text: report, source: reports },
  // The kit's string for this data set has a line break and eight spaces before it and a line break after.
  report_mimic: { text: `\n        ${report}\n`, source: 'alibaba-damo-academy/MedEvalKit, utils/MIMIC_CXR' },
  vqa_open: { text: '{question}\nPlease answer the question concisely.', source: formats },
  vqa_closed: { text: '{question}\nAnswer the question using a single word or phrase.', source: formats },
  vqa_yes_no: { text: "{question}\nPlease output 'yes' or 'no'(no extra output).", source: formats },
  vqa_choice: { text: `${choice}Answer with the option's letter from the given choices directly.`, source: formats },
  vqa_open_reasoning: { text: `{question}\nPlease answer the question concisely ${boxed}`, source: formats },
  vqa_closed_reasoning: { text: `{question}\nAnswer the question using a single word or phrase ${boxed}`, source: formats },
  vqa_yes_no_reasoning: { text: `{question}\nPlease output "yes" or "no" ${boxed}`, source: formats },
  vqa_choice_reasoning: {
    text: `${choice}Answer with the option's letter from the given choices and put the letter in one "\\boxed{}".`,
    source: formats,
  },
};

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
  promptVersion: 'lingshu-1',
};
