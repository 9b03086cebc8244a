/**
 * What a bundle is asked for a draft: its report, or, where the model only answers questions, the bundle's questions in turn.
 *
 * A model of questions was trained on a picture and a question, so no history and no labels are added to them: what it was never shown it
 * would not read. Its own wording wins.
 */

import { WetreadError } from '#domain/errors.ts';
import { filled } from '#domain/task-text.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import { rowsInPrompt } from '#model/onnx/sizes.ts';
import { type Wording, wordingSchema } from '#prompt/wording.ts';

export interface DraftTask {
  /** Of the bundle's tasks. */
  readonly name: string;
  readonly wording: Wording;
  /** What is put into the task's place for it; empty = the task asks for itself. */
  readonly questions: readonly string[];
}

/** Where the bundle names none: the one question that supposes no finding. */
const defaultQuestions = ['What abnormality is seen in the image?'];

const noLabels = { current: '', prior: '', currentSlice: '', priorSlice: '', currentImage: '', priorImage: '' };

/** @throws bundle-invalid when the bundle has neither a task "report" nor "vqa_open" */
export function draftTaskOf({ name, tasks, wording, promptVersion: version, questions }: Manifest): DraftTask {
  const { report, vqa_open: open } = tasks;
  if (report !== undefined)
    return { name: 'report', wording: wordingSchema.parse({ ...wording, version, task: report.text }), questions: [] };
  if (open === undefined)
    throw new WetreadError('bundle-invalid', `${name}: found no task "report" or "vqa_open", which drafts are made with`);
  const bare = { order: ['images', 'task'], historyNone: '', ...wording, labels: { ...noLabels, ...wording?.labels } };
  return {
    name: 'vqa_open',
    wording: wordingSchema.parse({ ...bare, version, task: open.text }),
    questions: questions ?? defaultQuestions,
  };
}

/** The task's wording for each prompt of a draft, with its question; null = it needs none. */
export function promptsOf({ wording, questions }: DraftTask): readonly { readonly wording: Wording; readonly question: string | null }[] {
  if (questions.length === 0) return [{ wording, question: null }];
  return questions.map((question) => ({ wording: { ...wording, task: filled(wording.task, question, []) }, question }));
}

/**
 * Images of a prompt that the bundle takes and that fit beside the longest history and answer, at least one: a volume is cut to what fits, not
 * refused. Where pictures have sizes of their own nobody knows before, and the bundle's limit stands.
 */
export function mostImages(manifest: Manifest, { wording }: DraftTask, countTokens: (text: string) => number): number {
  const { limits, sizes, patches, prompt } = manifest;
  const { labels, order, task, historyMaxTokens } = wording;
  if (patches !== undefined) return limits.maxImages;
  const perImage = rowsInPrompt(sizes) + Math.max(...Object.values(labels).map(countTokens)) + countTokens(wording.afterImage);
  const words = countTokens(prompt.template.before + task + prompt.template.after) + (order.includes('history') ? historyMaxTokens : 0);
  const room = Math.min(sizes.contextTokens, limits.contextTokens) - limits.maxNewTokens - words;
  return perImage === 0 ? limits.maxImages : Math.max(1, Math.min(limits.maxImages, Math.floor(room / perImage)));
}

/** What tells drafts of one bundle apart that were asked other things, for the draft's key. */
export function askedOf({ name, questions }: DraftTask): string {
  return [name, ...questions].join('\n');
}
