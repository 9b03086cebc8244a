/**
 * A picture at its own size as the encoder's inputs: patch rows, where each patch is, and which patches share a window.
 *
 * Patches go unit by unit (merge x merge patches), units row by row. Windows are tiled from the top left; the last of a row or column may be
 * smaller. Source: transformers modeling_qwen2_5_vl.py (rot_pos_emb, get_window_index); pixels: preprocess/smart-resize.ts.
 */
import type { RawImage } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import type { EncodedImage, EncoderInput } from '../../encoded.ts';
import { type PatchProcessor, patchRows, smartSize } from '../../preprocess/smart-resize.ts';

/** Merged units of a picture: one decoder row each. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
}

export interface PicturePlan {
  readonly processor: PatchProcessor;
  /** Side of a window in merged units. */
  readonly window: number;
}

/** @throws bundle-invalid when bundle.json says nothing of patches */
export function planOf({ patches, processor, name }: Manifest): PicturePlan {
  if (patches === undefined) throw new WetreadError('bundle-invalid', `bundle.json of ${name} has no patches, which its family needs`);
  const { window, ...sizes } = patches;
  return { processor: { ...sizes, values: processor }, window };
}

/** @throws pixel-unsupported for a picture over 200 times longer than wide */
export function gridOf(image: RawImage, { processor }: PicturePlan): Grid {
  const { height, width } = smartSize(image.height, image.width, processor);
  const unit = processor.patch * processor.merge;
  return { rows: height / unit, columns: width / unit };
}

/** [patches, 2] row and column of each patch in the whole picture. */
function positions(grid: Grid, merge: number): Float32Array {
  const places: number[] = [];
  for (let unit = 0; unit < grid.rows * grid.columns; unit++) {
    const [top, left] = [Math.floor(unit / grid.columns) * merge, (unit % grid.columns) * merge];
    for (let inside = 0; inside < merge ** 2; inside++) places.push(top + Math.floor(inside / merge), left + (inside % merge));
  }
  return Float32Array.from(places);
}

/** Far enough below any score that a filled-up place has no weight. */
const hidden = -1e9;

/** The encoder's three inputs about windows of `side` units. */
export function windowInputs(grid: Grid, merge: number, side: number): Record<string, EncoderInput> {
  const across = Math.ceil(grid.columns / side);
  const windows = Array.from({ length: across * Math.ceil(grid.rows / side) }, (): number[] => []);
  const perUnit = merge ** 2;
  for (let unit = 0; unit < grid.rows * grid.columns; unit++) {
    const window = Math.floor(Math.floor(unit / grid.columns) / side) * across + Math.floor((unit % grid.columns) / side);
    for (let inside = 0; inside < perUnit; inside++) windows[window]?.push(unit * perUnit + inside);
  }
  const length = windows.reduce((most, patches) => Math.max(most, patches.length), 0);
  const members = new BigInt64Array(windows.length * length);
  const bias = new Float32Array(windows.length * length).fill(hidden);
  const places = new BigInt64Array(grid.rows * grid.columns * perUnit);
  for (const [window, patches] of windows.entries()) {
    for (const [at, patch] of patches.entries()) {
      const place = window * length + at;
      members[place] = BigInt(patch);
      bias[place] = 0;
      places[patch] = BigInt(place);
    }
  }
  return {
    window_patches: { data: members, shape: [windows.length, length] },
    window_bias: { data: bias, shape: [windows.length, 1, 1, length] },
    window_places: { data: places, shape: [places.length] },
  };
}

/** @throws pixel-unsupported for a picture over 200 times longer than wide */
export function encodePicture(image: RawImage, plan: PicturePlan): EncodedImage {
  const { patch, temporal, merge, values } = plan.processor;
  const grid = gridOf(image, plan);
  const { rows } = patchRows(image, plan.processor);
  const patches = grid.rows * grid.columns * merge ** 2;
  return {
    data: rows,
    shape: [patches, rows.length / patches],
    black: values.mean.map((mean, channel) => (0 - mean) / (values.std[channel] ?? 1)),
    channelRun: temporal * patch ** 2,
    rows: grid.rows * grid.columns,
    inputs: { patch_positions: { data: positions(grid, merge), shape: [patches, 2] }, ...windowInputs(grid, merge, plan.window) },
  };
}
