/**
 * Lesions of a synthetic film: what, where and how large, in the anatomy's coordinates; and how they change between two films.
 *
 * Size is 0..1 within the range of each finding. A change is by a factor that an eye can see; `unchanged` keeps the size to 4 %.
 */
import type { Change, FindingName, Zone } from '#domain/finding.ts';
import { type Anatomy, heartBorders } from './anatomy.ts';
import type { Random } from './random.ts';

export interface Lesion {
  readonly finding: FindingName;
  /** The patient's side; null for the heart. */
  readonly side: 'left' | 'right' | null;
  /** null where a zone says nothing (effusion, pneumothorax, heart). */
  readonly site: Zone | null;
  /** 0..1, see above. */
  readonly size: number;
  /** Centre in body coordinates; 0 where the anatomy decides. */
  readonly u: number;
  readonly v: number;
  /** Seed of its shape, the same on both films. */
  readonly shape: number;
}

export interface ChangedLesion {
  readonly current: Lesion | null;
  readonly prior: Lesion | null;
  /** null when there is no prior film. */
  readonly change: Change | null;
}

const zoneRange: { readonly [zone in Zone]: readonly [number, number] } = {
  upper: [0.23, 0.33],
  middle: [0.41, 0.51],
  lower: [0.59, 0.67],
};

/** Radius (nodule, consolidation) in body units. */
export function radiusOf(lesion: Lesion): number {
  return lesion.finding === 'nodule' ? 0.03 + 0.035 * lesion.size : 0.07 + 0.06 * lesion.size;
}

/** Cardiothoracic ratio of an enlarged heart. */
export function ratioOf(lesion: Lesion): number {
  return 0.57 + 0.11 * lesion.size;
}

export function sizeWord(lesion: Lesion): 'small' | 'large' {
  return lesion.size < 0.5 ? 'small' : 'large';
}

/** A place inside the lung that neither wall nor a healthy heart hides. */
function place(anatomy: Anatomy, random: Random, side: 'left' | 'right', site: Zone, radius: number): { u: number; v: number } {
  const [low, high] = zoneRange[site];
  const v = random.between(low, high);
  const [right, left] = heartBorders(anatomy.thorax, anatomy.heartRatio);
  const heart = side === 'left' ? left : -right;
  const inner = site === 'lower' ? heart + 0.25 * radius : 0.1;
  const outer = anatomy.thorax * (site === 'upper' ? 0.72 : 0.88) - 0.7 * radius;
  const u = inner < outer ? random.between(inner, outer) : (inner + outer) / 2;
  return { u: side === 'left' ? u : -u, v };
}

export function makeLesion(anatomy: Anatomy, random: Random, finding: FindingName, side: 'left' | 'right', site: Zone): Lesion {
  // Sizes avoid the middle, so that "small" and "large" can be told apart by eye.
  const size = random.chance(0.5) ? random.between(0, 0.38) : random.between(0.62, 1);
  const shape = random.integer(1, 1_000_000);
  if (finding === 'cardiomegaly') return { finding, side: null, site: null, size, u: 0, v: 0, shape };
  if (finding === 'effusion' || finding === 'pneumothorax') return { finding, side, site: null, size, u: 0, v: 0, shape };
  const radius = radiusOf({ finding, side, site, size, u: 0, v: 0, shape });
  return { finding, side, site, size, shape, ...place(anatomy, random, side, site, radius) };
}

/** Sets a lesion against a prior film. The current lesion's size is kept unless the change forbids it. */
export function withChange(random: Random, lesion: Lesion, change: Change): ChangedLesion {
  if (change === 'new') return { current: lesion, prior: null, change };
  if (change === 'resolved') return { current: null, prior: lesion, change };
  if (change === 'unchanged') {
    return { current: lesion, prior: { ...lesion, size: Math.min(1, Math.max(0, lesion.size + random.between(-0.04, 0.04))) }, change };
  }
  const small = { ...lesion, size: random.between(0, 0.25) };
  const large = { ...lesion, size: random.between(0.75, 1) };
  return change === 'larger' ? { current: large, prior: small, change } : { current: small, prior: large, change };
}
