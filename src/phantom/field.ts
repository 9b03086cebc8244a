/**
 * The smooth part of a film: what soft tissue, lungs, heart, diaphragm and lesions absorb, on a grid of 256 x 256.
 *
 * Edges in a chest film are soft (about 2 mm), so 256 points a side carry all of it; bones, vessels and noise are drawn at full size.
 * Also says, per lesion kind, where the lesion is: a grid of 18 x 18 for training and tests.
 */
import { findingNames } from '#domain/finding.ts';
import { type Anatomy, cavity, diaphragm, heartBorders, type Pose } from './anatomy.ts';
import { type Lesion, ratioOf } from './lesion.ts';
import { onOtherSide, pleuralLine, type Shape, shapesOf, shareAt } from './shapes.ts';
import { length, ramp, smoothNoise } from './smooth.ts';

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

/** Half width of the body at v: neck, shoulders, arms, then the torso's side. */
function bodyEdge(v: number, thorax: number): number {
  if (v < 0.05) return 0.13;
  if (v < 0.2) return 0.13 + 0.5 * ((v - 0.05) / 0.15) ** 1.4;
  if (v < 0.36) return 0.63;
  return thorax + 0.075 + 0.2 * Math.max(0, 1 - (v - 0.36) / 0.09) ** 2;
}

/** The heart of one film, in body coordinates. */
interface Heart {
  readonly right: number;
  readonly u: number;
  readonly v: number;
  readonly rx: number;
  readonly ry: number;
  readonly tilt: number;
}

function heartOf(anatomy: Anatomy, pose: Pose, lesions: readonly Lesion[]): Heart {
  const enlarged = lesions.find((lesion) => lesion.finding === 'cardiomegaly');
  const [right, left] = heartBorders(anatomy.thorax, enlarged === undefined ? anatomy.heartRatio : ratioOf(enlarged));
  const rx = (left - right) / 2;
  return { right, u: (right + left) / 2, v: anatomy.base - 0.185 + pose.breath, rx, ry: 0.125 + 0.17 * rx, tilt: anatomy.heartTilt };
}

/** Share of heart, great vessels and mediastinum, which leave no air in front of the spine. */
function solidAt(anatomy: Anatomy, heart: Heart, u: number, v: number): number {
  const side = Math.abs(u);
  // The mediastinum widens to the great vessels above.
  const narrow = u < 0 ? 0.046 : 0.05 - 0.008 * ramp(v - 0.42, 0.06);
  const middle = ramp(narrow + 0.05 * Math.max(0, 0.25 - v) - side, 0.014);
  const knob = ramp(anatomy.knob - length(u - 0.042, (v - 0.315) * 0.85), 0.012);
  const trunk = ramp(1 - length((u - 0.03) / 0.062, (v - 0.48) / 0.12), 0.16);
  const hilum = 0.5 * ramp(1 - length((side - 0.062) / 0.036, (v - 0.43) / 0.055), 0.5);
  const hx = (u - heart.u) / heart.rx;
  const hy = (v - heart.v - heart.tilt * 0.3 * (u - heart.u)) / heart.ry;
  const ventricle = ramp(1 - Math.sqrt(hx * hx + hy * hy), 0.07);
  const ax = (u - heart.right * 0.45) / (-heart.right * 0.55);
  const ay = (v - heart.v + 0.03) / (heart.ry * 0.95);
  const atrium = ramp(1 - Math.sqrt(ax * ax + ay * ay), 0.09);
  return Math.max(middle * 0.95, knob * 0.85, trunk * 0.86, Math.max(ventricle, atrium) * 0.88, hilum);
}

/** Depth of aerated lung at a point, before heart and lesions. */
function lungAt(anatomy: Anatomy, breath: number, u: number, v: number, wall: number): number {
  const side = Math.abs(u);
  const lung = wall > 0.02 ? ramp(wall - side, 0.008) * ramp(diaphragm(anatomy, breath, u) - v, 0.007) : 0;
  return lung > 0 ? lung * (0.45 + 0.55 * Math.sqrt(Math.max(0, 1 - (side / Math.max(wall, 0.05)) ** 2))) : lung;
}

/** Gas and breasts: what soft tissue has less or more of, apart from lung. */
function softPartsAt(anatomy: Anatomy, stomachTop: number, u: number, v: number): number {
  const side = Math.abs(u);
  const bx = (u - 0.17) / 0.075;
  const by = (v - stomachTop - 0.045) / 0.03;
  let value = -0.3 * anatomy.bubble * ramp(1 - Math.sqrt(bx * bx + by * by), 0.35);
  // Trachea, then the main bronchi.
  if (v < 0.38) value -= 0.13 * ramp(0.019 - Math.abs(u - 0.004), 0.007) * ramp(0.37 - v, 0.02);
  else if (v < 0.45) value -= 0.07 * ramp(0.014 - Math.abs(side - (v - 0.37) * 1.1), 0.007);
  if (anatomy.female) {
    const breast = length((side - 0.21) / 0.17, (v - 0.62) / 0.17);
    value += 0.07 * ramp(1 - breast, 0.1) * (v > 0.6 ? 1 : ramp(v - 0.52, 0.08));
  }
  return value;
}

/** One point of the field while lesions are put into it; one object is used for all points. */
interface Point {
  u: number;
  v: number;
  wall: number;
  /** Absorption so far, air so far, and the share of vessels that is left. */
  value: number;
  air: number;
  vessels: number;
}

/** Puts a lesion into the point. @returns the share of it that is seen there */
function addLesion(shape: Shape, anatomy: Anatomy, breath: number, point: Point): number {
  const { u, v, wall, air } = point;
  const { finding } = shape.lesion;
  const share = air > 0 || finding === 'effusion' ? shareAt(shape, anatomy, breath, u, v, wall) : 0;
  const line = air > 0 ? pleuralLine(shape, anatomy, breath, u, v) : 0;
  if (share === 0 && line === 0) {
    // What is left of the collapsed lung is a little denser.
    if (finding === 'pneumothorax' && !onOtherSide(shape.lesion, u)) point.value += 0.02 * air;
    return 0;
  }
  if (finding === 'effusion') point.air *= 1 - 0.94 * share;
  else if (finding === 'consolidation') point.air *= 1 - 0.72 * share;
  else if (finding === 'nodule') {
    point.value += 0.2 * share * air;
    point.air *= 1 - 0.35 * share;
  } else {
    // Free air: no vessels and somewhat darker than lung; the collapsed lung's edge is a fine line.
    point.value += (0.12 * line - 0.2 * share) * Math.min(1, air * 1.6);
    point.vessels *= 1 - share;
  }
  return share * Math.min(1, air * 1.6);
}

export function makeField(anatomy: Anatomy, pose: Pose, lesions: readonly Lesion[]): Field {
  const size = fieldSize;
  const field = {
    density: new Float32Array(size * size),
    air: new Float32Array(size * size),
    map: new Float32Array(findingNames.length * mapSize * mapSize),
  };
  const { breath } = pose;
  const shapes = shapesOf(lesions);
  const heart = heartOf(anatomy, pose, lesions);
  const stomachTop = diaphragm(anatomy, breath, 0.17);
  const tissue = smoothNoise(`tissue ${anatomy.seed}`, 9);
  const cosine = Math.cos(pose.rotation) / pose.scale;
  const sine = Math.sin(pose.rotation) / pose.scale;
  const point: Point = { u: 0, v: 0, wall: 0, value: 0, air: 0, vessels: 1 };
  for (let at = 0; at < size * size; at += 1) {
    const row = Math.floor(at / size);
    const column = at - row * size;
    const x = (column + 0.5) / size - 0.5 - pose.shiftU;
    const y = (row + 0.5) / size - 0.5 - pose.shiftV;
    const u = x * cosine + y * sine;
    const v = y * cosine - x * sine + 0.5;
    const side = Math.abs(u);
    const edge = bodyEdge(v, anatomy.thorax);
    const body = ramp(edge - side, 0.012);
    if (body === 0) continue;
    const profile = Math.sqrt(Math.max(0.02, 1 - (side / Math.max(edge, 0.2)) ** 2));
    point.u = u;
    point.v = v;
    point.wall = cavity(anatomy.thorax, anatomy.apex, anatomy.base + breath, v);
    point.value = anatomy.tissue * (0.36 + 0.62 * profile) * (0.75 + 0.25 * Math.min(1, v * 2)) + 0.035 * tissue(u + 0.5, v);
    point.air = lungAt(anatomy, breath, u, v, point.wall) * (1 - solidAt(anatomy, heart, u, v));
    point.vessels = 1;
    for (const shape of shapes) {
      const seen = addLesion(shape, anatomy, breath, point);
      const cell = (shape.kind * mapSize + Math.floor((row / size) * mapSize)) * mapSize + Math.floor((column / size) * mapSize);
      if (seen > (field.map[cell] ?? 0)) field.map[cell] = seen;
    }
    field.density[at] = (point.value * (1 - 0.66 * point.air) + softPartsAt(anatomy, stomachTop, u, v)) * body;
    field.air[at] = point.air * body * point.vessels;
  }
  return field;
}
