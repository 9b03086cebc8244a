/** A GMAI-VL checkpoint in its authors' form, with values that count up: names and shapes written out here, not taken from the importer. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { golden } from '../../folder.ts';
import { answering, llamaSentences } from '../answering.ts';

const hidden = 48;
const heads = 6;
const kvHeads = 2;
const headDim = hidden / heads;
const mlp = 40;
const layers = 2;
const tower = { hidden: 32, mlp: 56, layers: 3, heads: 2, image: 28, patch: 14 };

/** Ids behind the 344 pieces of the SentencePiece model that it borrows. */
export const ids = { end: 344, start: 345, image: 346 };
const vocab = 352;

export const config = {
  architectures: ['LlavaForConditionalGeneration'],
  model_type: 'enhanced_llava',
  image_token_index: ids.image,
  text_config: {
    model_type: 'internlm2',
    vocab_size: vocab,
    hidden_size: hidden,
    intermediate_size: mlp,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    max_position_embeddings: 256,
    rope_scaling: { type: 'dynamic', factor: 2 },
    bias: false,
    eos_token_id: 2,
    pad_token_id: 2,
  },
  vision_config: {
    model_type: 'clip_vision_model',
    hidden_size: tower.hidden,
    intermediate_size: tower.mlp,
    num_hidden_layers: tower.layers,
    num_attention_heads: tower.heads,
    image_size: tower.image,
    patch_size: tower.patch,
  },
};

function shapes(): [string, number[]][] {
  const vision = 'vision_tower.vision_model.';
  const both = (name: string, out: number, into?: number): [string, number[]][] => [
    [`${name}.weight`, into === undefined ? [out] : [out, into]],
    [`${name}.bias`, [out]],
  ];
  const blocks = Array.from({ length: tower.layers }, (_, n) => {
    const at = `${vision}encoder.layers.${n}.`;
    return [
      ...both(`${at}layer_norm1`, tower.hidden),
      ...both(`${at}layer_norm2`, tower.hidden),
      ...['q', 'k', 'v', 'out'].flatMap((part) => both(`${at}self_attn.${part}_proj`, tower.hidden, tower.hidden)),
      ...both(`${at}mlp.fc1`, tower.mlp, tower.hidden),
      ...both(`${at}mlp.fc2`, tower.hidden, tower.mlp),
    ];
  }).flat();
  const decoder = Array.from({ length: layers }, (_, n): [string, number[]][] => {
    const at = `language_model.model.layers.${n}.`;
    return [
      [`${at}attention.wqkv.weight`, [(heads + 2 * kvHeads) * headDim, hidden]],
      [`${at}attention.wo.weight`, [hidden, hidden]],
      [`${at}feed_forward.w1.weight`, [mlp, hidden]],
      [`${at}feed_forward.w3.weight`, [mlp, hidden]],
      [`${at}feed_forward.w2.weight`, [hidden, mlp]],
      [`${at}attention_norm.weight`, [hidden]],
      [`${at}ffn_norm.weight`, [hidden]],
    ];
  }).flat();
  return [
    [`${vision}embeddings.class_embedding`, [tower.hidden]],
    [`${vision}embeddings.patch_embedding.weight`, [tower.hidden, 3, tower.patch, tower.patch]],
    [`${vision}embeddings.position_embedding.weight`, [(tower.image / tower.patch) ** 2 + 1, tower.hidden]],
    [`${vision}embeddings.position_ids`, [1, 5]],
    ...both(`${vision}pre_layrnorm`, tower.hidden),
    ...both(`${vision}post_layernorm`, tower.hidden),
    ...blocks,
    ...both('multi_modal_projector.linear_1', hidden, tower.hidden),
    ...both('multi_modal_projector.linear_2', hidden, hidden),
    ['language_model.model.tok_embeddings.weight', [vocab, hidden]],
    ...decoder,
    ['language_model.model.norm.weight', [hidden]],
    ['language_model.output.weight', [vocab, hidden]],
  ];
}

export interface Changes {
  readonly config?: Record<string, unknown>;
  readonly tensors?: (tensors: NamedTensor[]) => NamedTensor[];
  readonly tokens?: Record<string, string>;
}

/** Writes the checkpoint into a new folder `to`. */
export async function writeCheckpoint(to: string, changes: Changes = {}): Promise<void> {
  await mkdir(to, { recursive: true });
  const json = (name: string, value: unknown) => writeFile(join(to, name), JSON.stringify(value));
  const published = join(golden, 'llava/original-llama-bin2/checkpoint');
  await cp(join(published, 'tokenizer.model'), join(to, 'tokenizer.model'));
  const base = JSON.parse(await readFile(join(published, 'tokenizer_config.json'), 'utf8')) as { added_tokens_decoder: object };
  const tokens = changes.tokens ?? { [ids.end]: '<|im_end|>', [ids.start]: '<|im_start|>', [ids.image]: '<image>' };
  const added = Object.fromEntries(Object.entries(tokens).map(([id, content]) => [id, { content, special: true }]));
  await json('tokenizer_config.json', {
    ...base,
    tokenizer_class: 'InternLM2Tokenizer',
    added_tokens_decoder: { ...base.added_tokens_decoder, ...added },
  });
  await json('config.json', { ...config, ...changes.config });
  await json('generation_config.json', { eos_token_id: 2 });
  const size = { height: tower.image, width: tower.image };
  await json('preprocessor_config.json', {
    image_processor_type: 'CLIPImageProcessor',
    size: { shortest_edge: tower.image },
    crop_size: size,
  });
  const tensors = shapes().map(([name, shape], index): NamedTensor => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + index) / 8);
    return { name, shape, values };
  });
  await writeSafetensors(join(to, 'model.safetensors'), changes.tensors?.(tensors) ?? tensors);
}

/** Random weights that draft. */
export function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  return writeCheckpoint(to, {
    config: { text_config: { ...config.text_config, max_position_embeddings: 1024 } },
    tensors: (tensors) =>
      answering(tensors, seed, {
        tables: ['language_model.model.tok_embeddings.weight'],
        head: 'language_model.output.weight',
        lastNorm: 'language_model.model.norm.weight',
        quiet: /layers\.\d+\.(attention\.wo|feed_forward\.w2)\.weight$/,
        answer: [...llamaSentences, ids.end],
      }),
  });
}
