/**
 * Evidence and pictures -> the prompt: text and images interleaved, every image labelled with its study, region, view and date.
 *
 * The words come from the bundle (wording.ts), because a model understands the prompt it was trained on and no other.
 */
import type { PromptPart } from '#domain/answer.ts';
import type { DraftImage } from '#domain/draft.ts';
import { type Warning, WetreadError } from '#domain/errors.ts';
import type { Evidence, HistoryItem } from '#domain/evidence.ts';
import type { Picture } from '#domain/picture.ts';
import { regionsOfTerm } from '#domain/regions.ts';
import { daysBetween, isFilm } from '#domain/relevance.ts';
import type { Segment } from '#domain/segment.ts';
import { imageKey } from '#domain/study.ts';
import { placesImages, textsAround } from '#domain/task-text.ts';
import { choosePictures } from './choose.ts';
import { type HistoryLimits, historyDigest, historyText } from './history.ts';
import type { PlannedImage } from './plan.ts';
import { defaultWording, fill, type Wording } from './wording.ts';

export interface PromptRequest {
  readonly evidence: Evidence;
  /** Of the subject and of one prior, in the plan's order. */
  readonly pictures: readonly Picture[];
  /** Place in its series by imageKey; a picture that is not in it is one by itself. */
  readonly slices: ReadonlyMap<string, NonNullable<PlannedImage['slice']>>;
  readonly wording: Wording;
  readonly limits: HistoryLimits & { readonly maxImages: number };
}

export interface Prompt {
  readonly segments: readonly Segment[];
  /** In prompt order; `picture` is null until the cache has it. */
  readonly images: readonly DraftImage[];
  readonly warnings: readonly Warning[];
  /** What of the evidence's history stands in it. */
  readonly history: readonly HistoryItem[];
  /** sha256 of the evidence's history, for the draft's key. */
  readonly historyDigest: string;
}

type Slice = PlannedImage['slice'];

/** What the slots of a label say of a picture; null = not known. */
function slotsOf(picture: Picture, slice: Slice, number: number, prior: boolean, { subject, priors }: Evidence) {
  const { study } = subject;
  const own = prior ? (priors.find((one) => one.study.uid === picture.ref.study)?.study ?? study) : study;
  const said = picture.bodyPart === null ? [] : regionsOfTerm(picture.bodyPart);
  const regions = said.length > 0 ? said : own.regions;
  const date = picture.date ?? own.date;
  const days = date === null || study.date === null ? null : daysBetween(date, study.date);
  return {
    number: String(number),
    modality: picture.modality,
    // A whole body or a limb is a set of many; a label that lists them all says less than none.
    region: regions.length === 0 || regions.length > 3 ? null : regions.join(' and '),
    view: picture.view,
    date,
    days: days === null ? null : String(days),
    slice: slice === null ? null : String(slice.index),
    slices: slice === null ? null : String(slice.of),
  };
}

interface Labelled {
  readonly picture: Picture;
  readonly slice: Slice;
  readonly slots: ReturnType<typeof slotsOf>;
  readonly prior: boolean;
}

function labelOf({ picture, slice, slots, prior }: Labelled, { labels }: Pick<Wording, 'labels'>): string {
  if (isFilm(picture.modality)) return fill(prior ? labels.prior : labels.current, slots);
  if (slice !== null) return fill(prior ? labels.priorSlice : labels.currentSlice, slots);
  return fill(prior ? labels.priorImage : labels.currentImage, slots);
}

function draftImage(image: Labelled, wording: Wording): DraftImage {
  const { ref, modality, width, height, seriesNumber, instanceNumber, date } = image.picture;
  const { prior } = image;
  // A reader needs a name for the picture, also where the model was trained without one.
  const label = (labelOf(image, wording) || labelOf(image, defaultWording)).replace(/:?\s*$/, '');
  return { ref, label, modality, width, height, seriesNumber, instanceNumber, date, prior, picture: null };
}

/** An image with its label, and what stands behind it. */
function imageSegments(image: Labelled, wording: Wording): readonly Segment[] {
  const { picture, slice, slots, prior } = image;
  const after = slice !== null && !prior && wording.afterSlice !== '' ? fill(wording.afterSlice, slots) : wording.afterImage;
  return [
    { kind: 'image', label: labelOf(image, wording), ref: picture.ref, picture },
    { kind: 'text', text: after },
  ];
}

/** History, images and task in the wording's order; images stand inside the task where its text says so. */
function segmentsOf(history: string, images: readonly (readonly Segment[])[], { task, order }: Wording): readonly Segment[] {
  const isInside = placesImages(task);
  const [first = '', ...others] = isInside ? textsAround(task, images.length) : [task];
  const blocks: Record<Wording['order'][number], readonly Segment[]> = {
    history: [{ kind: 'text', text: history }],
    images: isInside ? [] : images.flat(),
    task: [{ kind: 'text', text: first }, ...others.flatMap((text, at): Segment[] => [...(images[at] ?? []), { kind: 'text', text }])],
  };
  return order.flatMap((block) => blocks[block]).filter((one) => one.kind === 'image' || one.text !== '');
}

/** @throws pixel-missing when no picture of the subject is given. */
export function buildPrompt(request: PromptRequest): Prompt {
  const { evidence, pictures, slices, wording, limits } = request;
  const isCurrent = ({ ref }: Picture) => ref.study === evidence.subject.study.uid;
  const current = pictures.filter(isCurrent);
  if (current.length === 0) {
    throw new WetreadError('pixel-missing', `found ${pictures.length} pictures and none of the study to be drafted, expected at least one`);
  }
  const choice = choosePictures(
    current,
    pictures.filter((picture) => !isCurrent(picture)),
    limits.maxImages,
  );
  const images = choice.pictures.map((picture, index): Labelled => {
    const prior = !isCurrent(picture);
    const slice = slices.get(imageKey(picture.ref)) ?? null;
    return { picture, slice, prior, slots: slotsOf(picture, slice, index + 1, prior, evidence) };
  });
  const history = historyText(evidence.history, wording, limits);
  return {
    segments: segmentsOf(
      history.text,
      images.map((image) => imageSegments(image, wording)),
      wording,
    ),
    images: images.map((image) => draftImage(image, wording)),
    warnings: [...choice.warnings, ...history.warnings, ...choice.pictures.flatMap(({ warnings }) => warnings)],
    history: history.kept,
    historyDigest: historyDigest(evidence.history),
  };
}

/** Segments as they cross to the engine: labels written out, adjacent texts joined. */
export function partsOf(segments: readonly Segment[]): readonly PromptPart[] {
  const parts: PromptPart[] = [];
  let text = '';
  for (const segment of segments) {
    if (segment.kind === 'text') {
      text += segment.text;
      continue;
    }
    text += segment.label;
    if (text !== '') parts.push({ kind: 'text', text });
    const { width, height, channels, pixels } = segment.picture;
    parts.push({ kind: 'image', image: { width, height, channels, pixels } });
    text = '';
  }
  return text === '' ? parts : [...parts, { kind: 'text', text }];
}
