/** A Qwen2.5-VL checkpoint as it is published, with values that count up: names and shapes written out here, not taken from the importer. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { golden } from '../../folder.ts';
import { answering } from '../answering.ts';

const hidden = 32;
const heads = 2;
const kvHeads = 1;
const headDim = hidden / heads;
const mlp = 40;
const layers = 2;
const tower = { hidden: 24, mlp: 28, depth: 2, heads: 3, patch: 4 };

/** Ids behind the 344 of the tokenizer that it borrows. */
export const ids = { end: 342, visionStart: 344, visionEnd: 345, image: 346 };
const vocab = 352;

export const decoderKeys = {
  hidden_size: hidden,
  intermediate_size: mlp,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  vocab_size: vocab,
  max_position_embeddings: 400,
  rope_scaling: { type: 'mrope', mrope_section: [2, 3, 3] },
  tie_word_embeddings: false,
  use_sliding_window: false,
  sliding_window: 4,
};

export const visionKeys = {
  depth: tower.depth,
  hidden_size: tower.hidden,
  intermediate_size: tower.mlp,
  num_heads: tower.heads,
  patch_size: tower.patch,
  window_size: 16,
  out_hidden_size: hidden,
  fullatt_block_indexes: [1],
};

const tokenKeys = { image_token_id: ids.image, vision_start_token_id: ids.visionStart, vision_end_token_id: ids.visionEnd };

const config = { model_type: 'qwen2_5_vl', ...tokenKeys, ...decoderKeys, vision_config: visionKeys };

function shapes(): [string, number[]][] {
  const both = (name: string, out: number, into: number): [string, number[]][] => [
    [`${name}.weight`, [out, into]],
    [`${name}.bias`, [out]],
  ];
  const blocks = Array.from({ length: tower.depth }, (_, n): [string, number[]][] => {
    const at = `visual.blocks.${n}.`;
    return [
      [`${at}norm1.weight`, [tower.hidden]],
      [`${at}norm2.weight`, [tower.hidden]],
      ...both(`${at}attn.qkv`, 3 * tower.hidden, tower.hidden),
      ...both(`${at}attn.proj`, tower.hidden, tower.hidden),
      ...both(`${at}mlp.gate_proj`, tower.mlp, tower.hidden),
      ...both(`${at}mlp.up_proj`, tower.mlp, tower.hidden),
      ...both(`${at}mlp.down_proj`, tower.hidden, tower.mlp),
    ];
  }).flat();
  const decoder = Array.from({ length: layers }, (_, n): [string, number[]][] => {
    const at = `model.layers.${n}.`;
    return [
      ...both(`${at}self_attn.q_proj`, hidden, hidden),
      ...both(`${at}self_attn.k_proj`, kvHeads * headDim, hidden),
      ...both(`${at}self_attn.v_proj`, kvHeads * headDim, hidden),
      [`${at}self_attn.o_proj.weight`, [hidden, hidden]],
      [`${at}mlp.gate_proj.weight`, [mlp, hidden]],
      [`${at}mlp.up_proj.weight`, [mlp, hidden]],
      [`${at}mlp.down_proj.weight`, [hidden, mlp]],
      [`${at}input_layernorm.weight`, [hidden]],
      [`${at}post_attention_layernorm.weight`, [hidden]],
    ];
  }).flat();
  return [
    ['visual.patch_embed.proj.weight', [tower.hidden, 3, 2, tower.patch, tower.patch]],
    ...blocks,
    ['visual.merger.ln_q.weight', [tower.hidden]],
    ...both('visual.merger.mlp.0', 4 * tower.hidden, 4 * tower.hidden),
    ...both('visual.merger.mlp.2', hidden, 4 * tower.hidden),
    ['model.embed_tokens.weight', [vocab, hidden]],
    ...decoder,
    ['model.norm.weight', [hidden]],
    ['lm_head.weight', [vocab, hidden]],
  ];
}

export interface Changes {
  readonly config?: Record<string, unknown>;
  /** Instead of the whole config. */
  readonly nested?: boolean;
  readonly processor?: Record<string, unknown>;
  readonly tensors?: (tensors: NamedTensor[]) => NamedTensor[];
  readonly tokens?: Record<string, string>;
}

const nestedConfig = {
  architectures: ['Qwen2_5_VLForConditionalGeneration'],
  ...tokenKeys,
  tie_word_embeddings: false,
  text_config: { ...decoderKeys, rope_scaling: undefined, rope_parameters: { rope_theta: 5e5, mrope_section: [2, 3, 3] } },
  vision_config: visionKeys,
};

/** Writes the checkpoint into a new folder `to`. */
export async function writeCheckpoint(to: string, changes: Changes = {}): Promise<void> {
  await mkdir(to, { recursive: true });
  const json = (name: string, value: unknown) => writeFile(join(to, name), JSON.stringify(value));
  const published = join(golden, 'llava/siglip-qwen2-gqa-tied/checkpoint');
  await cp(join(published, 'tokenizer.json'), join(to, 'tokenizer.json'));
  const base = JSON.parse(await readFile(join(published, 'tokenizer_config.json'), 'utf8')) as { added_tokens_decoder?: object };
  const tokens = changes.tokens ?? {
    [ids.visionStart]: '<|vision_start|>',
    [ids.visionEnd]: '<|vision_end|>',
    [ids.image]: '<|image_pad|>',
  };
  const added = Object.fromEntries(Object.entries(tokens).map(([id, content]) => [id, { content, special: true }]));
  await json('tokenizer_config.json', { ...base, added_tokens_decoder: { ...base.added_tokens_decoder, ...added } });
  await json('config.json', { ...(changes.nested ? nestedConfig : config), ...changes.config });
  await json('generation_config.json', { eos_token_id: [342, 340], repetition_penalty: 1.05 });
  await json('preprocessor_config.json', { patch_size: tower.patch, min_pixels: 64, max_pixels: 1600, ...changes.processor });
  const tensors = shapes().map(([name, shape], index): NamedTensor => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + index) / 8);
    return { name, shape, values };
  });
  await writeSafetensors(join(to, 'model.safetensors'), changes.tensors?.(tensors) ?? tensors);
}

/** "The study is normal. No pleural effusion!" in pieces of the tokenizer that it borrows. */
const sentences = [283, 300, 275, 294, 319, 13, 310, 334, 335, 0];

/** Random weights that draft. */
export function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  return writeCheckpoint(to, {
    config: { max_position_embeddings: 2048 },
    tensors: (tensors) =>
      answering(tensors, seed, {
        tables: ['model.embed_tokens.weight'],
        head: 'lm_head.weight',
        lastNorm: 'model.norm.weight',
        quiet: /^model.*(o|down)_proj\.weight$/,
        answer: [...sentences, ids.end],
      }),
  });
}
