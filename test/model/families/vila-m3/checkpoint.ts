/** A VILA-M3 folder in its authors' form, with values that count up: names and shapes written out here, not taken from the importer. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { golden } from '../../folder.ts';
import { answering, llamaSentences, noise } from '../answering.ts';

const hidden = 48;
const heads = 6;
const kvHeads = 2;
const mlp = 40;
const layers = 2;
const tower = { hidden: 32, mlp: 56, layers: 3, heads: 2, image: 42, patch: 14 };
const side = tower.image / tower.patch;

/** Ids behind the 344 pieces of the SentencePiece model that it borrows. */
export const llamaMarks = { '<|begin_of_text|>': 344, '<|start_header_id|>': 345, '<|end_header_id|>': 346, '<|eot_id|>': 347 };
const vocab = 352;

export const configs = {
  top: {
    architectures: ['LlavaLlamaModel'],
    model_type: 'llava_llama',
    image_aspect_ratio: 'resize',
    mm_hidden_size: tower.hidden,
    mm_use_im_patch_token: false,
    mm_use_im_start_end: false,
    mm_vision_select_feature: 'cls_patch',
    mm_vision_select_layer: -2,
    s2: false,
    transformers_version: '4.37.2',
  },
  llm: {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: vocab,
    hidden_size: hidden,
    intermediate_size: mlp,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    max_position_embeddings: 600,
    tokenizer_model_max_length: 500,
    eos_token_id: 2,
  },
  tower: {
    model_type: 'siglip_vision_model',
    hidden_size: tower.hidden,
    intermediate_size: tower.mlp,
    num_hidden_layers: tower.layers,
    num_attention_heads: tower.heads,
    image_size: tower.image,
    patch_size: tower.patch,
  },
  projector: { mm_projector_type: 'mlp_downsample' },
};

type Shapes = [string, number[]][];

function both(name: string, out: number, into?: number): Shapes {
  return [
    [`${name}.weight`, into === undefined ? [out] : [out, into]],
    [`${name}.bias`, [out]],
  ];
}

function towerShapes(): Shapes {
  const at = 'vision_model.';
  const block = (n: number) => `${at}encoder.layers.${n}.`;
  const blocks = Array.from({ length: tower.layers }, (_, n) => [
    ...both(`${block(n)}layer_norm1`, tower.hidden),
    ...both(`${block(n)}layer_norm2`, tower.hidden),
    ...['q', 'k', 'v', 'out'].flatMap((part) => both(`${block(n)}self_attn.${part}_proj`, tower.hidden, tower.hidden)),
    ...both(`${block(n)}mlp.fc1`, tower.mlp, tower.hidden),
    ...both(`${block(n)}mlp.fc2`, tower.hidden, tower.mlp),
  ]);
  return [
    [`${at}embeddings.patch_embedding.weight`, [tower.hidden, 3, tower.patch, tower.patch]],
    [`${at}embeddings.patch_embedding.bias`, [tower.hidden]],
    [`${at}embeddings.position_embedding.weight`, [side ** 2, tower.hidden]],
    ...blocks.flat(),
    ...both(`${at}post_layernorm`, tower.hidden),
    [`${at}head.probe`, [1, 1, tower.hidden]],
    [`${at}head.attention.in_proj_weight`, [3 * tower.hidden, tower.hidden]],
  ];
}

function llmShapes(): Shapes {
  const decoder = Array.from({ length: layers }, (_, n): Shapes => {
    const at = `model.layers.${n}.`;
    const width = (kvHeads * hidden) / heads;
    return [
      [`${at}self_attn.q_proj.weight`, [hidden, hidden]],
      [`${at}self_attn.k_proj.weight`, [width, hidden]],
      [`${at}self_attn.v_proj.weight`, [width, hidden]],
      [`${at}self_attn.o_proj.weight`, [hidden, hidden]],
      [`${at}mlp.gate_proj.weight`, [mlp, hidden]],
      [`${at}mlp.up_proj.weight`, [mlp, hidden]],
      [`${at}mlp.down_proj.weight`, [hidden, mlp]],
      [`${at}input_layernorm.weight`, [hidden]],
      [`${at}post_attention_layernorm.weight`, [hidden]],
    ];
  });
  return [
    ['model.embed_tokens.weight', [vocab, hidden]],
    ...decoder.flat(),
    ['model.norm.weight', [hidden]],
    ['lm_head.weight', [vocab, hidden]],
  ];
}

const shapes = {
  llm: llmShapes(),
  vision_tower: towerShapes(),
  mm_projector: [...both('layers.1', 4 * tower.hidden), ...both('layers.2', hidden, 4 * tower.hidden), ...both('layers.4', hidden, hidden)],
};

export interface Changes {
  readonly top?: Record<string, unknown>;
  readonly llm?: Record<string, unknown>;
  readonly projector?: Record<string, unknown>;
  /** Tokens beside those of the SentencePiece model. */
  readonly tokens?: Record<string, number>;
  /** Of one of the three folders. */
  readonly tensors?: (folder: string, tensors: NamedTensor[]) => NamedTensor[];
  readonly processor?: Record<string, unknown>;
}

/** Writes the checkpoint into a new folder `to`: SigLIP, 3 x 3 rows merged into 2 x 2, a Llama decoder. */
export async function writeCheckpoint(to: string, changes: Changes = {}): Promise<void> {
  const json = (name: string, value: unknown) => writeFile(join(to, name), JSON.stringify(value));
  for (const folder of Object.keys(shapes)) await mkdir(join(to, folder), { recursive: true });
  const published = join(golden, 'llava/original-llama-bin2/checkpoint');
  await cp(join(published, 'tokenizer.model'), join(to, 'llm/tokenizer.model'));
  const base = JSON.parse(await readFile(join(published, 'tokenizer_config.json'), 'utf8')) as { added_tokens_decoder: object };
  const added = Object.fromEntries(Object.entries(changes.tokens ?? {}).map(([content, id]) => [id, { content, special: true }]));
  await json('llm/tokenizer_config.json', { ...base, added_tokens_decoder: { ...base.added_tokens_decoder, ...added } });
  await json('config.json', { ...configs.top, ...changes.top });
  await json('llm/config.json', { ...configs.llm, ...changes.llm });
  await json('llm/generation_config.json', { eos_token_id: 2 });
  await json('vision_tower/config.json', configs.tower);
  await json('mm_projector/config.json', { ...configs.projector, ...changes.projector });
  const size = { height: tower.image, width: tower.image };
  await json('vision_tower/preprocessor_config.json', { image_processor_type: 'SiglipImageProcessor', size, ...changes.processor });
  for (const [folder, list] of Object.entries(shapes)) {
    const tensors = list.map(([name, shape], index): NamedTensor => {
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + index) / 8);
      return { name, shape, values };
    });
    await writeSafetensors(join(to, folder, 'model.safetensors'), changes.tensors?.(folder, tensors) ?? tensors);
  }
}

/** Random weights that draft, with the marks of the Llama-3 template. */
export function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  return writeCheckpoint(to, {
    tokens: llamaMarks,
    llm: { max_position_embeddings: 1024, tokenizer_model_max_length: 1024 },
    tensors: (folder, tensors) =>
      folder === 'llm'
        ? answering(tensors, seed, {
            tables: ['model.embed_tokens.weight'],
            head: 'lm_head.weight',
            lastNorm: 'model.norm.weight',
            quiet: /(o|down)_proj\.weight$/,
            answer: [...llamaSentences, llamaMarks['<|eot_id|>']],
          })
        : noise(tensors, seed),
  });
}
