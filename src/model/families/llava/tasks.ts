/**
 * What the models of this family are asked for each task. LLaVA-Med and HuatuoGPT-Vision were trained on free conversations about figures: a
 * question is its own text, and there is no fixed prompt for reports. Other tasks are in the words of a kit that evaluates both.
 *
 * Terms differ from checkpoint to checkpoint, so none are published here: the importer says them.
 * Source: microsoft/LLaVA-Med, FreedomIntelligence/HuatuoGPT-Vision; evaluation-kit.ts.
 */
import type { Manifest, PublishedGeneration } from '../../bundle-manifest.ts';
import { kitQuestions, kitReports, kitWording } from '../evaluation-kit.ts';
import type { Published } from '../import.ts';

export const tasks: Manifest['tasks'] = {
  report: kitReports.report,
  ...kitQuestions,
  vqa_open: { text: '{question}', source: 'microsoft/LLaVA-Med, llava/eval/model_vqa.py; FreedomIntelligence/HuatuoGPT-Vision, cli.py' },
  vqa_open_concise: kitQuestions.vqa_open,
};

/** The chat loop of HuatuoGPT-Vision, whatever its generation_config.json says. */
export const huatuoGeneration: PublishedGeneration = {
  source: 'FreedomIntelligence/HuatuoGPT-Vision, cli.py',
  temperature: 0.2,
  repetitionPenalty: 1.2,
};

export const published: Published = { wording: kitWording };
