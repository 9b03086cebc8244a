/**
 * Image processor configs of CLIP, SigLIP, LLaVA and Gemma 3 as one list of steps, and the steps themselves.
 *
 * Everything before the division works on 8-bit integers. Missing keys mean the class default; old CLIP configs hold bare integers, where
 * `size: n` is the shortest edge. Source: transformers models/{clip,llava,siglip,gemma3}/image_processing_*.py.
 */
import { z } from 'zod';
import type { RawImage } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import { centerCrop, padToSquare } from './canvas.ts';
import { filters, resize } from './resize.ts';

const edge = z.int().positive().max(8192);
const triple = z.tuple([z.number(), z.number(), z.number()]);

/** The steps, as bundle.json holds them. */
export const processorSchema = z.strictObject({
  /** Pad to a square in the mean colour first. */
  pad: z.boolean(),
  resize: z
    .discriminatedUnion('to', [
      z.strictObject({ to: z.literal('shortest'), edge }),
      z.strictObject({ to: z.literal('size'), height: edge, width: edge }),
    ])
    .nullable(),
  filter: z.enum(filters),
  crop: z.strictObject({ height: edge, width: edge, rounding: z.enum(['floor', 'half-even']) }).nullable(),
  /** Factor from 0..255, usually 1/255. */
  scale: z.number(),
  mean: triple,
  std: triple,
});
export type Processor = z.infer<typeof processorSchema>;

const sizeSchema = z.union([edge, z.looseObject({ shortest_edge: edge }), z.looseObject({ height: edge, width: edge })]);
const configSchema = z.looseObject({
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  do_resize: z.boolean().nullish(),
  do_center_crop: z.boolean().nullish(),
  do_rescale: z.boolean().nullish(),
  do_normalize: z.boolean().nullish(),
  do_pad: z.boolean().nullish(),
  size: sizeSchema.nullish(),
  crop_size: sizeSchema.nullish(),
  resample: z.int().nullish(),
  rescale_factor: z.number().nullish(),
  image_mean: triple.nullish(),
  image_std: triple.nullish(),
});
type Config = z.infer<typeof configSchema>;

interface ClassDefaults {
  readonly size: z.infer<typeof sizeSchema>;
  readonly crop: boolean;
  readonly resample: number;
  readonly mean: Processor['mean'];
  readonly std: Processor['std'];
}

const clip: ClassDefaults = {
  size: { shortest_edge: 224 },
  crop: true,
  resample: 3,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
const half: Processor['mean'] = [0.5, 0.5, 0.5];
const classes: Readonly<Record<string, ClassDefaults>> = {
  CLIPImageProcessor: clip,
  CLIPFeatureExtractor: clip,
  LlavaImageProcessor: clip,
  SiglipImageProcessor: { size: { height: 224, width: 224 }, crop: false, resample: 3, mean: half, std: half },
  Gemma3ImageProcessor: { size: { height: 224, width: 224 }, crop: false, resample: 2, mean: half, std: half },
};

/** PIL's numbers. */
const filterOfResample: Readonly<Record<number, Processor['filter']>> = { 1: 'lanczos', 2: 'bilinear', 3: 'bicubic' };

/** Steps of a preprocessor_config.json. `pad` adds LLaVA's padding, which original checkpoints say in config.json. @throws architecture-unsupported */
export function readProcessor(config: unknown, pad: boolean): Processor {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) throw unsupported(z.prettifyError(parsed.error));
  const keys = parsed.data;
  const name = (keys.image_processor_type ?? keys.feature_extractor_type ?? 'CLIPImageProcessor').replace(/Fast$/, '');
  const defaults = Object.hasOwn(classes, name) ? classes[name] : undefined;
  if (defaults === undefined) throw unsupported(`the image processor ${name} is not built; ${Object.keys(classes).join(', ')} are`);
  const filter = filterOfResample[keys.resample ?? defaults.resample];
  if (filter === undefined) throw unsupported(`resample ${keys.resample} is not built; 1 (lanczos), 2 (bilinear) and 3 (bicubic) are`);
  const normalize = keys.do_normalize ?? true;
  return {
    pad: pad || keys.do_pad === true,
    resize: (keys.do_resize ?? true) ? resizeOf(keys.size ?? defaults.size) : null,
    filter,
    crop: (keys.do_center_crop ?? defaults.crop) ? cropOf(keys, defaults) : null,
    scale: (keys.do_rescale ?? true) ? (keys.rescale_factor ?? 1 / 255) : 1,
    mean: normalize ? (keys.image_mean ?? defaults.mean) : [0, 0, 0],
    std: normalize ? (keys.image_std ?? defaults.std) : [1, 1, 1],
  };
}

function unsupported(what: string): WetreadError {
  return new WetreadError('architecture-unsupported', `preprocessor_config.json: ${what}`);
}

function resizeOf(size: z.infer<typeof sizeSchema>): Processor['resize'] {
  if (typeof size === 'number') return { to: 'shortest', edge: size };
  if ('shortest_edge' in size && typeof size.shortest_edge === 'number') return { to: 'shortest', edge: size.shortest_edge };
  if ('height' in size && typeof size.height === 'number' && typeof size.width === 'number')
    return { to: 'size', height: size.height, width: size.width };
  throw unsupported(`size ${JSON.stringify(size)} is not built`);
}

function cropOf(keys: Config, defaults: ClassDefaults): Processor['crop'] {
  const size = keys.crop_size ?? keys.size ?? defaults.size;
  const side =
    typeof size === 'number' ? size : 'shortest_edge' in size && typeof size.shortest_edge === 'number' ? size.shortest_edge : null;
  if (side !== null) return { height: side, width: side, rounding: 'floor' };
  const { height, width } = z.looseObject({ height: edge, width: edge }).parse(size);
  return { height, width, rounding: 'floor' };
}

/** Height and width of the tensor where the steps fix them, null where they follow the picture. */
export function outputSize(processor: Processor): { readonly height: number; readonly width: number } | null {
  if (processor.crop !== null) return { height: processor.crop.height, width: processor.crop.width };
  if (processor.resize?.to === 'size') return { height: processor.resize.height, width: processor.resize.width };
  if (processor.resize?.to === 'shortest' && processor.pad) return { height: processor.resize.edge, width: processor.resize.edge };
  return null;
}

/** The 8-bit steps: what the picture is after the resize, and after the crop. */
export function frame(image: RawImage, processor: Processor): { readonly resized: RawImage; readonly final: RawImage } {
  const [red, green, blue] = processor.mean;
  const padded = processor.pad ? padToSquare(image, [Math.trunc(red * 255), Math.trunc(green * 255), Math.trunc(blue * 255)]) : image;
  const { width, height } = resizedSize(padded, processor.resize);
  const resized = resize(padded, width, height, processor.filter);
  const { crop } = processor;
  return { resized, final: crop === null ? resized : centerCrop(resized, crop.width, crop.height, crop.rounding) };
}

function resizedSize(image: RawImage, to: Processor['resize']): { readonly width: number; readonly height: number } {
  if (to === null) return image;
  if (to.to === 'size') return to;
  // The long edge is truncated, not rounded: int(size * long / short).
  const long = (a: number, b: number) => Math.trunc((to.edge * a) / b);
  return image.width <= image.height
    ? { width: to.edge, height: long(image.height, image.width) }
    : { width: long(image.width, image.height), height: to.edge };
}

/**
 * (x * scale - mean) / std, each step rounded to single precision as the authors' processors do it. Channels first: [3, height, width]; a grey
 * picture gives three channels.
 */
export function normalize(image: RawImage, processor: Pick<Processor, 'scale' | 'mean' | 'std'>): Float32Array {
  const count = image.width * image.height;
  const out = new Float32Array(3 * count);
  for (const [channel, mean] of processor.mean.entries()) {
    const std = Math.fround(processor.std[channel] ?? 1);
    const table = Float32Array.from({ length: 256 }, (_, value) =>
      Math.fround(Math.fround(Math.fround(value * processor.scale) - Math.fround(mean)) / std),
    );
    const from = image.channels === 1 ? 0 : channel;
    for (let i = 0; i < count; i++) out[channel * count + i] = table[image.pixels[i * image.channels + from] ?? 0] ?? 0;
  }
  return out;
}
