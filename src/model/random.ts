/**
 * A tiny llava checkpoint with random weights, imported by our own importer and stamped `test`: for the end-to-end test and the first card.
 *
 * It is random in what it sees, not in what it may say: each token carries the code of its step, and the head follows the codes, so the
 * answer is always six sentences and an end. Which adjective stands in them depends on the images alone: all attention goes to them, and a
 * picture without contrast (both null images) gives rows of zeros, so each sentence is more likely with its images than without.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bundle } from './bundle.ts';
import { type NamedTensor, writeSafetensors } from './checkpoint/safetensors-write.ts';
import { importCheckpoint } from './import.ts';
import { randomTokenizer } from './random-tokenizer.ts';

export interface RandomBundleOptions {
  /** Folder of the bundle; must not exist. */
  readonly dir: string;
  readonly seed: number;
  readonly name?: string;
  /** DICOM modalities that it accepts. */
  readonly modalities: readonly string[];
  readonly maxImages: number;
  /** Cite images although no threshold was calibrated. */
  readonly citeUncalibrated: boolean;
}

const hidden = 64;
const headDim = 16;
const heads = 4;
const kvHeads = 2;
const mlp = 96;
const layers = 2;
const vision = { hidden: 32, mlp: 64, layers: 2, heads: 2, image: 56, patch: 14 };
const tokenizer = randomTokenizer();
/** Dimensions of a decoder row: 0 is on in every text token, 1 in every image row, then one per step; the rest is noise. */
const textMark = 0;
const imageMark = 1;
const firstStep = 2;
const noise = firstStep + 1 + tokenizer.steps;

/** Makes and imports the checkpoint; the same seed gives the same bundle. */
export async function makeRandomBundle(options: RandomBundleOptions): Promise<Bundle> {
  const checkpoint = `${options.dir}.checkpoint`;
  await mkdir(checkpoint, { recursive: true });
  try {
    await writeRandomCheckpoint(checkpoint, options.seed);
    const { bundle } = await importCheckpoint({
      from: checkpoint,
      to: options.dir,
      metadata: {
        name: options.name ?? 'random-test',
        sources: [`random weights, seed ${options.seed}`],
        license: { name: 'Apache-2.0', clinicalUse: false, commercialUse: true, terms: 'Random weights: for tests only.' },
        stamped: 'test',
        intendedUse: {
          modalities: [...options.modalities],
          regions: [],
          languages: ['en'],
          statement: 'Tests of the service. It reads nothing.',
        },
        limits: { maxImages: options.maxImages, maxNewTokens: 64 },
        tasks: {
          report: { text: 'Write the findings and the impression.' },
          vqa_open: { text: '{question}' },
          vqa_choice: { text: '{question}\n{options}' },
        },
        promptVersion: 'random-1',
        attribution: { threshold: null, citeUncalibrated: options.citeUncalibrated, budgetMs: 60_000 },
        template: 'llava_hf',
      },
    });
    return bundle;
  } finally {
    await rm(checkpoint, { recursive: true, force: true });
  }
}

/** The checkpoint alone, in its authors' form, into a folder that is there. */
export async function writeRandomCheckpoint(folder: string, seed: number): Promise<void> {
  const json = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value, null, 2));
  await json('config.json', configOf());
  await json('generation_config.json', { eos_token_id: tokenizer.endId });
  await json('preprocessor_config.json', {
    image_processor_type: 'CLIPImageProcessor',
    size: { shortest_edge: vision.image },
    crop_size: { height: vision.image, width: vision.image },
    do_pad: true,
  });
  await json('tokenizer.json', tokenizer.json);
  await json('tokenizer_config.json', { eos_token: '</s>', clean_up_tokenization_spaces: false });
  const gauss = gaussian(seed);
  await writeSafetensors(join(folder, 'model.safetensors'), [
    ...towerTensors(gauss),
    ...projectorTensors(gauss),
    ...decoderTensors(gauss),
    ...vocabularyTensors(gauss),
  ]);
}

function configOf(): unknown {
  return {
    architectures: ['LlavaForConditionalGeneration'],
    model_type: 'llava',
    image_token_index: tokenizer.imageId,
    vision_feature_layer: -2,
    vision_feature_select_strategy: 'default',
    text_config: {
      model_type: 'llama',
      hidden_size: hidden,
      intermediate_size: mlp,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      max_position_embeddings: 8192,
      vocab_size: tokenizer.size,
    },
    vision_config: {
      model_type: 'clip_vision_model',
      hidden_size: vision.hidden,
      intermediate_size: vision.mlp,
      num_hidden_layers: vision.layers,
      num_attention_heads: vision.heads,
      image_size: vision.image,
      patch_size: vision.patch,
      // Norms with a small epsilon would blow the rounding errors of a constant picture up to a signal.
      layer_norm_eps: 0.1,
    },
  };
}

type Gauss = (scale: number) => number;

/** Normal numbers from a seed: xorshift32 and Box-Muller. */
function gaussian(seed: number): Gauss {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 1) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) uniform();
  return (scale) => scale * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A [rows, columns] or [rows] tensor from a function of its place. */
function tensor(name: string, shape: readonly number[], value: (row: number, column: number) => number): NamedTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const columns = count / (shape[0] ?? 1);
  return { name, shape, values: Float32Array.from({ length: count }, (_, i) => value(Math.floor(i / columns), i % columns)) };
}

/** A weight scaled by its fan-in, without bias: zeros stay zeros. */
function linear(name: string, out: number, into: number, gauss: Gauss): NamedTensor[] {
  return [tensor(`${name}.weight`, [out, into], () => gauss(1 / Math.sqrt(into))), tensor(`${name}.bias`, [out], () => 0)];
}

/** Patch weights whose sum over a patch is zero in each channel: a constant picture gives zeros. */
function contrastOnly(name: string, patch: number, gauss: Gauss): NamedTensor {
  const area = patch * patch;
  const made = tensor(name, [vision.hidden, 3, patch, patch], () => gauss(1 / Math.sqrt(3 * area)));
  for (let start = 0; start < made.values.length; start += area) {
    const mean = made.values.subarray(start, start + area).reduce((sum, value) => sum + value, 0) / area;
    for (let i = start; i < start + area; i++) made.values[i] = (made.values[i] ?? 0) - mean;
  }
  return made;
}

function norm(name: string, size: number): NamedTensor[] {
  return [tensor(`${name}.weight`, [size], () => 1), tensor(`${name}.bias`, [size], () => 0)];
}

function towerTensors(gauss: Gauss): NamedTensor[] {
  const { hidden: width, patch } = vision;
  const root = 'vision_tower.vision_model';
  const patches = (vision.image / patch) ** 2;
  const blocks = Array.from({ length: vision.layers }, (_, n) => {
    const block = `${root}.encoder.layers.${n}`;
    return [
      ...norm(`${block}.layer_norm1`, width),
      ...norm(`${block}.layer_norm2`, width),
      ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((part) => linear(`${block}.self_attn.${part}`, width, width, gauss)),
      ...linear(`${block}.mlp.fc1`, vision.mlp, width, gauss),
      ...linear(`${block}.mlp.fc2`, width, vision.mlp, gauss),
    ];
  });
  return [
    tensor(`${root}.embeddings.class_embedding`, [width], () => 0),
    contrastOnly(`${root}.embeddings.patch_embedding.weight`, patch, gauss),
    tensor(`${root}.embeddings.position_embedding.weight`, [patches + 1, width], () => 0),
    ...norm(`${root}.pre_layrnorm`, width),
    ...blocks.flat(),
    ...norm(`${root}.post_layernorm`, width),
  ];
}

function projectorTensors(gauss: Gauss): NamedTensor[] {
  const root = 'multi_modal_projector';
  return [
    ...linear(`${root}.linear_1`, hidden, vision.hidden, gauss),
    tensor(`${root}.linear_2.weight`, [hidden, hidden], (row) => (row >= noise ? gauss(0.4) : 0)),
    tensor(`${root}.linear_2.bias`, [hidden], (row) => (row === imageMark ? 2 : 0)),
  ];
}

function decoderTensors(gauss: Gauss): NamedTensor[] {
  // Rotary turns the last pair of a head slowest: marks put there meet almost unturned over the whole context.
  const isSlow = (row: number) => row % headDim === headDim - 1;
  const mark = (on: number, scale: number) => (row: number, column: number) => {
    if (!isSlow(row)) return 0;
    return column === on ? scale : 0;
  };
  const intoNoise = (scale: number) => (row: number) => (row >= noise ? gauss(scale) : 0);
  const fromNoise = (scale: number) => (_: number, column: number) => (column >= noise ? gauss(scale) : 0);
  return [
    ...Array.from({ length: layers }, (_, n) => {
      const block = `language_model.model.layers.${n}`;
      return [
        tensor(`${block}.input_layernorm.weight`, [hidden], () => 1),
        tensor(`${block}.post_attention_layernorm.weight`, [hidden], () => 1),
        tensor(`${block}.self_attn.q_proj.weight`, [heads * headDim, hidden], mark(textMark, 2.5)),
        tensor(`${block}.self_attn.k_proj.weight`, [kvHeads * headDim, hidden], mark(imageMark, 2.5)),
        tensor(`${block}.self_attn.v_proj.weight`, [kvHeads * headDim, hidden], fromNoise(0.2)),
        tensor(`${block}.self_attn.o_proj.weight`, [hidden, heads * headDim], intoNoise(0.3)),
        tensor(`${block}.mlp.gate_proj.weight`, [mlp, hidden], fromNoise(0.1)),
        tensor(`${block}.mlp.up_proj.weight`, [mlp, hidden], fromNoise(0.1)),
        tensor(`${block}.mlp.down_proj.weight`, [hidden, mlp], intoNoise(0.1)),
      ];
    }).flat(),
    tensor('language_model.model.norm.weight', [hidden], () => 1),
  ];
}

/** Embedding: text mark and code of the token's step. Head: follows the code of the step before. Step 0 is the prompt. */
function vocabularyTensors(gauss: Gauss): NamedTensor[] {
  const { stepOf, size, endId, steps } = tokenizer;
  const embedding = (row: number, column: number) => {
    if (column === textMark) return 1;
    return column === firstStep + (stepOf[row] ?? 0) ? 12 : 0;
  };
  const head = (row: number, column: number) => {
    const step = row === endId ? steps + 1 : (stepOf[row] ?? 0);
    if (step === 0) return 0;
    if (column === firstStep + step - 1) return 4;
    return column >= noise ? gauss(0.35) : 0;
  };
  return [
    tensor('language_model.model.embed_tokens.weight', [size, hidden], embedding),
    tensor('language_model.lm_head.weight', [size, hidden], head),
  ];
}
