/**
 * The sentences of a synthetic film's report, in three manners of wording, and those for films on which nothing can be seen.
 *
 * Findings depend on the current film only, comparison sentences on both films: attribution is measured on that.
 */
import { type FindingName, findingNames } from '#domain/finding.ts';
import { type ChangedLesion, type Lesion, sizeWord } from './lesion.ts';

export const manners = [0, 1, 2] as const;
export type Manner = (typeof manners)[number];

/** What a film without a picture gets instead. */
export const unseen = {
  findings: 'The current film cannot be seen.',
  comparison: 'No comparison is possible.',
  prior: 'The prior film cannot be seen.',
  impression: 'No impression without a visible film.',
} as const;

export const noPrior = 'No prior film was given.';

const nouns: { readonly [name in FindingName]: string } = {
  nodule: 'nodule',
  effusion: 'pleural effusion',
  pneumothorax: 'pneumothorax',
  consolidation: 'consolidation',
  cardiomegaly: 'cardiomegaly',
};

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "right upper zone nodule", "left pleural effusion", "cardiomegaly". */
function named(lesion: Lesion): string {
  const site = lesion.site === null ? '' : `${lesion.site} zone `;
  return `${lesion.side === null ? '' : `${lesion.side} `}${site}${nouns[lesion.finding]}`;
}

export function findingSentence(lesion: Lesion, manner: Manner): string {
  const size = sizeWord(lesion);
  if (lesion.finding === 'cardiomegaly') {
    const much = size === 'small' ? 'mildly' : 'markedly';
    return (
      [`The heart is ${much} enlarged.`, `There is ${size === 'small' ? 'mild' : 'marked'} cardiomegaly.`, `Heart ${much} enlarged.`][
        manner
      ] ?? ''
    );
  }
  const noun = nouns[lesion.finding];
  const where = lesion.site === null ? `on the ${lesion.side}` : `in the ${lesion.side} ${lesion.site} zone`;
  return (
    [`There is a ${size} ${noun} ${where}.`, `There is a ${size} ${named(lesion)}.`, `${capital(size)} ${noun} ${where}.`][manner] ?? ''
  );
}

/** The sentences on what the current film does not show; the heart has its own. */
export function absentSentences(present: readonly FindingName[], manner: Manner): readonly string[] {
  const absent = findingNames.filter((name) => name !== 'cardiomegaly' && !present.includes(name)).map((name) => nouns[name]);
  const last = absent.at(-1);
  const sentences: string[] = [];
  if (last !== undefined) {
    const list = absent.length === 1 ? last : `${absent.slice(0, -1).join(', ')} or ${last}`;
    sentences.push([`No ${list} is seen.`, `There is no ${list}.`, `No ${list}.`][manner] ?? '');
  }
  if (!present.includes('cardiomegaly')) {
    sentences.push(['The heart is not enlarged.', 'Heart size is normal.', 'Heart not enlarged.'][manner] ?? '');
  }
  return sentences;
}

export function comparisonSentence({ current, prior, change }: ChangedLesion, manner: Manner): string {
  const lesion = current ?? prior;
  if (lesion === null || change === null) throw new RangeError('a comparison needs a lesion and its change');
  const subject = `The ${named(lesion)}`;
  if (change === 'resolved') return manner === 1 ? `${subject} is no longer seen.` : `${subject} has resolved.`;
  const predicates = {
    new: ['is new', 'was not there before', 'is new'],
    larger: ['is larger', 'has increased', 'is larger'],
    smaller: ['is smaller', 'has decreased', 'is smaller'],
    unchanged: ['is unchanged', 'is unchanged', 'is the same size'],
  } as const;
  return `${subject} ${predicates[change][manner]}.`;
}

export function sameSentence(manner: Manner): string {
  return ['There is no change.', 'No change since the prior film.', 'There is no change.'][manner] ?? '';
}

export function impressionSentence(lesions: readonly Lesion[], manner: Manner): string {
  if (lesions.length === 0) return ['Normal chest film.', 'No abnormality.', 'Normal chest film.'][manner] ?? '';
  return `${capital(lesions.map(named).join(', '))}.`;
}
