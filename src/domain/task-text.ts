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

/** A task's text with its question and options in their slots; `between` stands between two options. */
export function filled(text: string, question: string, options: readonly string[], between = '\n'): string {
  return text.replace(/\{(question|options)\}/g, (_, slot) => (slot === 'question' ? question : options.join(between)));
}
