/**
 * The anatomy of one synthetic patient's chest, as numbers, and the pose of one exposure.
 *
 * Body coordinates: u to the image's right (the patient's left is positive), 0 at the spine; v downwards, 0 at the film's upper edge,
 * 1 at the lower; one unit is the film's side (about 400 mm). The same patient has the same anatomy on every film; pose differs.
 */
import { type Random, randomOf } from './random.ts';

export interface Anatomy {
  readonly seed: string;
  readonly female: boolean;
  /** Half of the widest inner thorax. */
  readonly thorax: number;
  readonly apex: number;
  /** v of the lateral costophrenic angles, and the height of the domes above them. */
  readonly base: number;
  readonly dome: number;
  /** How much lower the left dome is. */
  readonly domeShift: number;
  /** Cardiothoracic ratio of the healthy heart. */
  readonly heartRatio: number;
  readonly heartTilt: number;
  readonly knob: number;
  readonly ribGap: number;
  readonly ribWidth: number;
  readonly ribTilt: number;
  readonly ribDensity: number;
  readonly boneDensity: number;
  readonly vessels: number;
  readonly bubble: number;
  readonly tissue: number;
}

export interface Pose {
  readonly shiftU: number;
  readonly shiftV: number;
  readonly scale: number;
  readonly rotation: number;
  /** Raises (negative) or lowers the diaphragm. */
  readonly breath: number;
  readonly exposure: number;
  readonly contrast: number;
  readonly noise: number;
  readonly grain: number;
  readonly marker: 'L' | 'R';
}

export function anatomyOf(seed: string, female: boolean): Anatomy {
  const random: Random = randomOf(`anatomy ${seed}`);
  return {
    seed,
    female,
    thorax: random.between(0.345, 0.385),
    apex: random.between(0.1, 0.125),
    base: random.between(0.81, 0.85),
    dome: random.between(0.085, 0.12),
    domeShift: random.between(0.012, 0.04),
    heartRatio: random.between(0.4, 0.48),
    heartTilt: random.between(0.2, 0.5),
    knob: random.between(0.03, 0.042),
    ribGap: random.between(0.058, 0.066),
    ribWidth: random.between(0.0095, 0.0125),
    ribTilt: random.between(0.05, 0.11),
    ribDensity: random.between(0.07, 0.105),
    boneDensity: random.between(0.09, 0.14),
    vessels: random.between(0.8, 1.2),
    bubble: random.between(0.4, 1),
    tissue: random.between(0.9, 1.1),
  };
}

export function poseOf(seed: string): Pose {
  const random = randomOf(`pose ${seed}`);
  return {
    shiftU: random.between(-0.025, 0.025),
    shiftV: random.between(-0.025, 0.025),
    scale: random.between(0.95, 1.05),
    rotation: random.between(-0.045, 0.045),
    breath: random.between(-0.02, 0.02),
    exposure: random.between(-0.06, 0.06),
    contrast: random.between(0.9, 1.1),
    noise: random.between(0.6, 1.4),
    grain: random.between(0.6, 1.4),
    marker: random.pick(['L', 'R']),
  };
}

/** Half width of the inner thorax at v; 0 above the apex. */
export function cavity(thorax: number, apex: number, base: number, v: number): number {
  const middle = base - 0.08;
  if (v >= middle) return thorax * (1 - 0.18 * (v - middle));
  const t = (middle - v) / (middle - apex);
  return t >= 1 ? 0 : thorax * Math.sqrt(1 - t ** 2.5);
}

/** v of the diaphragm at u (body coordinates). */
export function diaphragm(anatomy: Anatomy, breath: number, u: number): number {
  const across = (Math.abs(u) - 0.15) / (anatomy.thorax - 0.13);
  const shift = u > 0 ? anatomy.domeShift : 0;
  return anatomy.base + breath + shift * 0.8 - anatomy.dome * (1 - across * across * (across > 0 ? 1 : 0.25));
}

/** Borders of the heart at its widest: u of the right border (negative) and of the left one. `ratio` = cardiothoracic ratio. */
export function heartBorders(thorax: number, ratio: number): readonly [number, number] {
  const width = 2 * thorax * ratio;
  return [-0.31 * width, 0.69 * width];
}
