/**
 * The smooth part of a film: what soft tissue, lungs, heart, diaphragm and lesions absorb, on a grid of 256 x 256.
 *
 * Edges in a chest film are soft (about 2 mm), so 256 points a side carry all of it; bones, vessels and noise are drawn at full size.
 * Also says, per lesion kind, where the lesion is: a grid of 18 x 18 for training and tests.
 */
import { findingNames } from '#domain/finding.ts';
import { type Anatomy, cavity, diaphragm, heartBorders, type Pose } from './anatomy.ts';
import { type Lesion, radiusOf, ratioOf } from './lesion.ts';
import { randomOf } from './random.ts';

export const fieldSize = 256;
export const mapSize = 18;

export interface Field {
  /** Absorption, fieldSize x fieldSize: about 0.3 in the lung, 1 in the abdomen. */
  readonly density: Float32Array;
  /** Share of aerated lung, 0..1: vessels are seen only there. */
  readonly air: Float32Array;
  /** findings x mapSize x mapSize: largest share of a lesion in each cell. */
  readonly map: Float32Array;
}

/** Math.hypot is several times slower. */
export function length(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
}

/** 0 below -width, 1 above width, smooth between. */
export function ramp(value: number, width: number): number {
  if (value <= -width) return 0;
  if (value >= width) return 1;
  const t = (value / width + 1) / 2;
  return t * t * (3 - 2 * t);
}

/** Value noise: `grid` x `grid` random values, bilinear; `at(x, y)` with x, y in 0..1 gives -1..1. */
export function smoothNoise(seed: string, grid: number): (x: number, y: number) => number {
  const random = randomOf(seed);
  const side = grid + 2;
  const values = new Float32Array(side * side);
  for (let index = 0; index < values.length; index += 1) values[index] = random.between(-1, 1);
  return (x, y) => {
    const gx = Math.min(Math.max(x, 0), 0.9999) * grid;
    const gy = Math.min(Math.max(y, 0), 0.9999) * grid;
    const ix = Math.floor(gx);
    const iy = Math.floor(gy);
    const fx = gx - ix;
    const fy = gy - iy;
    const at = iy * side + ix;
    const top = (values[at] ?? 0) * (1 - fx) + (values[at + 1] ?? 0) * fx;
    const low = (values[at + side] ?? 0) * (1 - fx) + (values[at + side + 1] ?? 0) * fx;
    return top * (1 - fy) + low * fy;
  };
}

interface Shape {
  readonly lesion: Lesion;
  readonly kind: number;
  readonly radius: number;
  readonly stretch: number;
  readonly noise: (x: number, y: number) => number;
}

function shapesOf(lesions: readonly Lesion[]): readonly Shape[] {
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

/** Share of the lesion at a point, 0..1. `wall` = inner half width of the thorax there. */
function shareAt(shape: Shape, anatomy: Anatomy, breath: number, u: number, v: number, wall: number): number {
  const { lesion } = shape;
  if (lesion.side === 'left' ? u < 0 : u > 0) return 0;
  const across = Math.abs(u);
  if (lesion.finding === 'effusion') {
    // A meniscus: high at the lateral wall, lower towards the mediastinum.
    const x = Math.min(1, across / Math.max(wall, 0.05));
    const level = anatomy.base + breath - 0.125 - 0.33 * lesion.size + 0.11 * (1 - x * x);
    return ramp(v - level, 0.02);
  }
  if (lesion.finding === 'pneumothorax') {
    const depth = 0.1 + 0.17 * lesion.size;
    const taper = 1 - ramp(v - (0.52 + 0.12 * lesion.size), 0.16);
    const edge = cavity(anatomy.thorax * (1 - depth * taper), anatomy.apex + 0.06 + 0.1 * lesion.size, anatomy.base + breath, v);
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
function pleuralLine(shape: Shape, anatomy: Anatomy, breath: number, u: number, v: number): number {
  const { lesion } = shape;
  if (lesion.finding !== 'pneumothorax' || (lesion.side === 'left' ? u < 0 : u > 0)) return 0;
  const depth = 0.1 + 0.17 * lesion.size;
  const taper = 1 - ramp(v - (0.52 + 0.12 * lesion.size), 0.16);
  if (taper <= 0.02) return 0;
  const edge = cavity(anatomy.thorax * (1 - depth * taper), anatomy.apex + 0.06 + 0.1 * lesion.size, anatomy.base + breath, v);
  const distance = Math.abs(Math.abs(u) - edge + 0.003);
  return distance < 0.008 ? 1 - distance / 0.008 : 0;
}

/** Half width of the body at v: neck, shoulders, arms, then the torso's side. */
function bodyEdge(v: number, thorax: number): number {
  if (v < 0.05) return 0.13;
  if (v < 0.2) return 0.13 + 0.5 * ((v - 0.05) / 0.15) ** 1.4;
  if (v < 0.36) return 0.63;
  return thorax + 0.075 + 0.2 * Math.max(0, 1 - (v - 0.36) / 0.09) ** 2;
}

export function makeField(anatomy: Anatomy, pose: Pose, lesions: readonly Lesion[]): Field {
  const size = fieldSize;
  const density = new Float32Array(size * size);
  const airField = new Float32Array(size * size);
  const map = new Float32Array(findingNames.length * mapSize * mapSize);
  const shapes = shapesOf(lesions);
  const heart = lesions.find((lesion) => lesion.finding === 'cardiomegaly');
  const ratio = heart === undefined ? anatomy.heartRatio : ratioOf(heart);
  const [right, left] = heartBorders(anatomy.thorax, ratio);
  const heartU = (right + left) / 2;
  const heartRx = (left - right) / 2;
  const heartV = anatomy.base - 0.185 + pose.breath;
  const heartRy = 0.125 + 0.17 * heartRx;
  const tissue = smoothNoise(`tissue ${anatomy.seed}`, 9);
  const cosine = Math.cos(pose.rotation) / pose.scale;
  const sine = Math.sin(pose.rotation) / pose.scale;
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const x = (column + 0.5) / size - 0.5 - pose.shiftU;
      const y = (row + 0.5) / size - 0.5 - pose.shiftV;
      const u = x * cosine + y * sine;
      const v = y * cosine - x * sine + 0.5;
      const at = row * size + column;
      const side = Math.abs(u);
      const edge = bodyEdge(v, anatomy.thorax);
      const body = ramp(edge - side, 0.012);
      if (body === 0) continue;
      const profile = Math.sqrt(Math.max(0.02, 1 - (side / Math.max(edge, 0.2)) ** 2));
      let value = anatomy.tissue * (0.36 + 0.62 * profile) * (0.75 + 0.25 * Math.min(1, v * 2)) + 0.035 * tissue(u + 0.5, v);

      const wall = cavity(anatomy.thorax, anatomy.apex, anatomy.base + pose.breath, v);
      const floor = diaphragm(anatomy, pose.breath, u);
      let lung = wall > 0.02 ? ramp(wall - side, 0.008) * ramp(floor - v, 0.007) : 0;
      if (lung > 0) {
        const depth = 0.45 + 0.55 * Math.sqrt(Math.max(0, 1 - (side / Math.max(wall, 0.05)) ** 2));
        lung *= depth;
      }
      // Mediastinum, widening to the great vessels above and the hila in the middle.
      const narrow = u < 0 ? 0.046 : 0.05 - 0.008 * ramp(v - 0.42, 0.06);
      const middle = ramp(narrow + 0.05 * Math.max(0, 0.25 - v) - side, 0.014);
      const knob = ramp(anatomy.knob - length(u - 0.042, (v - 0.315) * 0.85), 0.012);
      const trunk = ramp(1 - length((u - 0.03) / 0.062, (v - 0.48) / 0.12), 0.16);
      const hx = (u - heartU) / heartRx;
      const hy = (v - heartV - anatomy.heartTilt * 0.3 * (u - heartU)) / heartRy;
      const ventricle = ramp(1 - Math.sqrt(hx * hx + hy * hy), 0.07);
      const ax = (u - right * 0.45) / (-right * 0.55);
      const ay = (v - heartV + 0.03) / (heartRy * 0.95);
      const atrium = ramp(1 - Math.sqrt(ax * ax + ay * ay), 0.09);
      const hilum = 0.5 * ramp(1 - length((side - 0.062) / 0.036, (v - 0.43) / 0.055), 0.5);
      const heartShare = Math.max(ventricle, atrium);
      const solid = Math.max(middle * 0.95, knob * 0.85, trunk * 0.86, heartShare * 0.88, hilum);
      let air = lung * (1 - solid);
      let vessels = 1;

      for (const shape of shapes) {
        const share = air > 0 || shape.lesion.finding === 'effusion' ? shareAt(shape, anatomy, pose.breath, u, v, wall) : 0;
        const line = air > 0 ? pleuralLine(shape, anatomy, pose.breath, u, v) : 0;
        if (share === 0 && line === 0) {
          if (shape.lesion.finding === 'pneumothorax' && (shape.lesion.side === 'left' ? u > 0 : u < 0)) value += 0.02 * air;
          continue;
        }
        const seen = share * Math.min(1, air * 1.6);
        const cell = shape.kind * mapSize * mapSize + Math.floor((row / size) * mapSize) * mapSize + Math.floor((column / size) * mapSize);
        map[cell] = Math.max(map[cell] ?? 0, seen);
        if (shape.lesion.finding === 'effusion') {
          air *= 1 - 0.94 * share;
        } else if (shape.lesion.finding === 'consolidation') {
          air *= 1 - 0.72 * share;
        } else if (shape.lesion.finding === 'nodule') {
          value += 0.2 * share * air;
          air *= 1 - 0.35 * share;
        } else {
          // Free air: no vessels and somewhat darker than lung; the collapsed lung's edge is a fine line.
          value += (0.12 * line - 0.2 * share) * Math.min(1, air * 1.6);
          vessels *= 1 - share;
        }
      }
      value *= 1 - 0.66 * air;
      // Beneath the left dome lies the stomach's gas.
      const bx = (u - 0.17) / 0.075;
      const by = (v - diaphragm(anatomy, pose.breath, 0.17) - 0.045) / 0.03;
      value -= 0.3 * anatomy.bubble * ramp(1 - Math.sqrt(bx * bx + by * by), 0.35);
      // Trachea and main bronchi.
      if (v < 0.38) value -= 0.13 * ramp(0.019 - Math.abs(u - 0.004), 0.007) * ramp(0.37 - v, 0.02);
      else if (v < 0.45) value -= 0.07 * ramp(0.014 - Math.abs(side - (v - 0.37) * 1.1), 0.007);
      if (anatomy.female) {
        const breast = length((side - 0.21) / 0.17, (v - 0.62) / 0.17);
        value += 0.07 * ramp(1 - breast, 0.1) * (v > 0.6 ? 1 : ramp(v - 0.52, 0.08));
      }
      density[at] = value * body;
      airField[at] = air * body * vessels;
    }
  }
  return { density, air: airField, map };
}
