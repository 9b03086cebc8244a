/**
 * What the model is asked for each task, in the authors' words, and what they publish about terms and use.
 *
 * Only reports and text questions have a system text. CT is asked slice by slice, numbered behind the picture; "SLICE 3" runs into the question
 * that follows, because the template trims every text and puts nothing between. Boxes count in thousandths of the picture as the model gets it,
 * [y0, x0, y1, x1]; the authors pad it to a square before.
 * Source: Google-Health/medgemma, notebooks; evaluation-kit.ts; the model cards of MedGemma.
 */
import type { CtWindows } from '#domain/ct-windows.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { kitQuestions } from '../evaluation-kit.ts';
import type { Published } from '../import.ts';
import { withSystem } from './prompt.ts';

const notebook = (name: string) => `Google-Health/medgemma, notebooks/${name}.ipynb`;

const radiologist = 'You are an expert radiologist.';
const assistant = 'You are a helpful medical assistant.';
/** Before a system text, where a thought may come before the answer (27B, 1.5). */
const thinking = 'SYSTEM INSTRUCTION: think silently if needed. ';

const quickStart = notebook('quick_start_with_hugging_face');
const thinkingSource = `${quickStart}; MedGemma 27B and 1.5`;

/** The wording is the authors' to the letter ("coordinates the range"). */
const boxes = `Instructions:
The following user query will require outputting bounding boxes. The format of bounding boxes coordinates is [y0, x0, y1, x1] where (y0, x0) must be top-left corner and (y1, x1) the bottom-right corner. This implies that x0 < x1 and y0 < y1. Always normalize the x and y coordinates the range [0, 1000], meaning that a bounding box starting at 15% of the image width would be associated with an x coordinate of 150. You MUST output a single parseable json list of objects enclosed into \`\`\`json...\`\`\` brackets, for instance \`\`\`json[{"box_2d": [800, 3, 840, 471], "label": "car"}, {"box_2d": [400, 22, 600, 73], "label": "dog"}]\`\`\` is a valid output. Now answer to the user query.

Remember "left" refers to the patient's left side where the heart is and sometimes underneath an L in the upper right corner of the image.

Query:
Where is the {question}? Don't give a final answer without reasoning. Output the final answer in the format "Final Answer: X" where X is a JSON list of objects. The object needs a "box_2d" and "label" key. Answer:`;

const ct =
  "You are an instructor teaching medical students. You are analyzing a contiguous block of CT slices from the center of the abdomen. Please review the slices provided below carefully.{images}{question} Please provide your reasoning and conclude with a 'Final Answer: yes' or 'Final Answer: no'.";

export const tasks: Manifest['tasks'] = {
  report: { text: 'Describe this X-ray{images}', source: quickStart, template: withSystem(radiologist) },
  report_thinking: { text: 'Describe this X-ray{images}', source: thinkingSource, template: withSystem(thinking + radiologist) },
  ...kitQuestions,
  vqa_open: { text: '{question}', source: 'none of the authors’: the question alone' },
  vqa_open_concise: kitQuestions.vqa_open,
  vqa_choice_histopathology: {
    text: 'What is the most likely tissue type shown in the histopathology image?\n{options}',
    source: notebook('fine_tune_with_hugging_face'),
  },
  vqa_yes_no_ct_abdomen: { text: ct, source: `${notebook('high_dimensional_ct_hugging_face')} (MedGemma 1.5)` },
  localization: { text: boxes, source: 'Google-Health/medgemma, notebook cxr_anatomy_localization (MedGemma 1.5)' },
  comparison: {
    text: 'Provide a comparison of these two images and include details from\nthe image which students should take note of when reading longitudinal CXR\n',
    source: 'Google-Health/medgemma, notebook cxr_longitudinal_comparison (MedGemma 1.5)',
  },
  text_question: { text: '{question}', source: quickStart, template: withSystem(assistant) },
  text_question_thinking: { text: '{question}', source: thinkingSource, template: withSystem(thinking + assistant) },
};

/** Air to bone, soft tissue, brain: how MedGemma 1.5 was trained on CT. */
export const ctWindows: CtWindows = [
  [-1024, 1024],
  [-135, 215],
  [0, 80],
];

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
  wording: { labels: { currentSlice: '' }, afterSlice: 'SLICE {number}' },
  promptVersion: 'gemma3-2',
};
