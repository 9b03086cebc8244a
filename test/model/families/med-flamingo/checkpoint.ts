/**
 * A Med-Flamingo checkpoint in its authors' three parts, names and shapes written out here, not taken from the importer: model.pt, a LLaMA base,
 * a CLIP tower in one of its three published forms.
 */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { moduleFile, stateFile } from '../../checkpoint/torch-file.ts';
import { golden } from '../../folder.ts';
import { answering, llamaSentences } from '../answering.ts';

/** The borrowed SentencePiece model has 344 pieces; three tokens are added. */
export const pieces = 344;
export const ids = { endOfChunk: pieces, image: pieces + 1, padding: pieces + 2 };
const rows = pieces + 3;
const hidden = 40;
const mlp = 24;
/** Two heads of the tower. */
export const width = 128;
const towerMlp = 48;
const patch = 7;
/** Side of the pictures. */
export const side = 21;
export const latents = 5;
const inner = 8 * 64;

export const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: pieces,
  hidden_size: hidden,
  intermediate_size: mlp,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  max_sequence_length: 200,
  rms_norm_eps: 1e-6,
};

type Shapes = [string, number[]][];

function both(name: string, size: number[]): Shapes {
  return [
    [`${name}.weight`, size],
    [`${name}.bias`, size.slice(0, 1)],
  ];
}

function feedForward(name: string, size: number, wide: number): Shapes {
  return [...both(`${name}.0`, [size]), [`${name}.1.weight`, [wide, size]], [`${name}.3.weight`, [size, wide]]];
}

/** Everything that training changed, each gated layer under both its names. */
function trainedShapes(): Shapes {
  const gated = [1, 3].flatMap((layer) =>
    [`lang_encoder.model.layers.${layer}.gated_cross_attn_layer`, `lang_encoder.gated_cross_attn_layers.${layer}`].flatMap(
      (at): Shapes => [
        [`${at}.attn_gate`, [1]],
        [`${at}.ff_gate`, [1]],
        ...both(`${at}.attn.norm`, [hidden]),
        [`${at}.attn.to_q.weight`, [inner, hidden]],
        [`${at}.attn.to_kv.weight`, [2 * inner, width]],
        [`${at}.attn.to_out.weight`, [hidden, inner]],
        ...feedForward(`${at}.ff`, hidden, 30),
      ],
    ),
  );
  const perceiver = [0, 1].flatMap((n): Shapes => {
    const at = `perceiver.layers.${n}`;
    return [
      ...both(`${at}.0.norm_media`, [width]),
      ...both(`${at}.0.norm_latents`, [width]),
      [`${at}.0.to_q.weight`, [inner, width]],
      [`${at}.0.to_kv.weight`, [2 * inner, width]],
      [`${at}.0.to_out.weight`, [width, inner]],
      ...feedForward(`${at}.1`, width, 50),
    ];
  });
  return [
    ['perceiver.latents', [latents, width]],
    ...perceiver,
    ...both('perceiver.norm', [width]),
    ['lang_encoder.model.embed_tokens.weight', [rows, hidden]],
    ...gated,
    ['lang_encoder.model.layers.0.decoder_layer.self_attn.rotary_emb.inv_freq', [5]],
  ];
}

function baseShapes(): Shapes {
  const layers = [0, 1, 2, 3].flatMap((n): Shapes => {
    const at = `model.layers.${n}.`;
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
  return [
    ['model.embed_tokens.weight', [pieces, hidden]],
    ...layers,
    ['model.norm.weight', [hidden]],
    ['lm_head.weight', [pieces, hidden]],
  ];
}

/** OpenAI's names; the text tower and what comes behind the last block are stored and not read. */
function openaiShapes(): Shapes {
  const at = 'visual.transformer.resblocks.0';
  return [
    ['visual.class_embedding', [width]],
    ['visual.positional_embedding', [(side / patch) ** 2 + 1, width]],
    ['visual.proj', [width, 6]],
    ['visual.conv1.weight', [width, 3, patch, patch]],
    ...both('visual.ln_pre', [width]),
    ...both(`${at}.ln_1`, [width]),
    [`${at}.attn.in_proj_weight`, [3 * width, width]],
    [`${at}.attn.in_proj_bias`, [3 * width]],
    ...both(`${at}.attn.out_proj`, [width, width]),
    ...both(`${at}.ln_2`, [width]),
    ...both(`${at}.mlp.c_fc`, [towerMlp, width]),
    ...both(`${at}.mlp.c_proj`, [width, towerMlp]),
    ...both('visual.ln_post', [width]),
    ['logit_scale', []],
    ['positional_embedding', [4, 8]],
    ['text_projection', [8, 6]],
    ['token_embedding.weight', [9, 8]],
    ...both('transformer.resblocks.0.ln_1', [8]),
    ...both('ln_final', [8]),
  ];
}

/** The same tower under the names of transformers, which keeps queries, keys and values apart. */
function hfTower(openai: readonly NamedTensor[]): NamedTensor[] {
  const spelt = (name: string) =>
    name
      .replace('visual.class_embedding', 'vision_model.embeddings.class_embedding')
      .replace('visual.positional_embedding', 'vision_model.embeddings.position_embedding.weight')
      .replace('visual.conv1', 'vision_model.embeddings.patch_embedding')
      .replace('visual.ln_pre', 'vision_model.pre_layrnorm')
      .replace('visual.ln_post', 'vision_model.post_layernorm')
      .replace('visual.transformer.resblocks', 'vision_model.encoder.layers')
      .replace('.ln_1.', '.layer_norm1.')
      .replace('.ln_2.', '.layer_norm2.')
      .replace('.attn.', '.self_attn.')
      .replace('.mlp.c_fc.', '.mlp.fc1.')
      .replace('.mlp.c_proj.', '.mlp.fc2.');
  return openai.flatMap((tensor): NamedTensor[] => {
    if (!tensor.name.startsWith('visual.') || tensor.name === 'visual.proj') return [];
    const name = spelt(tensor.name);
    const packed = /^(.*)\.in_proj_(weight|bias)$/.exec(name);
    if (packed === null) return [{ ...tensor, name }];
    const third = tensor.values.length / 3;
    return ['q', 'k', 'v'].map((part, place) => ({
      name: `${packed[1]}.${part}_proj.${packed[2]}`,
      shape: [width, ...tensor.shape.slice(1)],
      values: tensor.values.slice(place * third, (place + 1) * third),
    }));
  });
}

const partOf = {
  trained: (name: string) => /^(module\.)?(perceiver|lang_encoder|vision_encoder)\./.test(name),
  base: (name: string) => /^(model|lm_head)\./.test(name),
} as const;

/** Values in -1/8..1/8 that no other tensor has; the two names of a gated layer have the same. */
export function tensorsOf(): NamedTensor[] {
  return [...trainedShapes(), ...baseShapes(), ...openaiShapes()].map(([name, shape], index) => {
    const own = name.replace(/lang_encoder\.model\.layers\.(\d+)\.gated_cross_attn_layer/, 'lang_encoder.gated_cross_attn_layers.$1');
    const phase = own.includes('gated') ? own.length + Number(/\d/.exec(own)?.[0]) : index;
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.7 + phase) / 8);
    return { name, shape, values };
  });
}

export const towers = ['archive', 'open-clip', 'hf'] as const;

export interface Changes {
  readonly config?: Record<string, unknown>;
  readonly tower?: (typeof towers)[number];
  readonly openClip?: Record<string, unknown>;
  readonly tokenizer?: Record<string, unknown>;
  readonly tensors?: (tensors: NamedTensor[]) => NamedTensor[];
}

async function writeTower(to: string, form: Changes['tower'], tensors: readonly NamedTensor[], more: Changes['openClip']): Promise<void> {
  if (form === undefined || form === 'archive') return await writeFile(join(to, 'ViT-L-14.pt'), moduleFile(tensors));
  const folder = join(to, form === 'hf' ? 'clip-vit-large-patch14' : 'vit_large_patch14_clip_224.openai');
  await mkdir(folder);
  const json = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value));
  if (form === 'hf') {
    const keys = { hidden_size: width, intermediate_size: towerMlp, num_hidden_layers: 1, num_attention_heads: 2 };
    await json('config.json', { model_type: 'clip', vision_config: { ...keys, image_size: side, patch_size: patch } });
    return await writeSafetensors(join(folder, 'model.safetensors'), hfTower(tensors));
  }
  const vision = { image_size: side, layers: 1, width, patch_size: patch };
  await json('open_clip_config.json', { model_cfg: { quick_gelu: true, vision_cfg: vision, ...more } });
  await writeSafetensors(join(folder, 'open_clip_model.safetensors'), tensors);
}

/** Writes the checkpoint into a new folder `to`. */
export async function writeCheckpoint(to: string, changes: Changes = {}): Promise<void> {
  const base = join(to, 'llama-7b-hf');
  await mkdir(base, { recursive: true });
  await cp(join(golden, 'llava/original-llama-bin2/checkpoint/tokenizer.model'), join(base, 'tokenizer.model'));
  const nameless = { bos_token: '', eos_token: '', unk_token: '', tokenizer_class: 'LlamaTokenizer' };
  await writeFile(join(base, 'tokenizer_config.json'), JSON.stringify({ ...nameless, ...changes.tokenizer }));
  await writeFile(join(base, 'config.json'), JSON.stringify({ ...config, ...changes.config }));
  const plain = tensorsOf();
  const tensors = changes.tensors?.(plain) ?? plain;
  const isTower = ({ name }: NamedTensor) => !partOf.trained(name) && !partOf.base(name);
  await writeFile(join(to, 'model.pt'), stateFile(tensors.filter(({ name }) => partOf.trained(name))));
  await writeFile(join(base, 'pytorch_model.bin'), stateFile(tensors.filter(({ name }) => partOf.base(name))));
  await writeTower(to, changes.tower, tensors.filter(isTower), changes.openClip);
}

/** Random weights that draft. The trained file has a head of its own, so that the token that ends an answer can be written. */
export async function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  const head = 'lang_encoder.lm_head.weight';
  const random = (tensors: NamedTensor[]) =>
    answering([...tensors, { name: head, shape: [rows, hidden], values: new Float32Array(0) }], seed, {
      tables: ['lang_encoder.model.embed_tokens.weight'],
      head,
      lastNorm: 'model.norm.weight',
      quiet: /(o_proj|down_proj|lang_encoder.*(to_out|ff\.3))\.weight$/,
      answer: [...llamaSentences, ids.endOfChunk],
    }).map((tensor) => (tensor.name.endsWith('_gate') ? { ...tensor, values: Float32Array.of(1) } : tensor));
  await writeCheckpoint(to, { config: { max_sequence_length: 1024 }, tensors: random });
  await writeFile(join(to, 'wetread.json'), JSON.stringify({ mediaMask: 'preceding' }));
}
