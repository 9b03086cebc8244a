/**
 * What the model is asked for each task: one of the authors' wordings of each, and what is known of terms and use.
 *
 * A word that the authors replace in a wording (disease, modality, {object}) is the question's place here. There is no task of comparison:
 * a prior study is another image of the prompt. The images stand before the question, and what is known of the patient right before it. Source: chaoyi-wu/RadFM at 9efba84, src/Dataset/dataset.
 */
import type { Manifest } from '../../bundle-manifest.ts';
import type { Published } from '../import.ts';

const from = (file: string) => `chaoyi-wu/RadFM, src/Dataset/dataset, ${file}`;

export const tasks: Manifest['tasks'] = {
  report: {
    text: 'Please write a caption consists of finding and impression for this scan.',
    source: from('caption_prompt.json'),
  },
  report_chest: { text: 'Please write a radiology report for this scan.', source: from('report_prompt.json') },
  findings: { text: 'What are the findings presented in this medical scan?', source: from('report_prompt.json') },
  caption: { text: 'Can you give a caption for this image?', source: from('MedPix_dataset.py') },
  diagnosis: { text: 'What is the probable diagnosis based on these medical images?', source: from('MedPix_dataset.py') },
  diagnosis_chest: { text: 'What is the diagnosis for this chest X-ray?', source: from('cls_prompt.json') },
  diagnosis_mammography: { text: 'What is the diagnosis for this mammogram?', source: from('mammo_prompt.json') },
  diagnosis_spine: { text: 'What is the diagnosis for this spine X-ray?', source: from('spinexr_prompt.json') },
  diagnosis_differential: { text: 'Please make diagnosis with the input images?', source: from('MedPix_dataset.py') },
  diagnosis_yes_no: {
    text: 'Can you identify any visible signs of {question} in the image?',
    source: `${from('yes_no_prompt.json')}, the word disease replaced by a name`,
  },
  modality: { text: 'What is the imaging modality?', source: from('modality_prompt.json') },
  modality_yes_no: {
    text: 'Is this image a {question} scan?',
    source: `${from('modality_prompt.json')}, the word modality replaced by a name`,
  },
  plane: { text: 'Please distinguish the plane of the image', source: from('MedPix_dataset.py') },
  plane_yes_no: { text: 'Is this image shot from {question} view?', source: `${from('MedPix_dataset.py')}, {object} replaced by a name` },
  vqa_open: { text: '{question}', source: from('vqa.py') },
  vqa_yes_no: { text: '{question}', source: from('vqa.py') },
  vqa_choice: { text: '{question} {options}', source: `${from('vqa.py')}: choices stand in the question's own text` },
  rationale: {
    text: 'What disease can be diagnosed from these radiological images and what specific features are typically observed on the images?',
    source: from('radiology_feature_prompt.json'),
  },
  case_findings: { text: 'Describe your findings for this patient.', source: from('MedPix_dataset.py') },
  case_exam: { text: 'Make a conclusion for this patient.', source: from('MedPix_dataset.py') },
  case_treatment: { text: 'What treatment should the patient take?', source: from('MedPix_dataset.py') },
  case_imaging: { text: 'What imaging tests are shown in the images?', source: from('MedPix_dataset.py') },
  case_discussion: { text: 'Discuss about the case more.', source: from('MedPix_dataset.py') },
};

export const published: Published = {
  sources: ['chaoyi-wu/RadFM'],
  license: {
    name: 'none stated for weights and code; LLaMA licence (decoder)',
    clinicalUse: null,
    commercialUse: false,
    terms:
      'Research only. The authors grant no permission beyond making the weights public, and the decoder goes back to LLaMA 1, whose licence is non-commercial. Training data (MIMIC-CXR, VinDr, CheXpert, Radiopaedia and others) have terms of their own. The authors write that answers do not reach what clinicians need. The weights are the user’s own.',
  },
  intendedUse: { languages: ['en'], statement: 'Research on radiology models; drafts for a person to check, not for clinical decisions.' },
  wording: { order: ['images', 'history', 'task'], history: '{items} ', historySeparator: ' ', historyNone: '' },
  promptVersion: 'radfm-2',
};
