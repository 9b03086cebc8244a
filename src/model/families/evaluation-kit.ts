/**
 * Questions in the words of the kit that the authors of Lingshu evaluate with, on their own models and on others'.
 *
 * Braces in the report's prompt are part of its wording. Source: alibaba-damo-academy/MedEvalKit, utils/question_formats.py, utils/MIMIC_CXR.
 */
import type { Manifest } from '../bundle-manifest.ts';

type Tasks = Manifest['tasks'];

const formats = 'alibaba-damo-academy/MedEvalKit, utils/question_formats.py';

const report =
  'You are a helpful assistant. Please generate a report for the given images, including both findings and impressions. Return the report in the following format: Findings: {} Impression: {}.';
const choice = '\nQuestion: {question}\nOptions: \n{options}\n';
const boxed = 'and put the answer in one "\\boxed{}".';

export const kitReports = {
  report: { text: report, source: 'alibaba-damo-academy/MedEvalKit, report generation' },
  // The kit's string for this data set has a line break and eight spaces before it and a line break after.
  report_mimic: { text: `\n        ${report}\n`, source: 'alibaba-damo-academy/MedEvalKit, utils/MIMIC_CXR' },
} satisfies Tasks;

export const kitQuestions = {
  vqa_open: { text: '{question}\nPlease answer the question concisely.', source: formats },
  vqa_closed: { text: '{question}\nAnswer the question using a single word or phrase.', source: formats },
  vqa_yes_no: { text: "{question}\nPlease output 'yes' or 'no'(no extra output).", source: formats },
  vqa_choice: { text: `${choice}Answer with the option's letter from the given choices directly.`, source: formats },
} satisfies Tasks;

export const kitReasoning = {
  vqa_open_reasoning: { text: `{question}\nPlease answer the question concisely ${boxed}`, source: formats },
  vqa_closed_reasoning: { text: `{question}\nAnswer the question using a single word or phrase ${boxed}`, source: formats },
  vqa_yes_no_reasoning: { text: `{question}\nPlease output "yes" or "no" ${boxed}`, source: formats },
  vqa_choice_reasoning: {
    text: `${choice}Answer with the option's letter from the given choices and put the letter in one "\\boxed{}".`,
    source: formats,
  },
} satisfies Tasks;

/** Several pictures are announced by number, in plain text; one is not. */
export const kitWording = { numbered: '<image_{number}>: ' } satisfies Manifest['wording'];
