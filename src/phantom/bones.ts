/**
 * Bones and lung vessels of a film, drawn at full size into one layer: ribs, clavicles, spine, shoulders; branching vessels.
 *
 * A rib is drawn column by column: its centre line is a function of u, its profile a tube with bright rims (cortical bone).
 */
import { type Anatomy, cavity, type Pose } from './anatomy.ts';
import { type Random, randomOf } from './random.ts';
import { length } from './smooth.ts';

/** A layer of the film, size x size, in the pose's place. */
export interface Layer {
  readonly size: number;
  readonly values: Float32Array;
  readonly pose: Pose;
}

/** Adds a tube's cross-section at one point of its centre line, perpendicular taken as vertical. */
function stroke(layer: Layer, u: number, v: number, half: number, density: number, rim: number): void {
  const { size, pose } = layer;
  const cosine = Math.cos(pose.rotation) * pose.scale;
  const sine = Math.sin(pose.rotation) * pose.scale;
  const x = Math.round((u * cosine - (v - 0.5) * sine + 0.5 + pose.shiftU) * size - 0.5);
  if (x < 0 || x >= size) return;
  const centre = ((v - 0.5) * cosine + u * sine + 0.5 + pose.shiftV) * size - 0.5;
  const reach = half * size * pose.scale;
  const first = Math.max(0, Math.ceil(centre - reach - 1));
  const last = Math.min(size - 1, Math.floor(centre + reach + 1));
  for (let y = first; y <= last; y += 1) {
    const d = Math.abs(y - centre) / reach;
    const inside = d >= 1 ? Math.max(0, 1 - (d - 1) * reach) : 1;
    const profile = d < 1 ? 0.55 + 0.45 * Math.sqrt(1 - d * d) : 0.55;
    const edge = d > 0.62 ? rim * Math.max(0, 1 - Math.abs(d - 0.85) / 0.25) : 0;
    const at = y * size + x;
    layer.values[at] = (layer.values[at] ?? 0) + density * inside * (profile + edge);
  }
}

/** Follows a centre line over u from `from` to `to`, one column of the film at a time. */
function tube(
  layer: Layer,
  from: number,
  to: number,
  line: (t: number) => { v: number; half: number; density: number },
  rim: number,
): void {
  const steps = Math.max(1, Math.ceil(Math.abs(to - from) * layer.size * layer.pose.scale * Math.cos(layer.pose.rotation)));
  for (let step = 0; step <= steps; step += 1) {
    const t = step / steps;
    const { v, half, density } = line(t);
    stroke(layer, from + (to - from) * t, v, half, density, rim);
  }
}

function ribs(layer: Layer, anatomy: Anatomy): void {
  const { ribGap, ribWidth, ribTilt, ribDensity } = anatomy;
  for (const side of [-1, 1]) {
    for (let number = 0; number < 10; number += 1) {
      const start = 0.13 + number * ribGap;
      const tilt = ribTilt * (0.35 + 0.1 * number);
      const lateral = Math.min(start + tilt, 0.86);
      const reach = Math.max(cavity(anatomy.thorax, anatomy.apex - 0.02, anatomy.base, lateral), 0.1) + 0.006;
      tube(
        layer,
        side * 0.035,
        side * reach,
        (t) => ({
          v: start - 0.035 * Math.sin(Math.min(1, t * 1.3) * Math.PI) * (1 - number * 0.04) + tilt * t * t,
          half: ribWidth * (1 - 0.2 * t),
          density: ribDensity,
        }),
        0.28,
      );
      if (number >= 8) continue;
      const drop = 0.1 + 0.008 * number;
      tube(
        layer,
        side * reach,
        side * (0.13 + 0.01 * number),
        (t) => ({
          v: lateral + drop * Math.sqrt(t) * (0.55 + 0.45 * t),
          half: ribWidth * 1.1,
          density: ribDensity * 0.62 * (1 - 0.75 * t ** 3),
        }),
        0.3,
      );
    }
  }
}

function shoulders(layer: Layer, anatomy: Anatomy): void {
  for (const side of [-1, 1]) {
    tube(
      layer,
      side * 0.028,
      side * 0.37,
      (t) => ({
        v: 0.2 - 0.075 * t - 0.018 * Math.sin(t * 2 * Math.PI),
        half: 0.0125 + 0.004 * (1 - t) * (1 - t),
        density: 0.15 * (anatomy.boneDensity / 0.12),
      }),
      0.25,
    );
    // The scapula's blade, mostly beside the lung, and the head of the humerus.
    tube(layer, side * 0.345, side * 0.41, (t) => ({ v: 0.34 + 0.1 * t, half: 0.16 - 0.05 * t, density: 0.045 }), 0.3);
    tube(layer, side * 0.41, side * 0.51, (t) => ({ v: 0.17, half: 0.01 + 0.052 * Math.sqrt(1 - (2 * t - 1) ** 2), density: 0.2 }), 0.25);
  }
}

function spine(layer: Layer, anatomy: Anatomy): void {
  const { size, pose } = layer;
  const height = 0.054;
  for (let y = 0; y < size; y += 1) {
    const w = (y + 0.5) / size - 0.5 - pose.shiftV;
    for (let x = Math.floor(size * 0.38); x < size * 0.62; x += 1) {
      const z = (x + 0.5) / size - 0.5 - pose.shiftU;
      const u = (z * Math.cos(pose.rotation) + w * Math.sin(pose.rotation)) / pose.scale;
      const v = (w * Math.cos(pose.rotation) - z * Math.sin(pose.rotation)) / pose.scale + 0.5;
      const half = 0.032 + 0.01 * v;
      const d = Math.abs(u) / half;
      if (d >= 1.15) continue;
      const phase = (v / height) % 1;
      const disc = Math.abs(phase - 0.5) > 0.42 ? 0.45 : 1;
      const pedicle = length((Math.abs(u) - half * 0.62) / 0.007, (phase - 0.3) * 6) < 1 ? 0.3 : 0;
      const process = Math.abs(u) < 0.006 && phase > 0.35 && phase < 0.75 ? 0.35 : 0;
      const rim = d > 0.82 && d < 1 ? 0.35 : 0;
      const at = y * size + x;
      layer.values[at] =
        (layer.values[at] ?? 0) + anatomy.boneDensity * (d < 1 ? 0.6 * disc + rim * disc + pedicle + process : (1.15 - d) * 2);
    }
  }
}

export function drawBones(layer: Layer, anatomy: Anatomy): void {
  ribs(layer, anatomy);
  shoulders(layer, anatomy);
  spine(layer, anatomy);
}

/** One vessel from the hilum outwards; it thins and splits. */
function vessel(layer: Layer, random: Random, u: number, v: number, angle: number, half: number, density: number): void {
  const { size, pose, values } = layer;
  const step = 0.9 / size;
  const reached = random.between(0.05, 0.1);
  const cosine = Math.cos(pose.rotation) * pose.scale;
  const sine = Math.sin(pose.rotation) * pose.scale;
  const bend = random.between(-4, 4);
  let [x, y, direction] = [u, v, angle];
  for (let gone = 0; gone < reached; gone += step) {
    direction += bend * step;
    x += Math.cos(direction) * step;
    y += Math.sin(direction) * step;
    const px = (x * cosine - (y - 0.5) * sine + 0.5 + pose.shiftU) * size - 0.5;
    const py = ((y - 0.5) * cosine + x * sine + 0.5 + pose.shiftV) * size - 0.5;
    const reach = half * size;
    for (let row = Math.max(0, Math.floor(py - reach)); row <= Math.min(size - 1, Math.ceil(py + reach)); row += 1) {
      for (let column = Math.max(0, Math.floor(px - reach)); column <= Math.min(size - 1, Math.ceil(px + reach)); column += 1) {
        const distance = length(column - px, row - py) / (reach + 0.5);
        if (distance >= 1) continue;
        const at = row * size + column;
        values[at] = Math.max(values[at] ?? 0, density * (1 - distance * distance));
      }
    }
  }
  if (half < 0.0016 || Math.abs(x) > 0.36) return;
  const spread = random.between(0.25, 0.5);
  vessel(layer, random, x, y, direction + spread, half * random.between(0.6, 0.8), density * 0.88);
  vessel(layer, random, x, y, direction - spread, half * random.between(0.6, 0.8), density * 0.88);
}

/** Draws the vessels of both lungs; seen only where there is air (the film multiplies). */
export function drawVessels(layer: Layer, anatomy: Anatomy): void {
  const random = randomOf(`vessels ${anatomy.seed}`);
  for (const side of [-1, 1]) {
    for (let number = 0; number < 8; number += 1) {
      const angle = -1.25 + (2.5 * (number + random.between(-0.3, 0.3))) / 7;
      const direction = side > 0 ? angle : Math.PI - angle;
      vessel(layer, random, side * 0.06, 0.44 + 0.03 * Math.sin(angle), direction, 0.0062, 0.16 * anatomy.vessels);
    }
  }
}
