/**
 * The experts that VILA-M3 may ask for, as their authors describe them to it, and what of a request they take. None of them is run here.
 * Source: Project-MONAI/VLM-Radiology-Agent-Framework fc8c5a7, m3/demo/gradio_m3.py, m3/demo/experts, m3/data_prepare/experts.
 */
import type { Expert } from '#domain/expert-request.ts';

/** Put in front of the user's first text, to the letter; without them the model answers directly. */
export const cards = [
  'Here is a list of available expert models:',
  '<BRATS(args)> Modality: MRI, Task: segmentation, Overview: A pre-trained model for volumetric (3D) segmentation of brain tumor subregions from multimodal MRIs based on BraTS 2018 data, Accuracy: Tumor core (TC): 0.8559 - Whole tumor (WT): 0.9026 - Enhancing tumor (ET): 0.7905 - Average: 0.8518, Valid args are: None',
  "<VISTA3D(args)> Modality: CT, Task: segmentation, Overview: domain-specialized interactive foundation model developed for segmenting and annotating human anatomies with precision, Accuracy: 127 organs: 0.792 Dice on average, Valid args are: 'everything', 'hepatic tumor', 'pancreatic tumor', 'lung tumor', 'bone lesion', 'organs', 'cardiovascular', 'gastrointestinal', 'skeleton', or 'muscles'",
  '<VISTA2D(args)> Modality: cell imaging, Task: segmentation, Overview: model for cell segmentation, which was trained on a variety of cell imaging outputs, including brightfield, phase-contrast, fluorescence, confocal, or electron microscopy, Accuracy: Good accuracy across several cell imaging datasets, Valid args are: None',
  '<CXR(args)> Modality: chest x-ray (CXR), Task: classification, Overview: pre-trained model which are trained on large cohorts of data, Accuracy: Good accuracy across several diverse chest x-rays datasets, Valid args are: None',
  'Give the model <NAME(args)> when selecting a suitable expert model.\n',
].join('\n');

/** Labels that VISTA3D takes; the last is another name of a tumour's that the authors' code knows and the card does not say. */
const groups = [
  'everything',
  'hepatic tumor',
  'pancreatic tumor',
  'lung tumor',
  'bone lesion',
  'organs',
  'cardiovascular',
  'gastrointestinal',
  'skeleton',
  'muscles',
  'hepatoma',
];

export const experts: readonly Expert[] = [
  { name: 'BRATS', what: 'segmentation of brain tumours', arguments: null },
  { name: 'VISTA3D', what: 'segmentation of CT', arguments: { known: groups, absent: 'everything' } },
  { name: 'VISTA2D', what: 'segmentation of cells', arguments: null },
  { name: 'CXR', what: 'classification of chest films', arguments: null },
];
