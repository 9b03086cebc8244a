/** Golden llava cases as encoded prompts, straight from their ids and pixel values, so that the engine is tested without a tokenizer. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { openShards } from '#model/checkpoint/shards.ts';
import type { TensorSource } from '#model/checkpoint/tensors.ts';
import { openTorchPickle } from '#model/checkpoint/torch-pickle.ts';
import type { EncodedPart, EncodedPrompt } from '#model/encoded.ts';
import { graphFiles, imageDecoderSizes } from '#model/families/image-decoder.ts';
import { type LlavaArchitecture, readArchitecture } from '#model/families/llava/architecture.ts';
import { resolveWeights, writeLlava } from '#model/families/llava/weights.ts';
import { type Engine, openEngine } from '#runtime/engine.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';

const table = z.record(z.string(), z.number());
const caseSchema = z.looseObject({
  input_ids: z.array(z.number()),
  generation: z.looseObject({ max_new_tokens: z.number(), stop_ids: z.array(z.number()) }),
  output_ids: z.array(z.number()),
  answer_ids: z.array(z.number()),
  score: z.looseObject({ images: z.number(), null_black: table, null_mean: table }),
});
export type GoldenCase = z.infer<typeof caseSchema>;

async function openFile(folder: string): Promise<TensorSource> {
  const file = (name: string): string => join(folder, name);
  if (existsSync(file('model.safetensors.index.json'))) return await openShards(file('model.safetensors.index.json'), openSafetensors);
  if (existsSync(file('pytorch_model.bin.index.json'))) return await openShards(file('pytorch_model.bin.index.json'), openTorchPickle);
  return existsSync(file('model.safetensors'))
    ? await openSafetensors(file('model.safetensors'))
    : await openTorchPickle(file('pytorch_model.bin'));
}

function json(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Folder below `checkpoint` that holds the tower, or null. */
function towerFolder(checkpoint: string): string | null {
  const config = readdirSync(checkpoint, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('/config.json'));
  return config === undefined ? null : join(checkpoint, config, '..');
}

/** The checkpoint's tensors followed by the tower's own. */
export async function openCheckpoint(checkpoint: string): Promise<{ source: TensorSource; architecture: LlavaArchitecture }> {
  const main = await openFile(checkpoint);
  const folder = towerFolder(checkpoint);
  const tower =
    folder !== null && existsSync(join(folder, 'pytorch_model.bin')) ? await openTorchPickle(join(folder, 'pytorch_model.bin')) : null;
  const of = (name: string): TensorSource => (tower === null || main.names.includes(name) ? main : tower);
  const source: TensorSource = {
    names: [...new Set([...main.names, ...(tower?.names ?? [])])],
    info: (name) => of(name).info(name),
    readF32: (name) => of(name).readF32(name),
    close: async () => {
      await main.close();
      await tower?.close();
    },
  };
  const towerConfig = folder === null ? null : json(join(folder, 'config.json'));
  const hasHead = source.names.some((name) => name.endsWith('lm_head.weight'));
  return { source, architecture: readArchitecture(json(join(checkpoint, 'config.json')), { towerConfig, hasHead }) };
}

export interface Loaded {
  readonly engine: Engine;
  readonly architecture: LlavaArchitecture;
  close(): Promise<void>;
}

/** A variant's checkpoint as graphs in a temporary folder, on the CPU. */
export async function loadVariant(variant: string): Promise<Loaded> {
  const { source, architecture } = await openCheckpoint(join(variant, 'checkpoint'));
  const folder = mkdtempSync(join(tmpdir(), 'wetread-golden-'));
  await writeLlava(folder, architecture, source, resolveWeights(architecture, source));
  await source.close();
  const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
  const engine = await openEngine(runtime, folder, graphFiles, imageDecoderSizes(architecture));
  return {
    engine,
    architecture,
    close: async () => {
      await engine.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs of placeholders in the ids become image places. */
function partsOf(ids: readonly number[], placeholder: number, perImage: number): readonly EncodedPart[] {
  const parts: EncodedPart[] = [];
  let images = 0;
  for (let at = 0; at < ids.length; ) {
    const id = ids[at] ?? 0;
    if (id === placeholder) {
      parts.push({ kind: 'image', image: images++ });
      at += perImage;
    } else {
      parts.push({ kind: 'tokens', ids: [id] });
      at++;
    }
  }
  return parts;
}

export interface Golden {
  readonly expected: GoldenCase;
  readonly prompt: EncodedPrompt;
  readonly tensors: ReadonlyMap<string, Float32Array>;
}

/** `black` is what raw 0 becomes under the variant's processor. */
export async function readCase(variant: string, name: string, architecture: LlavaArchitecture): Promise<Golden> {
  const expected = caseSchema.parse(json(join(variant, 'cases', `${name}.json`)));
  const file = await openSafetensors(join(variant, 'cases', `${name}.safetensors`));
  const tensors = new Map<string, Float32Array>();
  for (const tensor of file.names) tensors.set(tensor, await file.readF32(tensor));
  const [images = 0, ...shape] = file.info('pixel_values').shape;
  await file.close();
  const pixels = tensors.get('pixel_values') ?? new Float32Array(0);
  const folder = [join(variant, 'checkpoint'), towerFolder(join(variant, 'checkpoint')) ?? ''].find((at) =>
    existsSync(join(at, 'preprocessor_config.json')),
  );
  const processor = z
    .looseObject({ image_mean: z.array(z.number()), image_std: z.array(z.number()) })
    .parse(json(join(folder ?? '', 'preprocessor_config.json')));
  const black = processor.image_mean.map((mean, channel) => -mean / (processor.image_std[channel] ?? 1));
  const size = pixels.length / images;
  const original = architecture.imageTokenId === null;
  const parts = partsOf(expected.input_ids, architecture.imageTokenId ?? -200, original ? 1 : imageDecoderSizes(architecture).visualTokens);
  return {
    expected,
    prompt: {
      parts,
      images: Array.from({ length: images }, (_, i) => ({ data: pixels.slice(i * size, (i + 1) * size), shape: [1, ...shape], black })),
      text: null,
      inputIds: expected.input_ids,
    },
    tensors,
  };
}
