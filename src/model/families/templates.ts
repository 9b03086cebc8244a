/** What the prompts of all families share: a template by its name, and texts that cannot act as marks. */
import { WetreadError } from '#domain/errors.ts';
import type { Template } from '../bundle-manifest.ts';

/** @throws import-option-missing when the family has no such template */
export function templateOf(family: string, templates: readonly Template[], name: string): Template {
  const template = templates.find((candidate) => candidate.name === name);
  if (template !== undefined) return template;
  throw new WetreadError('import-option-missing', `no template of ${family} is called ${name}`, {
    hint: `one of ${templates.map((candidate) => candidate.name).join(', ')}`,
  });
}

/** A record's text must not close a turn or add an image: marks are removed until none is left, also those that a removal puts together. */
export function withoutMarks(text: string, marks: readonly string[]): string {
  let clean = text;
  for (let before = ''; before !== clean; ) {
    before = clean;
    for (const mark of marks) clean = clean.replaceAll(mark, '');
  }
  return clean;
}
