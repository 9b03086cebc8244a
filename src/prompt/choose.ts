/**
 * Which of the pictures go into the prompt when there are more than the bundle takes.
 *
 * Films: frontal before oblique before lateral, and within a view the current before the prior, so that two places are one frontal film and
 * its prior. Slices: evenly spaced again. What is dropped is always said.
 */
import type { Warning } from '#domain/errors.ts';
import type { Picture } from '#domain/picture.ts';
import { isFilm } from '#domain/relevance.ts';
import { evenly } from './plan.ts';

export interface Choice {
  /** Current ones first. */
  readonly pictures: readonly Picture[];
  readonly warnings: readonly Warning[];
}

/** CID 4010 in the spellings of ViewPosition: 0 = frontal, 1 = not said, 2 = oblique, 3 = lateral. */
function viewRank(view: string | null): number {
  if (view === null) return 1;
  if (/^(PA|AP)/i.test(view)) return 0;
  if (/^(LL|RL|LAT|LATERAL|LM|ML|L|R)$/i.test(view)) return 3;
  return 2;
}

function inOrder(a: Picture, b: Picture): number {
  return (
    viewRank(a.view) - viewRank(b.view) ||
    (a.seriesNumber ?? 0) - (b.seriesNumber ?? 0) ||
    (a.instanceNumber ?? 0) - (b.instanceNumber ?? 0)
  );
}

function names(pictures: readonly Picture[]): string {
  return pictures.map(({ modality, view, date }) => [modality, view, date].filter((part) => part !== null).join(' ')).join(', ');
}

function chooseFilms(current: readonly Picture[], prior: readonly Picture[], maxImages: number): Choice {
  const wanted = [
    ...current.map((picture) => ({ picture, rank: viewRank(picture.view), prior: 0 })),
    ...prior.map((picture) => ({ picture, rank: viewRank(picture.view), prior: 1 })),
  ].sort((a, b) => a.rank - b.rank || a.prior - b.prior || inOrder(a.picture, b.picture));
  const taken = new Set(wanted.slice(0, maxImages).map(({ picture }) => picture));
  // The subject is never left without a film: its best one takes the last place.
  const [best] = [...current].sort(inOrder);
  const [last] = [...taken].slice(-1);
  if (best !== undefined && last !== undefined && !current.some((picture) => taken.has(picture))) {
    taken.delete(last);
    taken.add(best);
  }
  const pictures = [...[...current].sort(inOrder), ...[...prior].sort(inOrder)].filter((picture) => taken.has(picture));
  const dropped = [...current, ...prior].filter((picture) => !taken.has(picture));
  const message = `The model takes ${maxImages === 1 ? 'one image' : `${maxImages} images`}; frontal films were taken before lateral ones, current before prior. Left out: ${names(dropped)}.`;
  return { pictures, warnings: dropped.length === 0 ? [] : [{ code: 'images-dropped', message }] };
}

function chooseSlices(current: readonly Picture[], prior: readonly Picture[], maxImages: number): Choice {
  const forPrior = Math.min(prior.length, Math.floor(maxImages / 3));
  const forCurrent = Math.min(current.length, maxImages - forPrior);
  const pictures = [...evenly(current, forCurrent), ...evenly(prior, Math.min(prior.length, maxImages - forCurrent))];
  const dropped = current.length + prior.length - pictures.length;
  const message = `The model takes ${maxImages === 1 ? 'one image' : `${maxImages} images`}; evenly spaced slices were taken, ${dropped} left out.`;
  return { pictures, warnings: dropped === 0 ? [] : [{ code: 'images-dropped', message }] };
}

/** At most `maxImages` pictures by the rule above, the current study's first. */
export function choosePictures(current: readonly Picture[], prior: readonly Picture[], maxImages: number): Choice {
  const films = [...current, ...prior].every(({ modality }) => isFilm(modality));
  return films ? chooseFilms(current, prior, maxImages) : chooseSlices(current, prior, maxImages);
}
