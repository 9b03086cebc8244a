/**
 * What the model is asked for each task, in the authors' wording. There is no report, no rationale and no comparison.
 * Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TD.
 */
import type { Manifest } from '../../bundle-manifest.ts';
import { captionTemplate } from './prompt.ts';

const from = (file: string) => `xiaoman-zhang/PMC-VQA, src/MedVInT_TD/${file}`;

/** The answer to a choice begins with its letter; the options bring their own blanks. */
export function tasksOf(letterIds: readonly number[]): Manifest['tasks'] {
  return {
    vqa_choice: {
      text: '{question}Choices:{options}',
      between: '',
      source: from('Dataset/PMC_QA_Dataset.py'),
      ...(letterIds.length === 0 ? {} : { answer: { firstIds: [...letterIds] } }),
    },
    vqa_open: { text: '{question}', source: from('test_SLAKE.py') },
    vqa_yes_no: { text: '{question}', source: `${from('test_VQA_RAD.py')}: an ordinary question` },
    modality: { text: 'What imaging modality is used? ', source: 'an ordinary question of PMC-VQA (arXiv 2305.10415)' },
    // Blanks at the ends go: what is asked is nothing.
    caption: { text: ' ', source: `${from('train.py')}: the first stage of training`, template: captionTemplate },
  };
}
