/**
 * What the model is asked for each task, in the authors' wording. There is no report, no rationale and no comparison: the model fills in words.
 * Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TE/dataset.
 */
import type { Manifest } from '../../bundle-manifest.ts';

const from = (file: string) => `xiaoman-zhang/PMC-VQA, src/MedVInT_TE/dataset/${file}`;

/** The answer to a choice is one letter. */
export function tasksOf(letterIds: readonly number[]): Manifest['tasks'] {
  return {
    vqa_choice: {
      text: '{question}The choices are: {options}',
      between: ' ',
      source: from('dataset.py'),
      answer: { answerLengths: [1], ...(letterIds.length === 0 ? {} : { firstIds: [...letterIds] }) },
    },
    vqa_open: { text: '{question}', source: from('slake_dataset.py') },
    vqa_yes_no: { text: '{question}', source: `${from('slake_dataset.py')}: an ordinary question` },
    modality: { text: 'What imaging modality is used? ', source: 'an ordinary question of PMC-VQA (arXiv 2305.10415)' },
  };
}
