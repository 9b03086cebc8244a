/** A RadFM folder in its authors' form (torch file, Language_files), names and shapes written out here, not taken from the importer. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { stateFile } from '../../checkpoint/torch-file.ts';
import { golden } from '../../folder.ts';
import { answering, llamaSentences } from '../answering.ts';

/** The borrowed SentencePiece model has 344 pieces. */
export const vocab = 344;
const hidden = 40;
const mlp = 24;
const width = 15;
const patchVector = 8 * 8 * 4 * 3;
const inner = 8 * 64;
export const latents = 7;

export const config = {
  model_type: 'llama',
  vocab_size: vocab,
  hidden_size: hidden,
  intermediate_size: mlp,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_sequence_length: 200,
  bos_token_id: 0,
  eos_token_id: 1,
  pad_token_id: -1,
  rms_norm_eps: 1e-6,
};

type Shapes = [string, number[]][];

function both(name: string, size: number[]): Shapes {
  return [
    [`${name}.weight`, size],
    [`${name}.bias`, size.slice(0, 1)],
  ];
}

function decoderShapes(): Shapes {
  return [0, 1].flatMap((n): Shapes => {
    const at = `lang_model.model.layers.${n}.`;
    return [
      ...['q', 'k', 'v', 'o'].map((part): [string, number[]] => [`${at}self_attn.${part}_proj.weight`, [hidden, hidden]]),
      [`${at}self_attn.rotary_emb.inv_freq`, [5]],
      [`${at}mlp.gate_proj.weight`, [mlp, hidden]],
      [`${at}mlp.up_proj.weight`, [mlp, hidden]],
      [`${at}mlp.down_proj.weight`, [hidden, mlp]],
      [`${at}input_layernorm.weight`, [hidden]],
      [`${at}post_attention_layernorm.weight`, [hidden]],
    ];
  });
}

function visionShapes(): Shapes {
  const vision = 'embedding_layer.vision_encoder.';
  const perceiver = 'embedding_layer.perceiver.';
  const block = `${vision}transformer.layers.0.`;
  return [
    ...both(`${vision}to_patch_embedding.1`, [patchVector]),
    ...both(`${vision}to_patch_embedding.2`, [width, patchVector]),
    ...both(`${vision}to_patch_embedding.3`, [width]),
    [`${vision}pos_embedding.row_embed.weight`, [3, 5]],
    [`${vision}pos_embedding.col_embed.weight`, [3, 5]],
    [`${vision}pos_embedding.dep_embed.weight`, [5, 5]],
    ...both(`${block}0.norm`, [width]),
    [`${block}0.fn.to_qkv.weight`, [3 * inner, width]],
    ...both(`${block}0.fn.to_out.0`, [width, inner]),
    ...both(`${block}1.norm`, [width]),
    ...both(`${block}1.fn.net.0`, [22, width]),
    ...both(`${block}1.fn.net.3`, [width, 22]),
    [`${perceiver}latents`, [latents, width]],
    ...[0, 1].flatMap((n): Shapes => {
      const at = `${perceiver}layers.${n}.`;
      return [
        ...both(`${at}0.norm_media`, [width]),
        ...both(`${at}0.norm_latents`, [width]),
        [`${at}0.to_q.weight`, [inner, width]],
        [`${at}0.to_kv.weight`, [2 * inner, width]],
        [`${at}0.to_out.weight`, [width, inner]],
        ...both(`${at}1.0`, [width]),
        [`${at}1.1.weight`, [60, width]],
        [`${at}1.3.weight`, [width, 60]],
      ];
    }),
    ...both(`${perceiver}norm`, [width]),
    ...both('embedding_layer.fc', [hidden, width]),
  ];
}

const shapes: Shapes = [
  ['lang_model.model.embed_tokens.weight', [vocab, hidden]],
  ...decoderShapes(),
  ['lang_model.model.norm.weight', [hidden]],
  ['lang_model.lm_head.weight', [vocab, hidden]],
  ['embedding_layer.weight', [vocab, hidden]],
  ['embedding_layer.figure_token_weight', [2, hidden]],
  ...visionShapes(),
  // Stored by the authors and not used to answer.
  ['embedding_layer.bert_model.embeddings.position_ids', [1, 8]],
  ...both('embedding_layer.bert_projection_fc', [width, 6]),
  ...both('embedding_layer.transformer_decoder.layers.0.norm1', [width]),
  ...both('embedding_layer.transformer_decoder_mlp.0', [3, width]),
  ...both('embedding_layer.output_upscaling.1', [3]),
  ...both('embedding_layer.cls_head', [1, 1]),
];

/** Values in -1/8..1/8 that no other tensor has; both names of the embedding have the same. */
export function tensorsOf(): NamedTensor[] {
  return shapes.map(([name, shape], index) => {
    const phase = name === 'embedding_layer.weight' ? 0 : index;
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.7 + phase) / 8);
    return { name, shape, values };
  });
}

export interface Changes {
  readonly config?: Record<string, unknown>;
  readonly tensors?: (tensors: NamedTensor[]) => NamedTensor[];
}

/** Writes the checkpoint into a new folder `to`: pictures of 24 pixels, depths up to 20, 7 rows an image. */
export async function writeCheckpoint(to: string, changes: Changes = {}): Promise<void> {
  const language = join(to, 'Language_files');
  await mkdir(language, { recursive: true });
  await cp(join(golden, 'llava/original-llama-bin2/checkpoint/tokenizer.model'), join(language, 'tokenizer.model'));
  const empty = { bos_token: '', eos_token: '', unk_token: '', tokenizer_class: 'LlamaTokenizer' };
  await writeFile(join(language, 'tokenizer_config.json'), JSON.stringify(empty));
  await writeFile(join(language, 'config.json'), JSON.stringify({ ...config, ...changes.config }));
  const tensors = tensorsOf();
  await writeFile(join(to, 'pytorch_model.bin'), stateFile(changes.tensors?.(tensors) ?? tensors));
}

/** Random weights that draft. */
export function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  return writeCheckpoint(to, {
    config: { max_sequence_length: 1024 },
    tensors: (tensors) =>
      answering(tensors, seed, {
        tables: ['lang_model.model.embed_tokens.weight', 'embedding_layer.weight'],
        head: 'lang_model.lm_head.weight',
        lastNorm: 'lang_model.model.norm.weight',
        quiet: /lang_model.*(o|down)_proj\.weight$/,
        answer: [...llamaSentences, config.eos_token_id],
      }),
  });
}
