/**
 * Which images of the evidence are to be retrieved for a prompt, decided on series and instance numbers alone, before any pixel is read.
 *
 * Films: every film of the subject and of the newest prior of its kind, since the view stands in the header only. Volumes: the series of the
 * region with the most slices (scouts never), evenly spaced. Other pictures (ultrasound, mammography, photographs): those of all series, evenly
 * spaced. A prior gets a third of the places.
 */
import { roundHalfEven } from '#domain/ct-windows.ts';
import type { Warning } from '#domain/errors.ts';
import type { Evidence } from '#domain/evidence.ts';
import { overlapOf, regionsOfTerm } from '#domain/regions.ts';
import { isCrossSectional, isFilm, sameModality } from '#domain/relevance.ts';
import type { ImageRef, Instance, Series, Study } from '#domain/study.ts';

export interface PlannedImage {
  readonly ref: ImageRef;
  readonly prior: boolean;
  /** Place in its series, 1-based; null = a picture by itself. */
  readonly slice: { readonly index: number; readonly of: number } | null;
}

export interface Plan {
  /** The subject's first, then the prior's; slices in the order of their numbers. */
  readonly images: readonly PlannedImage[];
  readonly warnings: readonly Warning[];
}

/** More films of one study than anyone takes; the rest is said, not fetched. */
const mostFilms = 8;
const scout = /scout|locali[sz]er|topogram|survey|surview/i;

interface Place {
  readonly series: Series;
  readonly instance: Instance;
  readonly frame: number | null;
}

function placesOf(series: Series): readonly Place[] {
  if (series.order !== undefined) {
    const instances = new Map(series.instances.map((instance) => [instance.uid, instance]));
    return series.order.flatMap(({ instance: uid, frame }) => {
      const instance = instances.get(uid);
      return instance === undefined ? [] : [{ series, instance, frame }];
    });
  }
  const byNumber = [...series.instances].sort(
    (a, b) => (a.number ?? Number.MAX_SAFE_INTEGER) - (b.number ?? Number.MAX_SAFE_INTEGER) || a.uid.localeCompare(b.uid),
  );
  return byNumber.flatMap((instance): Place[] =>
    instance.frames <= 1
      ? [{ series, instance, frame: null }]
      : Array.from({ length: instance.frames }, (_, at) => ({ series, instance, frame: at + 1 })),
  );
}

/** Which of many slices are shown: the middle of each of equal stretches, or its end, so that the last is among them and the first is not. */
export type SliceRule = 'middles' | 'ends';

/** `count` of `all`, evenly spaced. */
export function evenly<T>(all: readonly T[], count: number, rule: SliceRule = 'middles'): readonly T[] {
  if (count >= all.length) return all;
  const index = (at: number) =>
    rule === 'middles' ? Math.floor(((at + 0.5) * all.length) / count) : roundHalfEven(((at + 1) / count) * (all.length - 1));
  return Array.from({ length: count }, (_, at) => all[index(at)]).filter((one) => one !== undefined);
}

function readable(study: Study, modalities: readonly string[]): readonly Series[] {
  return study.series.filter(({ modality, instances }) => instances.length > 0 && modalities.some((one) => sameModality(one, modality)));
}

function planned(study: Study, prior: boolean, places: readonly Place[], all: readonly Place[] | null): readonly PlannedImage[] {
  return places.map((place) => ({
    ref: {
      study: study.uid,
      series: place.series.uid,
      instance: place.instance.uid,
      sopClass: place.instance.sopClass,
      frame: place.frame,
    },
    prior,
    slice: all === null ? null : { index: all.indexOf(place) + 1, of: all.length },
  }));
}

function nameOf({ description, number, modality }: Series): string {
  return `${modality} series ${number ?? 'without number'}${description === null ? '' : ` (${description})`}`;
}

/** Series of the region before others, then the one with the most slices. */
function chooseSeries(all: readonly Series[], regions: readonly string[]): Series | undefined {
  const meets = ({ bodyPart }: Series) =>
    bodyPart !== null && ['same', 'contained'].includes(overlapOf(regionsOfTerm(bodyPart), regions)) ? 1 : 0;
  return [...all]
    .filter(({ description }) => !scout.test(description ?? ''))
    .sort((a, b) => meets(b) - meets(a) || placesOf(b).length - placesOf(a).length || (a.number ?? 0) - (b.number ?? 0))[0];
}

function planFilms(study: Study, prior: boolean, series: readonly Series[]): Plan {
  const all = series.flatMap(placesOf);
  const message = `The study of ${study.date ?? 'unknown date'} has ${all.length} films; the first ${mostFilms} by number were looked at.`;
  return {
    images: planned(study, prior, all.slice(0, mostFilms), null),
    warnings: all.length > mostFilms ? [{ code: 'images-dropped', message }] : [],
  };
}

function planVolume(study: Study, prior: boolean, series: readonly Series[], places: number, rule: SliceRule): Plan {
  const chosen = chooseSeries(series, study.regions) ?? series[0];
  if (chosen === undefined || places < 1) return { images: [], warnings: [] };
  const all = placesOf(chosen);
  const taken = evenly(all, places, rule);
  const others = series.filter((one) => one !== chosen);
  const warnings = [
    ...(taken.length < all.length
      ? [
          {
            code: 'images-dropped',
            message: `${taken.length} of ${all.length} slices of the ${nameOf(chosen)} were chosen, evenly spaced.`,
          },
        ]
      : []),
    ...(others.length > 0 ? [{ code: 'series-dropped', message: `Not shown to the model: ${others.map(nameOf).join(', ')}.` }] : []),
  ];
  return { images: planned(study, prior, taken, all.length > 1 ? all : null), warnings };
}

/** Views of one examination often are a series each. */
function planPictures(study: Study, prior: boolean, series: readonly Series[], places: number): Plan {
  const all = series.flatMap(placesOf);
  const taken = evenly(all, places);
  const message = `${taken.length} of ${all.length} images of the study of ${study.date ?? 'unknown date'} were chosen, evenly spaced.`;
  return {
    images: planned(study, prior, taken, null),
    warnings: taken.length < all.length ? [{ code: 'images-dropped', message }] : [],
  };
}

/** The newest prior of the subject's kind that has images to show. */
function priorOf(evidence: Evidence, kind: string, modalities: readonly string[]): { study: Study; series: readonly Series[] } | null {
  const shown = evidence.priors
    .map(({ study }) => ({ study, series: readable(study, modalities).filter(({ modality }) => sameModality(modality, kind)) }))
    .filter(({ series }) => series.length > 0)
    .sort((a, b) => `${b.study.date} ${b.study.time ?? ''}`.localeCompare(`${a.study.date} ${a.study.time ?? ''}`));
  return shown[0] ?? null;
}

/** `modalities`, `maxImages` and `rule` are the bundle's. An empty plan means that the subject has no readable image. */
export function planImages(evidence: Evidence, modalities: readonly string[], maxImages: number, rule: SliceRule = 'middles'): Plan {
  const { study } = evidence.subject;
  const series = readable(study, modalities);
  const [first] = [...series].sort((a, b) => Number(isFilm(b.modality)) - Number(isFilm(a.modality)));
  if (first === undefined) return { images: [], warnings: [] };
  const kind = series.filter(({ modality }) => sameModality(modality, first.modality));
  const prior = priorOf(evidence, first.modality, modalities);
  if (isFilm(first.modality)) {
    const plans = [planFilms(study, false, kind), ...(prior === null ? [] : [planFilms(prior.study, true, prior.series)])];
    return { images: plans.flatMap(({ images }) => images), warnings: plans.flatMap(({ warnings }) => warnings) };
  }
  const forPrior = prior === null ? 0 : Math.floor(maxImages / 3);
  const plan = (of: Study, isPrior: boolean, all: readonly Series[], places: number) =>
    isCrossSectional(first.modality) ? planVolume(of, isPrior, all, places, rule) : planPictures(of, isPrior, all, places);
  const plans = [
    plan(study, false, kind, maxImages - forPrior),
    ...(prior === null ? [] : [plan(prior.study, true, prior.series, forPrior)]),
  ];
  return { images: plans.flatMap(({ images }) => images), warnings: plans.flatMap(({ warnings }) => warnings) };
}
