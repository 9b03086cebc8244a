/**
 * The fixed sentences of a draft, used alike by card, page, FHIR and SR, so that no two outputs say different things.
 *
 * The words promise no truth: "depends on" says what happened to a sentence's probability when images were removed, never "supported by".
 */
import type { Draft, DraftImage } from '#domain/draft.ts';
import { released } from '#domain/draft.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Citation, Section, Statement } from '#domain/statement.ts';
import type { Study } from '#domain/study.ts';
import { imageKey } from '#domain/study.ts';

export const draftNotice = 'AI draft, not verified';

export const dependenceLine =
  'Dependence is not correctness: it says which images changed how likely the model was to write the sentence, not whether the sentence is true.';

export const stampNotice = 'TEST MODEL: random or test weights, not for any clinical use';

export const sectionTitle: Readonly<Record<Section, string>> = {
  findings: 'Findings',
  comparison: 'Comparison',
  impression: 'Impression',
};

/** Sections in the order of a report. */
export const sections: readonly Section[] = ['findings', 'comparison', 'impression'];

/** Control characters (XML and DICOM text refuse them), line separators, and marks that reverse or hide the order of letters. */
const unprintable = /[\p{Cc}\u2028\u2029\u200B\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF\uFFFE\uFFFF]+|\p{Cs}/gu;

/** Text of a model or a header as one printable line: what cannot be shown becomes one space. */
export function oneLine(text: string): string {
  return text.replace(unprintable, ' ').replace(/\s+/gu, ' ').trim();
}

/**
 * The image of the draft that a citation means.
 * @throws reference-unresolved when the number and the reference do not name one image of the draft
 */
export function citedImage(draft: Draft, statement: Statement, citation: Citation): DraftImage {
  const image = draft.images[citation.image - 1];
  if (image !== undefined && sameImage(image, citation)) return image;
  throw new WetreadError(
    'reference-unresolved',
    `statement ${statement.number}: found a citation of image ${citation.image} (${imageKey(citation.ref)}), expected one of the ${draft.images.length} images of the draft`,
  );
}

function sameImage(image: DraftImage, citation: Citation): boolean {
  const { ref } = image;
  return (
    imageKey(ref) === imageKey(citation.ref) &&
    ref.series === citation.ref.series &&
    ref.study === citation.ref.study &&
    ref.sopClass === citation.ref.sopClass
  );
}

/**
 * Released statements, as they may be written: one names images exactly when it depends on images.
 * @throws reference-unresolved when one does not, or cites an image that the draft does not have
 */
export function writableStatements(draft: Draft): readonly Statement[] {
  const statements = released(draft);
  for (const statement of statements) {
    if ((statement.dependence === 'depends') !== statement.citations.length > 0) {
      throw new WetreadError(
        'reference-unresolved',
        `statement ${statement.number}: found ${statement.citations.length} citations for "${statement.dependence}", expected some exactly when it depends on images`,
      );
    }
    for (const citation of statement.citations) citedImage(draft, statement, citation);
  }
  return statements;
}

/**
 * "depends on image 2", "depends on images 1 and 2", "depends on no image", "cannot be tested by removal", "not attributed".
 * A held statement may have lost all its images: "depends on an image that was not found".
 */
export function dependenceWords(statement: Statement): string {
  switch (statement.dependence) {
    case 'depends': {
      const numbers = statement.citations.map((citation) => citation.image).sort((a, b) => a - b);
      if (numbers.length === 0) return 'depends on an image that was not found';
      return numbers.length === 1 ? `depends on image ${numbers[0]}` : `depends on images ${listed(numbers.map(String))}`;
    }
    case 'depends-on-none':
      return 'depends on no image';
    case 'cannot-be-tested':
      return 'cannot be tested by removal';
    case 'not-attributed':
      return 'not attributed';
  }
}

/** "a", "a and b", "a, b and c". */
function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** "DX 2026-11-24, series 1, instance 2, frame 3, prior": the modality, the study's date, and where a viewer finds it. */
export function imageWords(image: DraftImage): string {
  return [
    `${oneLine(image.modality)} ${image.date ?? 'date unknown'}`,
    image.seriesNumber === null ? null : `series ${image.seriesNumber}`,
    image.instanceNumber === null ? null : `instance ${image.instanceNumber}`,
    image.ref.frame === null ? null : `frame ${image.ref.frame}`,
    image.prior ? 'prior' : null,
  ]
    .filter((part) => part !== null)
    .join(', ');
}

/**
 * Dependence with the images by series and instance number, for readers that show text and not references:
 * "depends on image 2 (image 2: DX 2026-11-24, series 1, instance 1)".
 * @throws reference-unresolved
 */
export function dependenceWithImages(draft: Draft, statement: Statement): string {
  const words = dependenceWords(statement);
  const images = statement.citations.map((citation) => `image ${citation.image}: ${imageWords(citedImage(draft, statement, citation))}`);
  return images.length === 0 ? words : `${words} (${images.join('; ')})`;
}

/** An answer with the question that it answers: neither says anything alone. */
export function answeredWords(question: string, answer: string): string {
  return `Question: ${question} Answer: ${answer}`;
}

/** How attribution was run (and, in its words, whether support is calibrated), and what dependence is not; one line each. */
export function methodLines(draft: Draft): readonly string[] {
  return [oneLine(draft.attribution.line), dependenceLine].filter((line) => line !== '');
}

/** Said wherever an earlier draft is still shown. */
export const supersededNotice = 'Superseded: the study has other images now. Open the link on the card again for the newer draft.';

/** One line for each draft that this one supersedes. */
export function supersedesLines(draft: Draft): readonly string[] {
  return draft.supersedes.map(({ generatedAt }) => `Supersedes the draft of ${generatedAt}, made when the study had other images.`);
}

/** "DX of 2026-11-24 (Chest PA)". */
export function studyWords(study: Study): string {
  const modalities = study.modalities.length === 0 ? 'Study' : study.modalities.map(oneLine).join('/');
  const description = study.description === null ? '' : oneLine(study.description);
  return `${modalities} of ${study.date ?? 'unknown date'}${description === '' ? '' : ` (${description})`}`;
}

/** Held sentences are never written out; their number and rules are. Null when nothing was held. */
export function heldWords(draft: Draft): string | null {
  const held = draft.statements.filter((statement) => statement.holds.length > 0);
  if (held.length === 0) return null;
  const rules = [...new Set(held.flatMap((statement) => statement.holds.map((hold) => oneLine(hold.rule))))];
  return `${held.length} ${held.length === 1 ? 'sentence was' : 'sentences were'} held back by the guard (${rules.join(', ')}).`;
}
