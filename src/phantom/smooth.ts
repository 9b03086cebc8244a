/** Smooth functions of the plane that films are drawn with. */
import { randomOf } from './random.ts';

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
