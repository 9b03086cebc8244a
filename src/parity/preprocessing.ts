/** A preprocessing case: the processor's config leads to our own steps; the 8-bit pictures and the tensor must be the authors'. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RawImage } from '#domain/answer.ts';
import { windowsToRgb } from '#domain/ct-windows.ts';
import { WetreadError } from '#domain/errors.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { ctWindows } from '#model/families/gemma3/tasks.ts';
import { readPicture, readPictureFile } from '#model/picture-file.ts';
import { toRgb } from '#model/preprocess/canvas.ts';
import { grayRules, grayTo8Bit } from '#model/preprocess/gray.ts';
import { frame, normalize, type Processor, processorSchema, readProcessor } from '#model/preprocess/processor.ts';
import { filters, resize } from '#model/preprocess/resize.ts';
import { patchRows, readPatchProcessor } from '#model/preprocess/smart-resize.ts';
import { type CaseFile, type PreprocessingCase, preprocessingCaseSchema, tensorsPath } from './case.ts';
import { type Cell, compareClose, miss, worst } from './compare.ts';
import { type Row, rowOf } from './row.ts';

/** What our steps made of the input. */
interface Made {
  readonly resized: RawImage | null;
  readonly final: RawImage | null;
  readonly values: Float32Array | null;
  /** Length of the part of `values` that one entry of `rows` counts, and how often it repeats. */
  readonly sampling: { readonly planes: number; readonly rowLength: number } | null;
}

export async function runPreprocessingCase(file: CaseFile): Promise<Row> {
  const golden = preprocessingCaseSchema.parse(file.json);
  const cells: Cell[] = [];
  if (golden.input.endsWith('.safetensors')) cells.push(await compareVolume(file, golden));
  else {
    const made = await make(file, golden);
    const grey = { abs: golden.tolerance.grey, rel: 0 };
    for (const [image, name] of [
      [made.resized, golden.resized],
      [made.final, golden.final],
    ] as const) {
      if (!name) continue;
      cells.push(image === null ? miss('no picture') : await comparePicture(image, join(file.folder, name), grey));
    }
    if (existsSync(tensorsPath(file))) cells.push(await compareTensor(made, tensorsPath(file), golden.tolerance.abs));
  }
  return rowOf(file.name, { pixels: worst(cells) });
}

async function make(file: CaseFile, golden: PreprocessingCase): Promise<Made> {
  const path = join(file.folder, golden.input);
  const [step] = golden.steps;
  if (step?.op === 'to_8bit') {
    const rule = grayRules.find((candidate) => candidate === step.rule);
    const picture = await readPictureFile(path);
    if (rule === undefined || picture.depth !== 16)
      throw new WetreadError('pixel-unsupported', `${golden.input}: 16-bit grey and one of ${grayRules.join(', ')} expected`);
    return made(null, grayTo8Bit(picture.width, picture.height, picture.values, rule));
  }
  const image = await readPicture(path);
  if (golden.processor === 'qwen2_5_vl') {
    const { resized, rows } = patchRows(image, readPatchProcessor(golden.config));
    return { resized, final: resized, values: rows, sampling: { planes: 1, rowLength: rows.length / patchCount(golden, rows.length) } };
  }
  if (golden.config === null || golden.config === undefined) return plainSteps(image, golden);
  const processor = golden.processor === 'torchvision-resnet' ? torchvision(golden.config) : readProcessor(golden.config, false);
  const { resized, final } = frame(image, processor);
  return { resized, final, values: normalize(final, processor), sampling: { planes: 3, rowLength: final.width } };
}

function made(resized: RawImage | null, final: RawImage | null): Made {
  return { resized, final, values: null, sampling: null };
}

/** Cases without a processor: one resize by PIL's rule, or the conversion to RGB alone. */
function plainSteps(image: RawImage, golden: PreprocessingCase): Made {
  const step = golden.steps.find((candidate) => candidate.op === 'resize');
  if (step === undefined) return made(null, image);
  const filter = filters.find((candidate) => candidate === step.filter);
  const [height, width] = step.size ?? [];
  if (filter === undefined || height === undefined || width === undefined)
    throw new WetreadError('pixel-unsupported', `resize ${JSON.stringify(step)} is not built`);
  const resized = resize(image, width, height, filter);
  return made(resized, resized);
}

function patchCount(golden: PreprocessingCase, length: number): number {
  const { patch, temporal } = readPatchProcessor(golden.config);
  return length / (3 * temporal * patch * patch);
}

/** Three numbers stand for torchvision's Resize(n), CenterCrop(n), Normalize. */
function torchvision(config: Record<string, unknown>): Processor {
  const size = Number(config.size);
  return processorSchema.parse({
    pad: false,
    resize: { to: 'shortest', edge: size },
    filter: 'bilinear',
    crop: { height: size, width: size, rounding: 'half-even' },
    scale: 1 / 255,
    mean: config.mean,
    std: config.std,
  });
}

async function comparePicture(image: RawImage, path: string, tolerance: { abs: number; rel: number }): Promise<Cell> {
  const expected = await readPicture(path);
  if (expected.width !== image.width || expected.height !== image.height) {
    return miss(`${image.width} x ${image.height} for ${expected.width} x ${expected.height}`);
  }
  return compareClose(toRgb(image).pixels, toRgb(expected).pixels, tolerance);
}

async function compareTensor(found: Made, path: string, abs: number): Promise<Cell> {
  const source = await openSafetensors(path);
  try {
    if (found.values === null || found.sampling === null) return miss('no tensor');
    if (source.names.includes('pixel_values')) return compareClose(found.values, await source.readF32('pixel_values'), { abs, rel: 0 });
    const rows = await source.readF32('rows');
    return compareClose(sample(found.values, rows, found.sampling), await source.readF32('pixel_values_rows'), { abs, rel: 0 });
  } finally {
    await source.close();
  }
}

function sample(values: Float32Array, rows: Float32Array, { planes, rowLength }: { planes: number; rowLength: number }): Float32Array {
  const out = new Float32Array(planes * rows.length * rowLength);
  const plane = values.length / planes;
  let to = 0;
  for (let p = 0; p < planes; p++) {
    for (const row of rows) {
      out.set(values.subarray(p * plane + row * rowLength, p * plane + (row + 1) * rowLength), to);
      to += rowLength;
    }
  }
  return out;
}

/** CT: slices of Hounsfield units to RGB. */
async function compareVolume(file: CaseFile, golden: PreprocessingCase): Promise<Cell> {
  const input = await openSafetensors(join(file.folder, golden.input));
  const expected = await openSafetensors(tensorsPath(file));
  try {
    const rgb = windowsToRgb(await input.readF32('volume'), ctWindows);
    return compareClose(rgb, await expected.readF32('rgb'), { abs: golden.tolerance.grey, rel: 0 });
  } finally {
    await input.close();
    await expected.close();
  }
}
