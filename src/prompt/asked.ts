/**
 * A prompt of pictures and a task without a record: what the shell asks.
 *
 * Only what the bundle itself words stands around the pictures, never the service's general wording: a model is asked as it was trained to be.
 */
import { regionsOfTerm } from '#domain/regions.ts';
import { daysBetween, isFilm } from '#domain/relevance.ts';
import { placesImages, textsAround } from '#domain/task-text.ts';
import { fill } from './wording.ts';

type Label = 'current' | 'currentSlice' | 'currentImage' | 'prior' | 'priorSlice' | 'priorImage';

/** What a bundle may say of its prompts' words; the slots are those of wording.ts. */
export interface AskedWording {
  readonly order?: readonly ('history' | 'images' | 'task')[] | undefined;
  readonly historyNone?: string | undefined;
  readonly labels?: { readonly [name in Label]?: string | undefined } | undefined;
  readonly numbered?: string | undefined;
  readonly afterImage?: string | undefined;
  readonly afterSlice?: string | undefined;
}

export interface AskedPicture {
  /** What its file says of it; null = a file that says nothing. */
  readonly facts: {
    readonly modality: string;
    readonly view: string | null;
    readonly bodyPart: string | null;
    readonly date: string | null;
  } | null;
  /** Place in its stack; null = a picture by itself. */
  readonly slice: { readonly index: number; readonly of: number } | null;
}

/** A text, or the place of picture `picture` (0 = the first given). */
export type AskedPiece = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'picture'; readonly picture: number };

function labelName({ facts, slice }: AskedPicture, isPrior: boolean): Label {
  if (slice !== null) return isPrior ? 'priorSlice' : 'currentSlice';
  if (facts === null || isFilm(facts.modality)) return isPrior ? 'prior' : 'current';
  return isPrior ? 'priorImage' : 'currentImage';
}

/** Days from a picture's date to the newest of all; 0 where dates are not known. */
function daysBefore(date: string | null, pictures: readonly AskedPicture[]): number {
  const newest = pictures
    .flatMap(({ facts }) => facts?.date ?? [])
    .sort()
    .at(-1);
  return date === null || newest === undefined ? 0 : (daysBetween(date, newest) ?? 0);
}

/** The texts before and after a picture. One of an earlier date than the newest is a prior. */
function around(index: number, pictures: readonly AskedPicture[], wording: AskedWording): { before: string; after: string } {
  const picture = pictures[index] ?? { facts: null, slice: null };
  const { facts, slice } = picture;
  const regions = facts?.bodyPart == null ? [] : regionsOfTerm(facts.bodyPart);
  const days = daysBefore(facts?.date ?? null, pictures);
  const slots = {
    number: String(index + 1),
    modality: facts?.modality ?? null,
    region: regions.length === 0 || regions.length > 3 ? null : regions.join(' and '),
    view: facts?.view ?? null,
    date: facts?.date ?? null,
    days: String(days),
    slice: slice === null ? null : String(slice.index),
    slices: slice === null ? null : String(slice.of),
  };
  const label = wording.labels?.[labelName(picture, days > 0)];
  const isNumbered = label === undefined && pictures.length > 1 && wording.numbered !== undefined;
  const before = isNumbered ? wording.numbered : (label ?? '');
  const after = (slice === null || days > 0 ? undefined : wording.afterSlice) ?? wording.afterImage ?? '';
  return { before: fill(before, slots), after: fill(after, slots) };
}

/**
 * History ("not given", where the bundle says so), pictures and task in the bundle's order; pictures stand inside the task where its text says
 * so. `fillIn` fills the other slots of each text of the task, so that nothing filled in can place a picture. Adjacent texts are joined.
 * @throws too-many-images when the task has places of its own for another number of pictures
 */
export function askedPrompt(
  task: string,
  fillIn: (text: string) => string,
  pictures: readonly AskedPicture[],
  wording: AskedWording,
): readonly AskedPiece[] {
  const shown = pictures.map((_, index): AskedPiece[] => {
    const { before, after } = around(index, pictures, wording);
    return [
      { kind: 'text', text: before },
      { kind: 'picture', picture: index },
      { kind: 'text', text: after },
    ];
  });
  const isInside = placesImages(task);
  const [first = '', ...others] = isInside ? textsAround(task, pictures.length) : [task];
  const text = (words: string): AskedPiece => ({ kind: 'text', text: fillIn(words) });
  const blocks = {
    history: [{ kind: 'text', text: wording.historyNone ?? '' }] satisfies AskedPiece[],
    images: isInside ? [] : shown.flat(),
    task: [text(first), ...others.flatMap((words, at) => [...(shown[at] ?? []), text(words)])],
  };
  return joined((wording.order ?? (['history', 'images', 'task'] as const)).flatMap((block): readonly AskedPiece[] => blocks[block]));
}

function joined(pieces: readonly AskedPiece[]): readonly AskedPiece[] {
  const all: AskedPiece[] = [];
  for (const piece of pieces) {
    const last = all.at(-1);
    if (piece.kind === 'text' && piece.text === '') continue;
    if (piece.kind === 'text' && last?.kind === 'text') all[all.length - 1] = { kind: 'text', text: last.text + piece.text };
    else all.push(piece);
  }
  return all;
}
