/** A synthetic abdominal ultrasound picture: a fan of speckle over liver-like layers. It stands for a modality that no bundle reads. */
import { randomOf } from './random.ts';
import { length, ramp, smoothNoise } from './smooth.ts';

export interface UltrasoundPicture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

export function renderUltrasound(seed: string, width = 320, height = 240): UltrasoundPicture {
  const random = randomOf(`ultrasound ${seed}`);
  const tissue = smoothNoise(`tissue ${seed}`, 14);
  const layers = smoothNoise(`layers ${seed}`, 5);
  const cyst = { angle: random.between(-0.3, 0.3), depth: random.between(0.4, 0.6), radius: random.between(0.06, 0.1) };
  const pixels = new Uint8Array(width * height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const x = (column + 0.5) / width - 0.5;
      const y = ((row + 0.5) / height) * 0.95 + 0.12;
      const depth = length(x, y);
      const angle = Math.atan2(x, y);
      const inside = ramp(0.68 - Math.abs(angle), 0.01) * ramp(depth - 0.2, 0.01) * ramp(1.02 - depth, 0.01);
      if (inside === 0) continue;
      // Speckle is multiplicative: the sum of many echoes (Rayleigh).
      const speckle = Math.sqrt(random.normal() ** 2 + random.normal() ** 2) / 1.25;
      const hollow = ramp(cyst.radius - length((angle - cyst.angle) * depth, depth - cyst.depth), 0.012);
      const echo =
        0.3 + 0.1 * tissue(x + 0.5, y / 1.2) + 0.12 * layers(angle + 0.5, depth) + 0.5 * ramp(0.03 - Math.abs(depth - 0.88), 0.03);
      pixels[row * width + column] = Math.min(255, Math.round(255 * inside * speckle * echo * (1 - 0.93 * hollow) * (1.1 - 0.5 * depth)));
    }
  }
  return { width, height, pixels };
}
