/**
 * Where the pictures stand in a task's text: each at a slot `{image}` of its own, or all at `{images}`, else before it.
 * Other slots are filled by who asks, with no picture in what is filled in.
 */
import { WetreadError } from './errors.ts';

export const imagesSlot = '{images}';
const imageSlot = '{image}';

/** Whether a text says where its pictures stand. */
export function placesImages(text: string): boolean {
  return text.includes(imagesSlot) || text.includes(imageSlot);
}

/**
 * The texts around `count` pictures, count + 1 of them, empty ones included.
 * @throws too-many-images when the text has places of their own for another number of pictures
 */
export function textsAround(text: string, count: number): readonly string[] {
  const own = text.split(imageSlot);
  if (own.length > 1) {
    if (own.length === count + 1) return own;
    throw new WetreadError('too-many-images', `the task has places for ${own.length - 1} images, ${count} were given`);
  }
  const at = text.indexOf(imagesSlot);
  const [before, after] = at < 0 ? ['', text] : [text.slice(0, at), text.slice(at + imagesSlot.length)];
  return count === 0 ? [before + after] : [before, ...new Array<string>(count - 1).fill(''), after];
}

/** What who asks may put into a task's text. */
export const askedSlots = ['question', 'options', 'results'] as const;
export type AskedSlot = (typeof askedSlots)[number];

/** The slots of a text that must be filled. */
export function slotsOf(text: string): readonly AskedSlot[] {
  return askedSlots.filter((slot) => text.includes(`{${slot}}`));
}

/** A task's text with question, options and another model's results in their slots; `between` stands between two options. */
export function filled(text: string, question: string, options: readonly string[], between = '\n', results = ''): string {
  const values: Readonly<Record<string, string>> = { question, options: options.join(between), results };
  return text.replace(/\{(question|options|results)\}/g, (whole, slot: string) => values[slot] ?? whole);
}
