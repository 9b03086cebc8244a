/**
 * A synthetic chest film, PA, as a digital detector gives it for presentation: 12 bits, bright = dense (MONOCHROME2).
 *
 * A function of anatomy, pose, lesions and seed. Not physics: a picture that shows what it is called, for demonstration, tests and training.
 * Image left is the patient's right, as films are hung.
 */
import { type Anatomy, type Pose, poseOf } from './anatomy.ts';
import { drawBones, drawVessels, type Layer } from './bones.ts';
import { type Field, fieldSize, makeField } from './field.ts';
import type { Lesion } from './lesion.ts';
import { randomOf } from './random.ts';
import { smoothNoise } from './smooth.ts';

export interface Film {
  readonly size: number;
  /** size x size, rows from the top, 0..4095. */
  readonly pixels: Uint16Array;
  /** Where lesions are: findings (order of findingNames) x 18 x 18, 0..1. */
  readonly map: Float32Array;
  /** Side of a pixel at the detector in mm. */
  readonly spacingMm: number;
  readonly pose: Pose;
}

/** Side of the detector. */
const fieldMm = 400;

/** Normal deviates, made once: a film takes them from a seeded place on. */
const deviates = ((): Float32Array => {
  const random = randomOf('deviates');
  const table = new Float32Array(1 << 16);
  for (let index = 0; index < table.length; index += 1) table[index] = random.normal();
  return table;
})();

const glyphs = {
  L: ['10000', '10000', '10000', '10000', '10000', '10000', '11111'],
  R: ['11110', '10001', '10001', '11110', '10100', '10010', '10001'],
} as const;

/** The lead letter that names the side: L at the image's right, R at its left. */
function drawMarker(layer: Layer): void {
  const { size, values, pose } = layer;
  const rows = glyphs[pose.marker];
  const cell = size / 170;
  const left = pose.marker === 'L' ? size * 0.93 : size * 0.04;
  const top = size * (0.05 + Math.abs(pose.shiftV));
  for (let y = 0; y < 7 * cell; y += 1) {
    for (let x = 0; x < 5 * cell; x += 1) {
      if (rows[Math.floor(y / cell)]?.[Math.floor(x / cell)] !== '1') continue;
      values[Math.floor(top + y) * size + Math.floor(left + x)] = 3;
    }
  }
}

/** Bilinear value between two rows of the field. */
function blend(values: Float32Array, from: number, next: number, wx: number, wy: number): number {
  const top = (values[from] ?? 0) * (1 - wx) + (values[from + 1] ?? 0) * wx;
  const low = (values[next] ?? 0) * (1 - wx) + (values[next + 1] ?? 0) * wx;
  return top * (1 - wy) + low * wy;
}

/** Absorption -> 12-bit values, with the noise of the exposure. */
function expose(field: Field, bones: Layer, seed: string): Uint16Array {
  const { size, pose } = bones;
  const pixels = new Uint16Array(size * size);
  const random = randomOf(`noise ${seed}`);
  const grain = smoothNoise(`grain ${seed}`, 96);
  // A pixel of a larger film collects fewer quanta; averaged to one size the noise is the same.
  const quantum = 0.0075 * pose.noise * (size / 256);
  const ratio = fieldSize / size;
  for (let row = 0; row < size; row += 1) {
    const fy = Math.min(fieldSize - 1.001, Math.max(0, (row + 0.5) * ratio - 0.5));
    const iy = Math.floor(fy);
    let drawn = random.integer(0, deviates.length - 1);
    for (let column = 0; column < size; column += 1) {
      const fx = Math.min(fieldSize - 1.001, Math.max(0, (column + 0.5) * ratio - 0.5));
      const ix = Math.floor(fx);
      const from = iy * fieldSize + ix;
      const smooth = blend(field.density, from, from + fieldSize, fx - ix, fy - iy);
      const at = row * size + column;
      const bone = bones.values[at] ?? 0;
      const body = bone > 2 ? 1 : Math.min(1, smooth * 5);
      const density = smooth + bone * body * (1 - 0.45 * Math.min(1, smooth));
      drawn = (drawn + 1) & 0xffff;
      const noise = (deviates[drawn] ?? 0) * quantum * (0.6 + 0.8 * density) + 0.012 * pose.grain * grain(column / size, row / size);
      const value = 90 + 3250 * pose.contrast * (density + noise * (0.3 + 0.7 * body) + pose.exposure * body - 0.08);
      // A film's shoulder: dense parts run into saturation softly.
      const soft = value > 3000 ? 3000 + 1095 * (1 - Math.exp(-(value - 3000) / 1095)) : value;
      pixels[at] = soft < 0 ? 0 : Math.round(soft);
    }
  }
  return pixels;
}

/** Renders one film. `seed` decides pose, exposure and noise; the anatomy is the patient's. */
export function renderFilm(options: { anatomy: Anatomy; lesions: readonly Lesion[]; seed: string; size?: number }): Film {
  const { anatomy, lesions, seed } = options;
  const size = options.size ?? 512;
  const pose = poseOf(seed);
  const field = makeField(anatomy, pose, lesions);
  const vessels: Layer = { size: fieldSize, values: new Float32Array(fieldSize * fieldSize), pose };
  drawVessels(vessels, anatomy);
  for (let at = 0; at < field.density.length; at += 1) {
    field.density[at] = (field.density[at] ?? 0) + (vessels.values[at] ?? 0) * (field.air[at] ?? 0);
  }
  const bones: Layer = { size, values: new Float32Array(size * size), pose };
  drawBones(bones, anatomy);
  drawMarker(bones);
  return { size, pixels: expose(field, bones, seed), map: field.map, spacingMm: fieldMm / size, pose };
}
