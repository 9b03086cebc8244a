/** Where the pictures stand in a task's text: at its slot `{images}`, else before it. Other slots are filled before or after, by who asks. */
export const imagesSlot = '{images}';

/** What stands before and after the pictures; only the first slot counts. */
export function aroundImages(text: string): { readonly before: string; readonly after: string } {
  const at = text.indexOf(imagesSlot);
  return at < 0 ? { before: '', after: text } : { before: text.slice(0, at), after: text.slice(at + imagesSlot.length) };
}
