/**
 * How much a study bears on an order: a product from a small table, with the reasons in words.
 *
 * region x modality x side x age, + 2 when the order or a report names the study, + 1 when it is reported. A product of 0 is left out with
 * its reason unless the study is named. Not said is never 0: a header without a body part must not hide a study. Table: relevance-table.json.
 */
import type { Order, Side } from './order.ts';
import { isPaired, overlapOf } from './regions.ts';
import table from './relevance-table.json' with { type: 'json' };
import type { Study } from './study.ts';

export interface RelevanceFacts {
  /** YYYY-MM-DD. */
  readonly today: string;
  /** The order's supportingInfo or a prior report's comparison names this study. */
  readonly named: boolean;
  /** Study and order are of one encounter. */
  readonly currentEncounter: boolean;
}

export interface Relevance {
  /** 0 = left out; the reasons say why. */
  readonly score: number;
  readonly reasons: readonly string[];
}

type Factor = { readonly factor: number; readonly reason: string | null };

/** CR, DX and their kin are one kind of picture. */
export function isFilm(modality: string): boolean {
  return table.film.includes(modality);
}

/** A series of it is slices of one volume: CT, MR, PET. Images of any other kind are pictures by themselves. */
export function isCrossSectional(modality: string): boolean {
  return table.crossSectional.includes(modality);
}

/** Both name the same kind of picture. */
export function sameModality(a: string, b: string): boolean {
  return a === b || (isFilm(a) && isFilm(b));
}

function isImage(modality: string): boolean {
  return !table.notAnImage.includes(modality);
}

function regionFactor(order: readonly string[], study: readonly string[]): Factor {
  const overlap = overlapOf(order, study);
  const names = study.join(', ');
  const reasons = {
    same: `same region (${names})`,
    contained: `overlapping region (${names})`,
    neighbour: `neighbouring region (${names})`,
    none: `other region (${names})`,
    unknown: study.length === 0 ? 'the study does not say its region' : 'the order does not say a region',
  };
  return { factor: table.region[overlap], reason: reasons[overlap] };
}

function modalityPair(order: string, study: string): Factor {
  if (sameModality(order, study)) return { factor: table.modality.same, reason: `same modality (${study})` };
  const pair = [order, study];
  if (pair.every((modality) => table.crossSectional.includes(modality))) {
    return { factor: table.modality.crossSectional, reason: `both cross-sectional (${study})` };
  }
  if (pair.some(isFilm) && pair.includes('CT')) return { factor: table.modality.filmAndCt, reason: `film and CT (${study})` };
  return { factor: table.modality.other, reason: `other modality (${study})` };
}

function modalityFactor(order: string | null, study: readonly string[]): Factor {
  const images = study.filter(isImage);
  if (study.length > 0 && images.length === 0) return { factor: table.modality.notAnImage, reason: `no images (${study.join(', ')})` };
  if (order === null) return { factor: table.modality.unknown, reason: null };
  const pairs = images.map((modality) => modalityPair(order, modality)).sort((a, b) => b.factor - a.factor);
  return pairs[0] ?? { factor: table.modality.unknown, reason: 'the study does not say its modality' };
}

function opposite(a: Side | null, b: Side | null): boolean {
  return (a === 'left' && b === 'right') || (a === 'right' && b === 'left');
}

function sideFactor(order: Order, study: Study): Factor {
  const bothPaired = [...order.regions, ...study.regions].every(isPaired) && study.regions.length > 0;
  if (bothPaired && opposite(order.side, study.side)) return { factor: table.side.opposite, reason: `opposite side (${study.side})` };
  const same = order.side !== null && order.side === study.side;
  return { factor: table.side.otherwise, reason: same ? `same side (${study.side})` : null };
}

/** Whole days from one YYYY-MM-DD to another; negative when `to` is earlier, null when either is no full date. */
export function daysBetween(from: string, to: string): number | null {
  const [a, b] = [Date.parse(from), Date.parse(to)];
  if (!/^\d{4}-\d\d-\d\d$/.test(from) || !/^\d{4}-\d\d-\d\d$/.test(to) || Number.isNaN(a) || Number.isNaN(b)) return null;
  return Math.round((b - a) / 86_400_000);
}

function ageInWords(days: number): string {
  if (days === 0) return 'of today';
  if (days < 61) return days === 1 ? '1 day old' : `${days} days old`;
  return days < 730 ? `${Math.round(days / 30.44)} months old` : `${Math.floor(days / 365.25)} years old`;
}

function ageFactor(date: string | null, facts: RelevanceFacts): Factor {
  if (facts.currentEncounter) return { factor: table.currentEncounter, reason: 'same encounter' };
  const days = date === null ? null : daysBetween(date, facts.today);
  if (days === null) return { factor: table.ageUnknown, reason: 'date not known' };
  // One day of the future is a time zone, more is a wrong clock and tells nothing about age.
  if (days < -1) return { factor: table.ageUnknown, reason: 'dated in the future' };
  const row = table.age.find((step) => days <= step.years * 365.25);
  return { factor: row?.factor ?? table.ageOlder, reason: ageInWords(Math.max(days, 0)) };
}

/** Score and reasons of a study for an order. Pure; the same input gives the same words. */
export function relevanceOf(order: Order, study: Study, facts: RelevanceFacts): Relevance {
  const factors = [
    regionFactor(order.regions, study.regions),
    modalityFactor(order.modality, study.modalities),
    sideFactor(order, study),
    ageFactor(study.date, facts),
  ];
  const product = factors.reduce((value, { factor }) => value * factor, 1);
  if (product === 0 && !facts.named) {
    return { score: 0, reasons: factors.filter(({ factor }) => factor === 0).flatMap(({ reason }) => reason ?? []) };
  }
  const reported = study.report?.final === true;
  return {
    score: product + (facts.named ? table.named : 0) + (reported ? table.reported : 0),
    reasons: [
      ...factors.flatMap(({ reason }) => reason ?? []),
      ...(facts.named ? ['named by the order or a report'] : []),
      ...(reported ? ['reported'] : []),
    ],
  };
}
