/** What each kind of lesion covers of the chest: shares of 0..1 at a point in body coordinates (anatomy.ts). */
import { findingNames } from '#domain/finding.ts';
import { type Anatomy, cavity } from './anatomy.ts';
import { type Lesion, radiusOf } from './lesion.ts';
import { randomOf } from './random.ts';
import { ramp, smoothNoise } from './smooth.ts';

/** A lesion with what its drawing needs. */
export interface Shape {
  readonly lesion: Lesion;
  readonly kind: number;
  readonly radius: number;
  readonly stretch: number;
  readonly noise: (x: number, y: number) => number;
}

export function shapesOf(lesions: readonly Lesion[]): readonly Shape[] {
  return lesions
    .filter((lesion) => lesion.finding !== 'cardiomegaly')
    .map((lesion) => {
      const random = randomOf(`shape ${lesion.shape}`);
      return {
        lesion,
        kind: findingNames.indexOf(lesion.finding),
        radius: radiusOf(lesion),
        stretch: random.between(0.85, 1.18),
        noise: smoothNoise(`texture ${lesion.shape}`, 24),
      };
    });
}

export function onOtherSide(lesion: Lesion, u: number): boolean {
  return lesion.side === 'left' ? u < 0 : u > 0;
}

/** A pneumothorax is widest at the apex and ends above the base: 1 there, 0 here. */
function taperOf(lesion: Lesion, v: number): number {
  return 1 - ramp(v - (0.52 + 0.12 * lesion.size), 0.16);
}

/** Half width of the collapsed lung at v. */
function collapsedEdge(lesion: Lesion, taper: number, anatomy: Anatomy, breath: number, v: number): number {
  const depth = 0.1 + 0.17 * lesion.size;
  return cavity(anatomy.thorax * (1 - depth * taper), anatomy.apex + 0.06 + 0.1 * lesion.size, anatomy.base + breath, v);
}

/** A meniscus: high at the lateral wall, lower towards the mediastinum. */
function fluidAt(lesion: Lesion, anatomy: Anatomy, breath: number, across: number, v: number, wall: number): number {
  const x = Math.min(1, across / Math.max(wall, 0.05));
  const level = anatomy.base + breath - 0.125 - 0.33 * lesion.size + 0.11 * (1 - x * x);
  return ramp(v - level, 0.02);
}

/** Share of the lesion at a point, 0..1. `wall` = inner half width of the thorax there. */
export function shareAt(shape: Shape, anatomy: Anatomy, breath: number, u: number, v: number, wall: number): number {
  const { lesion } = shape;
  if (onOtherSide(lesion, u)) return 0;
  const across = Math.abs(u);
  if (lesion.finding === 'effusion') return fluidAt(lesion, anatomy, breath, across, v, wall);
  if (lesion.finding === 'pneumothorax') {
    const taper = taperOf(lesion, v);
    const edge = collapsedEdge(lesion, taper, anatomy, breath, v);
    return edge < wall ? ramp(across - edge, 0.005) * Math.min(1, taper * 12) : 0;
  }
  const dx = (u - lesion.u) * shape.stretch;
  const dy = (v - lesion.v) / shape.stretch;
  const distance = Math.sqrt(dx * dx + dy * dy) / shape.radius;
  if (lesion.finding === 'nodule')
    return distance >= 1.1 ? 0 : ramp(1 - distance, 0.14) * (0.65 + 0.35 * Math.sqrt(Math.max(0, 1 - distance * distance)));
  if (distance >= 1.6) return 0;
  const ragged = distance + 0.38 * shape.noise(u + 0.5, v);
  return ramp(1 - ragged, 0.42) * (0.8 + 0.3 * shape.noise(v, u + 0.5));
}

/** Thin bright line where the collapsed lung ends. */
export function pleuralLine(shape: Shape, anatomy: Anatomy, breath: number, u: number, v: number): number {
  const { lesion } = shape;
  if (lesion.finding !== 'pneumothorax' || onOtherSide(lesion, u)) return 0;
  const taper = taperOf(lesion, v);
  if (taper <= 0.02) return 0;
  const edge = collapsedEdge(lesion, taper, anatomy, breath, v);
  const distance = Math.abs(Math.abs(u) - edge + 0.003);
  return distance < 0.008 ? 1 - distance / 0.008 : 0;
}
