/** Checkpoints as the authors' code saves them, in all their kinds: names and shapes written out here, not taken from the importer. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { stateFile } from '../../checkpoint/torch-file.ts';
import { answering } from '../answering.ts';

export const hidden = 32;
export const layers = 2;
export const slot = 3;
const heads = 4;
const mlp = 4 * hidden;
const projection = 6;
const tower = { width: 64, mlp: 20, layers: 2, patch: 4, side: 3 };

type Shapes = [string, number[]][];

const both = (name: string, ...shape: number[]): Shapes => [
  [`${name}.weight`, shape],
  [`${name}.bias`, shape.slice(0, 1)],
];
/** Of a matrix stored as [in, out]. */
const conv = (name: string, into: number, out: number): Shapes => [
  [`${name}.weight`, [into, out]],
  [`${name}.bias`, [out]],
];

/** Bytes as characters of GPT-2's alphabet, the words of an answer, the end. */
const words = ['The', ' lungs', ' are', ' clear', '.', ' No', ' effusion', '!'];
const alphabet = Array.from({ length: 256 }, (_, byte) => byteCharacter(byte));
const gptVocab = [...new Set([...alphabet, ...words.map((word) => word.replace(' ', 'Ġ')), 'on']), '<|endoftext|>'];
export const endId = gptVocab.length - 1;
const answer = words.map((word) => gptVocab.indexOf(word.replace(' ', 'Ġ')));

function byteCharacter(byte: number): string {
  const isPrintable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  if (isPrintable(byte)) return String.fromCharCode(byte);
  return String.fromCharCode(256 + Array.from({ length: byte }, (_, b) => b).filter((b) => !isPrintable(b)).length);
}

const bioVocab = [
  '<s>',
  '<pad>',
  '</s>',
  '<unk>',
  'an',
  ...new Set([...'question:canstwrpd?'].flatMap((letter) => [letter, `${letter}</w>`])),
];

export const vocabOf = (model: Kind['model']): number => (model === 'gpt2' ? gptVocab : bioVocab).length;

export interface Kind {
  readonly model: 'gpt2' | 'biogpt';
  /** `lora`: names of peft 0.6 and later; `lora-old`: before it. */
  readonly tuning: 'frozen' | 'lora' | 'lora-old' | 'prefix' | 'prompt' | 'p-tuning';
  readonly mapper: 'mlp' | 'transformer';
  readonly clip: 'hf' | 'openai';
}

export const virtualRows = 5;
export const loraRank = 2;

function rootOf({ tuning }: Kind): string {
  if (tuning === 'frozen') return 'gpt.';
  return tuning.startsWith('lora') ? 'gpt.base_model.model.' : 'gpt.base_model.';
}

/** A matrix that LoRA pairs may stand beside. */
function tuned(name: string, shapes: Shapes, { tuning }: Kind, into: number, out: number): Shapes {
  if (!tuning.startsWith('lora')) return shapes;
  const pairs: Shapes = [
    [`${name}.lora_A.default.weight`, [loraRank, into]],
    [`${name}.lora_B.default.weight`, [out, loraRank]],
  ];
  const renamed = shapes.map(([full, shape]): [string, number[]] => [full.replace(name, `${name}.base_layer`), shape]);
  return [...(tuning === 'lora' ? renamed : shapes), ...pairs];
}

function gpt2(kind: Kind, positions: number): Shapes {
  const at = `${rootOf(kind)}transformer.`;
  return [
    [`${at}wte.weight`, [gptVocab.length, hidden]],
    [`${at}wpe.weight`, [positions, hidden]],
    ...Array.from({ length: layers }, (_, n): Shapes => {
      const block = `${at}h.${n}.`;
      return [
        ...both(`${block}ln_1`, hidden),
        // A causal mask that old versions saved: no weight.
        [`${block}attn.bias`, [1, 1, positions, positions]],
        [`${block}attn.masked_bias`, []],
        ...tuned(`${block}attn.c_attn`, conv(`${block}attn.c_attn`, hidden, 3 * hidden), kind, hidden, 3 * hidden),
        ...conv(`${block}attn.c_proj`, hidden, hidden),
        ...both(`${block}ln_2`, hidden),
        ...conv(`${block}mlp.c_fc`, hidden, mlp),
        ...conv(`${block}mlp.c_proj`, mlp, hidden),
      ];
    }).flat(),
    ...both(`${at}ln_f`, hidden),
    [`${rootOf(kind)}lm_head.weight`, [gptVocab.length, hidden]],
  ];
}

function biogpt(kind: Kind, positions: number): Shapes {
  const at = `${rootOf(kind)}biogpt.`;
  const vocab = vocabOf('biogpt');
  return [
    [`${at}embed_tokens.weight`, [vocab, hidden]],
    [`${at}embed_positions.weight`, [positions + 2, hidden]],
    ...Array.from({ length: layers }, (_, n): Shapes => {
      const block = `${at}layers.${n}.`;
      return [
        ...['k', 'v', 'q', 'out'].flatMap((part): Shapes => {
          const name = `${block}self_attn.${part}_proj`;
          const own = both(name, hidden, hidden);
          return part === 'q' || part === 'v' ? tuned(name, own, kind, hidden, hidden) : own;
        }),
        ...both(`${block}self_attn_layer_norm`, hidden),
        ...both(`${block}fc1`, mlp, hidden),
        ...both(`${block}fc2`, hidden, mlp),
        ...both(`${block}final_layer_norm`, hidden),
      ];
    }).flat(),
    ...both(`${at}layer_norm`, hidden),
    [`${rootOf(kind)}output_projection.weight`, [vocab, hidden]],
  ];
}

function learned({ model, tuning }: Kind): Shapes {
  const table = 'gpt.prompt_encoder.default.embedding.weight';
  if (tuning !== 'prefix' && tuning !== 'prompt' && tuning !== 'p-tuning') return [];
  const width = tuning === 'prefix' ? 2 * layers * hidden : hidden;
  const head = 'gpt.prompt_encoder.default.mlp_head';
  return [
    [table, [virtualRows, width]],
    ['gpt.word_embeddings.weight', [vocabOf(model), hidden]],
    ...(tuning === 'p-tuning' ? [...both(`${head}.0`, 7, hidden), ...both(`${head}.2`, 7, 7), ...both(`${head}.4`, hidden, 7)] : []),
  ];
}

function mapper({ mapper: kind }: Kind): Shapes {
  const at = 'clip_project.';
  if (kind === 'mlp') {
    return [
      ...both(`${at}model.0`, (slot * hidden) / 2, projection),
      ...both(`${at}model.3`, slot * hidden, (slot * hidden) / 2),
      ...both(`${at}model.6`, slot * hidden, slot * hidden),
    ];
  }
  return [
    ...both(`${at}linear`, 4 * hidden, projection),
    [`${at}prefix_const`, [slot, hidden]],
    ...Array.from({ length: 2 }, (_, n): Shapes => {
      const block = `${at}transformer.layers.${n}.`;
      return [
        ...both(`${block}norm1`, hidden),
        [`${block}attn.to_queries.weight`, [hidden, hidden]],
        [`${block}attn.to_keys_values.weight`, [2 * hidden, hidden]],
        ...both(`${block}attn.project`, hidden, hidden),
        ...both(`${block}norm2`, hidden),
        ...both(`${block}mlp.fc1`, 2 * hidden, hidden),
        ...both(`${block}mlp.fc2`, hidden, 2 * hidden),
      ];
    }).flat(),
  ];
}

function openAiClip(): Shapes {
  const { width, layers: depth, patch, side } = tower;
  return [
    ['visual.conv1.weight', [width, 3, patch, patch]],
    ['visual.class_embedding', [width]],
    ['visual.positional_embedding', [side * side + 1, width]],
    ['visual.proj', [width, projection]],
    ...both('visual.ln_pre', width),
    ...both('visual.ln_post', width),
    ...Array.from({ length: depth }, (_, n): Shapes => {
      const at = `visual.transformer.resblocks.${n}.`;
      return [
        ...both(`${at}ln_1`, width),
        [`${at}attn.in_proj_weight`, [3 * width, width]],
        [`${at}attn.in_proj_bias`, [3 * width]],
        ...both(`${at}attn.out_proj`, width, width),
        ...both(`${at}ln_2`, width),
        ...both(`${at}mlp.c_fc`, tower.mlp, width),
        ...both(`${at}mlp.c_proj`, width, tower.mlp),
      ];
    }).flat(),
    // The text side.
    ['transformer.resblocks.0.attn.in_proj_weight', [6, 2]],
    ['token_embedding.weight', [9, 2]],
    ['positional_embedding', [7, 2]],
    ['logit_scale', []],
  ];
}

function hfClip(): Shapes {
  const { width, layers: depth, patch, side } = tower;
  const at = 'vision_model.';
  return [
    [`${at}embeddings.class_embedding`, [width]],
    [`${at}embeddings.patch_embedding.weight`, [width, 3, patch, patch]],
    [`${at}embeddings.position_embedding.weight`, [side * side + 1, width]],
    ...both(`${at}pre_layrnorm`, width),
    ...both(`${at}post_layernorm`, width),
    ...Array.from({ length: depth }, (_, n): Shapes => {
      const block = `${at}encoder.layers.${n}.`;
      return [
        ...both(`${block}layer_norm1`, width),
        ...both(`${block}layer_norm2`, width),
        ...['q', 'k', 'v', 'out'].flatMap((part) => both(`${block}self_attn.${part}_proj`, width, width)),
        ...both(`${block}mlp.fc1`, tower.mlp, width),
        ...both(`${block}mlp.fc2`, width, tower.mlp),
      ];
    }).flat(),
    ['visual_projection.weight', [projection, width]],
    ['text_model.final_layer_norm.weight', [2]],
    ['logit_scale', []],
  ];
}

const clipConfig = {
  model_type: 'clip',
  projection_dim: projection,
  vision_config: {
    hidden_size: tower.width,
    intermediate_size: tower.mlp,
    num_hidden_layers: tower.layers,
    num_attention_heads: 4,
    image_size: tower.side * tower.patch,
    patch_size: tower.patch,
  },
};

const configs = {
  gpt2: {
    model_type: 'gpt2',
    n_embd: hidden,
    n_layer: layers,
    n_head: heads,
  },
  biogpt: {
    model_type: 'biogpt',
    hidden_size: hidden,
    intermediate_size: mlp,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    layer_norm_eps: 1e-12,
  },
} as const;

/** Values in -1/4..1/4 that no other tensor has; a head and a repeated table have those of the token table. */
function tensorsOf(shapes: Shapes): NamedTensor[] {
  const isTable = /(wte|lm_head|word_embeddings|embed_tokens|output_projection)\.weight$/;
  return shapes.map(([name, shape], index): NamedTensor => {
    const phase = isTable.test(name) ? 0 : index + 1;
    return {
      name,
      shape,
      values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.3 * i + phase) / 4),
    };
  });
}

export interface Changes {
  /** Rows of the position table. */
  readonly positions?: number;
  readonly config?: Record<string, unknown>;
  readonly tensors?: (tensors: NamedTensor[]) => NamedTensor[];
  readonly clip?: (tensors: NamedTensor[]) => NamedTensor[];
  readonly vocab?: Record<string, number>;
}

export const plain: Kind = { model: 'gpt2', tuning: 'lora', mapper: 'mlp', clip: 'openai' };

/** Writes the checkpoint into a new folder `to`. */
export async function writeCheckpoint(to: string, kind: Kind = plain, changes: Changes = {}): Promise<void> {
  const base = join(to, kind.model === 'gpt2' ? 'gpt2-xl' : 'biogpt');
  await mkdir(base, { recursive: true });
  const json = (path: string, value: unknown) => writeFile(path, JSON.stringify(value));
  const { positions = 60 } = changes;
  const own = [...(kind.model === 'gpt2' ? gpt2(kind, positions) : biogpt(kind, positions)), ...learned(kind), ...mapper(kind)];
  const context = { [kind.model === 'gpt2' ? 'n_positions' : 'max_position_embeddings']: positions };
  const tensors = tensorsOf(own);
  await writeFile(join(to, 'open_ended_latest.pt'), stateFile(changes.tensors?.(tensors) ?? tensors));
  await json(join(base, 'config.json'), { ...configs[kind.model], vocab_size: vocabOf(kind.model), ...context, ...changes.config });
  const vocab = kind.model === 'gpt2' ? gptVocab : bioVocab;
  await json(join(base, 'vocab.json'), { ...Object.fromEntries(vocab.map((token, id) => [token, id])), ...changes.vocab });
  await writeFile(join(base, 'merges.txt'), kind.model === 'gpt2' ? '#version: 0.2\no n\n' : 'a n 12\n');
  await json(join(base, 'tokenizer_config.json'), { tokenizer_class: kind.model === 'gpt2' ? 'GPT2Tokenizer' : 'BioGptTokenizer' });
  const clip = tensorsOf(kind.clip === 'hf' ? hfClip() : openAiClip());
  const changed = changes.clip?.(clip) ?? clip;
  if (kind.clip === 'openai') return await writeFile(join(to, 'ViT-B-32.pt'), stateFile(changed));
  const folder = join(to, 'clip-vit-base-patch32');
  await mkdir(folder);
  await writeSafetensors(join(folder, 'model.safetensors'), changed);
  await json(join(folder, 'config.json'), clipConfig);
}

/** Random weights that draft. */
export function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  const root = rootOf(plain);
  return writeCheckpoint(to, plain, {
    positions: 200,
    tensors: (tensors) =>
      answering(tensors, seed, {
        tables: [`${root}transformer.wte.weight`, `${root}lm_head.weight`],
        head: null,
        lastNorm: `${root}transformer.ln_f.weight`,
        quiet: /(wpe|c_proj|lora_B\.default)\.weight$/,
        answer: [...answer, endId],
      }),
  });
}
