/** A Gemma 3 checkpoint as MedGemma is published, tiny: names and shapes written out here, not taken from the importer. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { golden } from '../../folder.ts';
import { answering, llamaSentences } from '../answering.ts';

const hidden = 40;
const heads = 4;
const kvHeads = 2;
const headDim = 8;
const mlp = 48;
const layers = 2;
const tower = { hidden: 24, mlp: 32, layers: 2, heads: 3, image: 56, patch: 14 };

/** Ids behind the 344 pieces of the SentencePiece model that it borrows. */
const ids = { turn: 344, turnEnd: 345, start: 346, end: 347, image: 348, bos: 349 };
const vocab = 352;

const config = {
  architectures: ['Gemma3ForConditionalGeneration'],
  model_type: 'gemma3',
  boi_token_index: ids.start,
  eoi_token_index: ids.end,
  image_token_index: ids.image,
  eos_token_id: [2, ids.turnEnd],
  mm_tokens_per_image: 4,
  text_config: {
    model_type: 'gemma3_text',
    vocab_size: vocab,
    hidden_size: hidden,
    intermediate_size: mlp,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    query_pre_attn_scalar: headDim,
    max_position_embeddings: 1024,
    sliding_window: 12,
    sliding_window_pattern: 2,
    rope_scaling: { rope_type: 'linear', factor: 8 },
  },
  vision_config: {
    model_type: 'siglip_vision_model',
    hidden_size: tower.hidden,
    intermediate_size: tower.mlp,
    num_hidden_layers: tower.layers,
    num_attention_heads: tower.heads,
    image_size: tower.image,
    patch_size: tower.patch,
  },
};

type Shapes = [string, number[]][];

function both(name: string, out: number, into?: number): Shapes {
  return [
    [`${name}.weight`, into === undefined ? [out] : [out, into]],
    [`${name}.bias`, [out]],
  ];
}

function towerShapes(): Shapes {
  const at = 'vision_tower.vision_model.';
  const block = (n: number) => `${at}encoder.layers.${n}.`;
  return [
    [`${at}embeddings.patch_embedding.weight`, [tower.hidden, 3, tower.patch, tower.patch]],
    [`${at}embeddings.patch_embedding.bias`, [tower.hidden]],
    [`${at}embeddings.position_embedding.weight`, [(tower.image / tower.patch) ** 2, tower.hidden]],
    ...Array.from({ length: tower.layers }, (_, n) => [
      ...both(`${block(n)}layer_norm1`, tower.hidden),
      ...both(`${block(n)}layer_norm2`, tower.hidden),
      ...['q', 'k', 'v', 'out'].flatMap((part) => both(`${block(n)}self_attn.${part}_proj`, tower.hidden, tower.hidden)),
      ...both(`${block(n)}mlp.fc1`, tower.mlp, tower.hidden),
      ...both(`${block(n)}mlp.fc2`, tower.hidden, tower.mlp),
    ]).flat(),
    ...both(`${at}post_layernorm`, tower.hidden),
  ];
}

function decoderShapes(): Shapes {
  const at = 'language_model.model.';
  const block = (n: number) => `${at}layers.${n}.`;
  const norms = ['input_layernorm', 'post_attention_layernorm', 'pre_feedforward_layernorm', 'post_feedforward_layernorm'];
  return [
    [`${at}embed_tokens.weight`, [vocab, hidden]],
    ...Array.from(
      { length: layers },
      (_, n): Shapes => [
        [`${block(n)}self_attn.q_proj.weight`, [heads * headDim, hidden]],
        [`${block(n)}self_attn.k_proj.weight`, [kvHeads * headDim, hidden]],
        [`${block(n)}self_attn.v_proj.weight`, [kvHeads * headDim, hidden]],
        [`${block(n)}self_attn.o_proj.weight`, [hidden, heads * headDim]],
        [`${block(n)}self_attn.q_norm.weight`, [headDim]],
        [`${block(n)}self_attn.k_norm.weight`, [headDim]],
        [`${block(n)}mlp.gate_proj.weight`, [mlp, hidden]],
        [`${block(n)}mlp.up_proj.weight`, [mlp, hidden]],
        [`${block(n)}mlp.down_proj.weight`, [hidden, mlp]],
        ...norms.map((norm): [string, number[]] => [`${block(n)}${norm}.weight`, [hidden]]),
      ],
    ).flat(),
    [`${at}norm.weight`, [hidden]],
  ];
}

const shapes: Shapes = [
  ...towerShapes(),
  ['multi_modal_projector.mm_input_projection_weight', [tower.hidden, hidden]],
  ['multi_modal_projector.mm_soft_emb_norm.weight', [tower.hidden]],
  ...decoderShapes(),
];

/** Norms of decoder and projector are stored less 1; those behind attention and feed-forward make both quiet, whatever their size. */
function one(name: string): number {
  if (/\.post_(attention|feedforward)_layernorm\.weight$/.test(name)) return -0.99;
  return /^language_model|soft_emb_norm/.test(name) ? 0 : 1;
}

/** Random weights that draft, in a new folder `to`. */
export async function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  await mkdir(to, { recursive: true });
  const json = (name: string, value: unknown) => writeFile(join(to, name), JSON.stringify(value));
  const borrowed = join(golden, 'llava/original-llama-bin2/checkpoint');
  await cp(join(borrowed, 'tokenizer.model'), join(to, 'tokenizer.model'));
  const base = JSON.parse(await readFile(join(borrowed, 'tokenizer_config.json'), 'utf8')) as { added_tokens_decoder: object };
  const marks = ['<start_of_turn>', '<end_of_turn>', '<start_of_image>', '<end_of_image>', '<image_soft_token>', '<bos>'];
  const added = Object.fromEntries(marks.map((content, index) => [ids.turn + index, { content, special: true }]));
  await json('tokenizer_config.json', { ...base, added_tokens_decoder: { ...base.added_tokens_decoder, ...added } });
  await json('config.json', config);
  await json('preprocessor_config.json', {
    image_processor_type: 'Gemma3ImageProcessor',
    size: { height: tower.image, width: tower.image },
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
    do_pan_and_scan: null,
  });
  const empty = shapes.map(([name, shape]): NamedTensor => ({ name, shape, values: new Float32Array() }));
  const tensors = answering(empty, seed, {
    tables: ['language_model.model.embed_tokens.weight'],
    head: null,
    lastNorm: 'language_model.model.norm.weight',
    quiet: /^no matrix/,
    answer: [...llamaSentences, ids.turnEnd],
    one,
  });
  await writeSafetensors(join(to, 'model.safetensors'), tensors);
}
