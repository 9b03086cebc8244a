/**
 * Findings that a sentence mentions: present or absent, on which side, at which site. By words, clause by clause, no model.
 *
 * It is careful rather than complete: what it cannot place (uncertain, or about a prior film only) is no mention, so that the guard holds
 * only what is plainly contradictory.
 */
import type { Side } from '#domain/order.ts';

export interface Mention {
  readonly finding: string;
  readonly polarity: 'present' | 'absent';
  readonly side: Side | null;
  /** upper, middle, lower or hilar; null = not said. */
  readonly site: string | null;
}

const findings: readonly (readonly [finding: string, words: RegExp])[] = [
  ['pericardial effusion', /\bpericardial effusions?\b/],
  ['effusion', /\b(?:(?:pleural )?effusions?|pleural fluid)\b/],
  ['pneumothorax', /\bpneumothora(?:x|ces)\b/],
  ['nodule', /\bnodules?\b/],
  ['mass', /(?<!body )\bmass(?:es)?\b(?! effect)/],
  ['consolidation', /\b(?:consolidations?|airspace disease)\b/],
  ['pneumonia', /\bpneumonias?\b/],
  ['atelectasis', /\batelecta(?:sis|ses)\b/],
  ['oedema', /\bo?edema\b/],
  ['emphysema', /\bemphysema\b/],
  ['fracture', /\bfractures?\b/],
  ['haemorrhage', /\bha?emorrhages?\b/],
  ['infarct', /\binfarct(?:ion)?s?\b/],
  ['cardiomegaly', /\b(?:cardiomegaly|(?:heart|cardiac)[^,;]*?\benlarge(?:d|ment)|enlarged[^,;]*?\b(?:heart|cardiac silhouette))\b/],
];

const normalHeart =
  /\b(?:normal heart|heart size (?:is |remains )?normal|(?:heart|cardiac silhouette|cardiac size) (?:is |are )?(?:of )?normal)\b/;
const negator = /\b(?:no|not|without|free of|negative for|absence of|never|neither|nor)\b/;
const absentAfter =
  /\b(?:(?:is|are|was|were) (?:not (?:seen|identified|present|visible|evident)|absent)|resolved|resolution|no longer|cleared|disappeared|ruled out|excluded)\b/;
const uncertain =
  /\b(?:possibl[ey]|may|might|could|cannot|can not|suspicious|suspected|suspicion|probabl[ey]|likely|question(?:able)?|rule out|versus|vs|differential|if)\b/;
const ofThePrior =
  /\b(?:prior|previous|earlier|old) (?:film|study|exam(?:ination)?|ct|radiograph|image)s?\b[^,;]*\b(?:showed|shows|demonstrated|had)\b/;
/** A denial of one kind only: "no other nodule" and "no large effusion" leave room for a nodule and a small effusion. */
const notAnother =
  /\bno\b[^,;]*\b(?:new|other|additional|further|second|change|increase|acute|large|significant|suspicious|definite|displaced|overt|gross|sizeable|tension)\b/;

function sideIn(text: string): Side | null {
  const [left, right] = [/\bleft\b/.test(text), /\bright\b/.test(text)];
  if (/\b(?:bilateral|both|bilaterally)\b/.test(text) || (left && right)) return 'bilateral';
  return left ? 'left' : right ? 'right' : null;
}

const sites: readonly (readonly [site: string, words: RegExp])[] = [
  ['upper', /\b(?:upper|apical|apex|apices)\b/],
  ['middle', /\b(?:middle|mid)\b/],
  ['lower', /\b(?:lower|basal|basilar|base|bases)\b/],
  ['hilar', /\b(?:hilar|hilum|hila|perihilar)\b/],
];

function siteIn(text: string): string | null {
  return sites.find(([, words]) => words.test(text))?.[0] ?? null;
}

/** Clauses, each with whether the one before it negates it: "no effusion, pneumothorax or nodule" is one negated list. */
function clausesOf(sentence: string): readonly { text: string; inherits: boolean }[] {
  const parts = sentence.toLowerCase().split(/[,;]|\b(?:but|however|although|though|while|except|with(?!out))\b/);
  return parts.map((text) => {
    const saysMore = /\b(?:is|are|has|have|there|small|large|mild|moderate|marked|left|right|new|seen)\b/.test(
      text.replace(/\b(?:is|are) (?:seen|identified|present|noted)\b/, ''),
    );
    return { text, inherits: !saysMore };
  });
}

/** The mentions of one sentence. */
export function mentionsOf(sentence: string): readonly Mention[] {
  const mentions: Mention[] = [];
  let negatedBefore = false;
  for (const { text, inherits } of clausesOf(sentence)) {
    const negatedHere = negator.exec(text);
    const open: boolean = negatedBefore && inherits;
    if (!uncertain.test(text) && !ofThePrior.test(text)) {
      if (normalHeart.test(text)) mentions.push({ finding: 'cardiomegaly', polarity: 'absent', side: null, site: null });
      let rest = text;
      for (const [finding, words] of findings) {
        const found = words.exec(rest);
        if (found === null) continue;
        rest = rest.replace(words, ' ');
        const negated = open || (negatedHere !== null && negatedHere.index < found.index + found[0].length) || absentAfter.test(text);
        if (negated && notAnother.test(text)) continue;
        mentions.push({ finding, polarity: negated ? 'absent' : 'present', side: sideIn(text), site: siteIn(text) });
      }
    }
    negatedBefore = open || negatedHere !== null;
  }
  return mentions;
}

const plainlyNormal = /\b(?:normal|unremarkable|clear|intact|within normal limits|negative|no|not|without|free of|none|nor)\b/i;

const aboutThePrior = /\b(?:priors?|previous|comparisons?|earlier)\b/i;

/**
 * True for a sentence that only says what is not there or that all is well: likely under a null image too, so removal cannot test it.
 * "No prior film was given." denies no finding: it depends on no image, and that can be seen.
 */
export function isNegative(sentence: string): boolean {
  const mentions = mentionsOf(sentence);
  if (mentions.some(({ polarity }) => polarity === 'present')) return false;
  return mentions.length > 0 || (plainlyNormal.test(sentence) && !aboutThePrior.test(sentence));
}
