/**
 * What open_clip says of a CLIP tower beside its tensors, and the pictures that it takes.
 *
 * OpenAI's archive says nothing: QuickGELU and heads of 64, whatever a model of that name has in open_clip. A config of open_clip may say other.
 * Source: mlfoundations/open_clip 2.16.0 factory.py, openai.py, transform.py.
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import type { VisionArchitecture } from '../../onnx/vision-transformer.ts';
import type { Processor } from '../../preprocess/processor.ts';
import { readVision } from '../hf-vision.ts';
import { readOpenaiClip } from '../openai-clip.ts';

const triple = z.tuple([z.number(), z.number(), z.number()]);
const count = z.int().positive();
const configSchema = z.looseObject({
  model_cfg: z.looseObject({
    quick_gelu: z.boolean().optional(),
    vision_cfg: z.looseObject({ layers: count.optional(), head_width: count.optional(), image_size: count.optional() }),
  }),
  preprocess_cfg: z
    .looseObject({
      mean: triple.optional(),
      std: triple.optional(),
      interpolation: z.string().optional(),
      resize_mode: z.string().optional(),
    })
    .optional(),
});
/** What of open_clip_config.json is read. */
export type OpenClipConfig = z.infer<typeof configSchema>;

/** Where a tower's names and sizes are from; null = OpenAI's archive, which has no config. */
export type TowerForm =
  | { readonly kind: 'openai'; readonly config: OpenClipConfig | null }
  | { readonly kind: 'hf'; readonly config: Record<string, unknown> };

function refuse(message: string): never {
  throw new WetreadError('architecture-unsupported', message);
}

/** @param config the parsed open_clip_config.json @throws architecture-unsupported */
export function readOpenClipConfig(config: unknown): OpenClipConfig {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) return refuse(`open_clip_config.json: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
  return parsed.data;
}

function readOpenClip(source: Pick<TensorSource, 'names' | 'info'>, config: OpenClipConfig | null): VisionArchitecture {
  const tower = readOpenaiClip(source);
  const { quick_gelu: isQuick = true, vision_cfg: keys = {} } = config?.model_cfg ?? {};
  const heads = keys.head_width === undefined ? tower.heads : tower.hiddenSize / keys.head_width;
  if (!Number.isInteger(heads)) return refuse(`open_clip_config.json: head_width ${keys.head_width} does not divide ${tower.hiddenSize}`);
  if (keys.image_size !== undefined && keys.image_size !== tower.imageSize) {
    return refuse(`open_clip_config.json: image_size is ${keys.image_size}, the positions are those of ${tower.imageSize} pixels`);
  }
  return { ...tower, heads, blocks: keys.layers ?? tower.blocks, activation: isQuick ? 'quick_gelu' : 'gelu' };
}

/**
 * The tower up to its last block's rows: the class row is left out, and neither last norm nor projection follows.
 * @throws checkpoint-tensors for a tensor that sizes come from; architecture-unsupported
 */
export function readTower({ kind, config }: TowerForm, source: Pick<TensorSource, 'names' | 'info'>): VisionArchitecture {
  if (kind === 'openai') return { ...readOpenClip(source, config), dropFirst: true };
  const section = z.looseObject({ vision_config: z.record(z.string(), z.unknown()).optional() }).parse(config).vision_config;
  const keys = section === undefined ? config : { model_type: 'clip_vision_model', ...section };
  return readVision(keys, { layer: -1, dropFirst: true, where: "the tower's config.json" });
}

/** Short side to the tower's size, centre crop by torchvision's rounding; mean and std of CLIP unless a config has others. */
export function towerProcessor({ kind, config }: TowerForm, side: number): Processor {
  const {
    mean,
    std,
    interpolation = 'bicubic',
    resize_mode: mode = 'shortest',
  } = (kind === 'openai' ? config?.preprocess_cfg : null) ?? {};
  if (interpolation !== 'bicubic' || mode !== 'shortest') {
    return refuse(`open_clip_config.json: interpolation ${interpolation}, resize_mode ${mode}; bicubic and shortest are built`);
  }
  return {
    pad: false,
    resize: { to: 'shortest', edge: side },
    filter: 'bicubic',
    crop: { height: side, width: side, rounding: 'half-even' },
    scale: 1 / 255,
    mean: mean ?? [0.48145466, 0.4578275, 0.40821073],
    std: std ?? [0.26862954, 0.26130258, 0.27577711],
  };
}
