/**
 * What is asked of a bundle from the shell: one of its tasks with the slots filled, or a text of one's own.
 *
 * In a text of one's own each `<image>` (or the bundle's own placeholder) is the place of a picture, and there must be as many as pictures;
 * without any, the pictures stand before it. A task places its pictures itself, so what fills its slots may not hold such a mark.
 */
import { WetreadError } from '#domain/errors.ts';
import { type AskedSlot, askedSlots, filled, slotsOf } from '#domain/task-text.ts';
import type { Manifest } from './bundle-manifest.ts';

export interface Question {
  /** Name of a task of the bundle; null = `text` is the whole message. */
  readonly task: string | null;
  /** The question of a task, or the message. */
  readonly text: string | null;
  readonly options: readonly string[];
  /** What another model found, as the task words it. */
  readonly results: string | null;
}

/** How each slot is given on the command line. */
const flagOf: Readonly<Record<AskedSlot, string>> = { question: '--text "..."', options: '--option "..."', results: '--results "..."' };

/** A placeholder that is a plain word or sign may stand in any text; only what looks like a mark is one. */
function marksOf(manifest: Manifest): readonly string[] {
  return [...new Set(['<image>', manifest.prompt.placeholder.text])].filter((mark) => mark.startsWith('<'));
}

function malformed(message: string, hint: string): WetreadError {
  return new WetreadError('request-malformed', message, { hint });
}

type Task = Manifest['tasks'][string];

/** @throws not-found naming the tasks that are there */
export function taskOf(manifest: Manifest, name: string): Task {
  const task = Object.hasOwn(manifest.tasks, name) ? manifest.tasks[name] : undefined;
  if (task !== undefined) return task;
  const names = Object.keys(manifest.tasks);
  throw new WetreadError('not-found', `the bundle ${manifest.name} has no task ${name}`, {
    hint: names.length === 0 ? 'it has none: ask with --text alone' : `it has ${names.join(', ')}`,
  });
}

/** @throws request-malformed when a slot is left empty, when there is none for what is given, and for a picture's mark in it */
function checkSlots(manifest: Manifest, name: string, task: Task, { text, options, results }: Question): void {
  const given: Readonly<Record<AskedSlot, readonly string[]>> = {
    question: text === null || text.trim() === '' ? [] : [text],
    options,
    results: results === null || results.trim() === '' ? [] : [results],
  };
  const needed = slotsOf(task.text);
  const hint = `its words: ${JSON.stringify(task.text)}`;
  for (const slot of askedSlots) {
    const isGiven = given[slot].length > 0;
    if (needed.includes(slot) && !isGiven) throw malformed(`the task ${name} needs ${flagOf[slot]}`, hint);
    if (!needed.includes(slot) && isGiven) throw malformed(`the task ${name} has no place for ${flagOf[slot]}`, hint);
    const mark = marksOf(manifest).find((one) => given[slot].some((words) => words.includes(one)));
    if (mark !== undefined) throw malformed(`${flagOf[slot]} holds ${mark}`, `the task ${name} places the images itself`);
  }
}

/** The task's text, and how its slots are filled. @throws not-found, request-malformed */
export function askedTask(manifest: Manifest, name: string, question: Question): { readonly text: string; fillIn(text: string): string } {
  const task = taskOf(manifest, name);
  checkSlots(manifest, name, task, question);
  const { text, options, results } = question;
  return { text: task.text, fillIn: (words) => filled(words, text ?? '', options, task.between, results ?? '') };
}

/**
 * The texts around `count` pictures, count + 1 of them, empty ones included.
 * @throws request-malformed for an empty text, and when its marks are more or fewer than the pictures
 */
export function askedTexts(manifest: Manifest, { text, options, results }: Question, count: number): readonly string[] {
  if (text === null || text.trim() === '') throw malformed('the text is empty', 'give it with --text "..."');
  if (options.length > 0 || results !== null)
    throw malformed('options and results belong to a task', 'name it with --task NAME, or write them into --text');
  const pieces = marksOf(manifest).reduce<string[]>((all, mark) => all.flatMap((piece) => piece.split(mark)), [text]);
  if (pieces.length === count + 1) return pieces;
  if (pieces.length === 1) return [...new Array<string>(count).fill(''), text];
  const marks = pieces.length - 1;
  throw malformed(
    `the text has ${marks === 1 ? 'a place' : `${marks} places`} for an image (${marksOf(manifest).join(' or ')}), ${count === 0 ? 'no image was' : `${count} were`} given`,
    'give as many images with --image FILE, or none of the marks: images stand before the text then',
  );
}
