/** Names and shapes of what both MedVInT checkpoints hold, written out here, not taken from the importer; and the folders beside the weights. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { stateFile } from '../checkpoint/torch-file.ts';
import { golden } from '../folder.ts';

export type Shapes = readonly (readonly [string, readonly number[]])[];

/** The borrowed SentencePiece model has 344 pieces, none of them a capital letter after a blank: two are added. */
export const letterPieces = { 344: '▁A', 345: '▁B' };
export const vocab = 346;
export const hidden = 40;
const mlp = 24;
const rank = 2;

export const languageConfig = {
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

export function both(name: string, size: readonly number[]): Shapes {
  return [
    [`${name}.weight`, size],
    [`${name}.bias`, size.slice(0, 1)],
  ];
}

/** LLaMA below `at` with LoRA pairs, in the names of peft 0.3. */
export function llama(at: string): Shapes {
  const layers = [0, 1].flatMap((n): Shapes => {
    const layer = `${at}layers.${n}.`;
    return [
      ...['q', 'k', 'v', 'o'].map((part) => [`${layer}self_attn.${part}_proj.weight`, [hidden, hidden]] as const),
      ...['q', 'v'].flatMap(
        (part): Shapes => [
          [`${layer}self_attn.${part}_proj.lora_A.default.weight`, [rank, hidden]],
          [`${layer}self_attn.${part}_proj.lora_B.default.weight`, [hidden, rank]],
        ],
      ),
      [`${layer}self_attn.rotary_emb.inv_freq`, [5]],
      [`${layer}mlp.gate_proj.weight`, [mlp, hidden]],
      [`${layer}mlp.up_proj.weight`, [mlp, hidden]],
      [`${layer}mlp.down_proj.weight`, [hidden, mlp]],
      [`${layer}input_layernorm.weight`, [hidden]],
      [`${layer}post_attention_layernorm.weight`, [hidden]],
    ];
  });
  return [[`${at}embed_tokens.weight`, [vocab, hidden]], ...layers, [`${at}norm.weight`, [hidden]]];
}

/** A batch norm of `size` channels. */
export function batchNorm(at: string, size: number): Shapes {
  return [
    ...['weight', 'bias', 'running_mean', 'running_var'].map((part) => [`${at}.${part}`, [size]] as const),
    [`${at}.num_batches_tracked`, []],
  ];
}

/** One bottleneck: `into` channels, `inner` inside, four times as many out. */
export function bottleneck(at: string, into: number, inner: number, shortcut: boolean): Shapes {
  const out = 4 * inner;
  return [
    [`${at}conv1.weight`, [inner, into, 1, 1]],
    ...batchNorm(`${at}bn1`, inner),
    [`${at}conv2.weight`, [inner, inner, 3, 3]],
    ...batchNorm(`${at}bn2`, inner),
    [`${at}conv3.weight`, [out, inner, 1, 1]],
    ...batchNorm(`${at}bn3`, out),
    ...(shortcut ? ([[`${at}downsample.0.weight`, [out, into, 1, 1]], ...batchNorm(`${at}downsample.1`, out)] as const) : []),
  ];
}

/** CLIP's tower of one block: pictures of side x patch pixels. */
export function clip(at: string, side: number, width: number, patch: number, feedForward: number): Shapes {
  const block = `${at}encoder.layers.0.`;
  return [
    [`${at}embeddings.class_embedding`, [width]],
    [`${at}embeddings.patch_embedding.weight`, [width, 3, patch, patch]],
    [`${at}embeddings.position_embedding.weight`, [side ** 2 + 1, width]],
    [`${at}embeddings.position_ids`, [1, side ** 2 + 1]],
    ...both(`${at}pre_layrnorm`, [width]),
    ...both(`${block}layer_norm1`, [width]),
    ...both(`${block}layer_norm2`, [width]),
    ...['q', 'k', 'v', 'out'].flatMap((part) => both(`${block}self_attn.${part}_proj`, [width, width])),
    ...both(`${block}mlp.fc1`, [feedForward, width]),
    ...both(`${block}mlp.fc2`, [width, feedForward]),
    ...both(`${at}post_layernorm`, [width]),
  ];
}

/** Blocks of torch.nn.TransformerDecoder and its last norm. */
export function queryDecoder(at: string, layers: number, size: number, feedForward: number): Shapes {
  const each = Array.from({ length: layers }, (_, n) => queryLayer(`${at}layers.${n}.`, size, feedForward)).flat();
  return [...each, ...both(`${at}norm`, [size])];
}

export function queryLayer(at: string, size: number, feedForward: number): Shapes {
  return [
    ...['self_attn', 'multihead_attn'].flatMap(
      (part): Shapes => [
        [`${at}${part}.in_proj_weight`, [3 * size, size]],
        [`${at}${part}.in_proj_bias`, [3 * size]],
        ...both(`${at}${part}.out_proj`, [size, size]),
      ],
    ),
    ...both(`${at}linear1`, [feedForward, size]),
    ...both(`${at}linear2`, [size, feedForward]),
    ...['norm1', 'norm2', 'norm3'].flatMap((part) => both(`${at}${part}`, [size])),
  ];
}

/** CLIP's config.json, whose picture is another than the position table's. */
export const clipConfig = (width: number, patch: number, feedForward: number) => ({
  model_type: 'clip',
  vision_config: {
    model_type: 'clip_vision_model',
    hidden_size: width,
    intermediate_size: feedForward,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    patch_size: patch,
    image_size: 2 * patch,
  },
});

/** Values in -1/8..1/8, positive variances; what `alike` gives one text has the same values. */
export function tensorsOf(shapes: Shapes, alike: (name: string) => string = (name) => name): NamedTensor[] {
  const phases = new Map<string, number>();
  return shapes.map(([name, shape]) => {
    const phase = phases.get(alike(name)) ?? phases.size;
    phases.set(alike(name), phase);
    const shift = name.endsWith('running_var') ? 0.5 : 0;
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => shift + Math.sin(i * 1.7 + phase) / 8);
    return { name, shape: [...shape], values };
  });
}

export interface Changes {
  readonly config?: Record<string, unknown>;
  readonly tensors?: (tensors: NamedTensor[]) => NamedTensor[];
  readonly tokenizer?: Record<string, unknown>;
}

/** Writes weights, language config and tokenizer below `root` of a new folder `to`. */
export async function writeTrainerFolder(to: string, root: string, tensors: NamedTensor[], changes: Changes): Promise<void> {
  const config = join(to, root, 'llama-7b-hf');
  const tokenizer = join(to, root, 'tokenizer');
  for (const folder of [config, tokenizer]) await mkdir(folder, { recursive: true });
  await writeFile(join(config, 'config.json'), JSON.stringify({ ...languageConfig, ...changes.config }));
  await cp(join(golden, 'llava/original-llama-bin2/checkpoint/tokenizer.model'), join(tokenizer, 'tokenizer.model'));
  const added = Object.fromEntries(Object.entries(letterPieces).map(([id, content]) => [id, { content }]));
  const empty = { bos_token: '', eos_token: '', unk_token: '', tokenizer_class: 'LlamaTokenizer', added_tokens_decoder: added };
  await writeFile(join(tokenizer, 'tokenizer_config.json'), JSON.stringify({ ...empty, ...changes.tokenizer }));
  await writeFile(join(to, 'pytorch_model.bin'), stateFile(changes.tensors?.(tensors) ?? tensors));
}
