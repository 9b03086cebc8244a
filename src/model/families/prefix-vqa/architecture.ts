/**
 * What a trained `open_ended_latest.pt`, the base model's config.json and a CLIP say together. The `.pt` has no config: heads, flags and
 * positions are in the base model's; how it was tuned, the mapper and the slot follow from names and shapes.
 *
 * BioGPT's norms have the epsilon of torch, whatever layer_norm_eps says, and its token rows are not scaled, because the authors' code gives rows.
 * Source: tjvsonsbeek/open-ended-medical-vqa at c605aeb; transformers 4.28 models/{gpt2,biogpt}; peft 0.3 to 0.5.
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { refuseMisfit } from '../../checkpoint/misfit.ts';
import { countNumbered, dimensions } from '../../checkpoint/shapes.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { cacheHeadDim } from '../../onnx/decoder.ts';
import type { GraphFile } from '../../onnx/files.ts';
import type { Activation } from '../../onnx/layers.ts';
import type { ModelSizes } from '../../onnx/sizes.ts';
import { graphFiles } from '../image-decoder.ts';
import { type PositionDecoder, positionDecoder, tableGraph } from './decoder.ts';
import { type Mapper, mapperHeads, type PooledTower, pooledGraph, type Slot } from './mapper.ts';

type Shapes = Pick<TensorSource, 'names' | 'info'>;

/** How the language model was tuned, beyond its weights. */
export type Tuning =
  | { readonly kind: 'weights' }
  /** Keys and values of `rows` virtual rows in every layer. */
  | { readonly kind: 'prefix'; readonly rows: number }
  /** `rows` rows in front of every prompt; `hidden` = width of the layers that make them (p-tuning), null = they lie as they are. */
  | { readonly kind: 'prompt'; readonly rows: number; readonly hidden: number | null };

export interface PrefixVqaArchitecture {
  readonly model: 'gpt2' | 'biogpt';
  /** What stands in front of the language model's names: `gpt.`, `gpt.base_model.` or `gpt.base_model.model.`. */
  readonly root: string;
  readonly decoder: PositionDecoder;
  readonly tuning: Tuning;
  readonly tower: PooledTower;
  readonly mapper: Mapper;
  readonly slot: Slot;
}

/** Learned rows of prompt tuning and p-tuning. */
export const promptTable = 'gpt.prompt_encoder.default.embedding.weight';
export const promptHead = 'gpt.prompt_encoder.default.mlp_head';
export const mapperNames = 'clip_project.';

function refuse(message: string): never {
  throw new WetreadError('architecture-unsupported', message);
}

const size = z.int().positive();

const gpt2Schema = z.looseObject({
  vocab_size: size.default(50257),
  n_positions: size.default(1024),
  n_embd: size.default(768),
  n_layer: size.default(12),
  n_head: size.default(12),
  n_inner: size.nullish(),
  activation_function: z.string().default('gelu_new'),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  add_cross_attention: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
});

const biogptSchema = z.looseObject({
  vocab_size: size.default(42384),
  hidden_size: size.default(1024),
  num_hidden_layers: size.default(24),
  num_attention_heads: size.default(16),
  intermediate_size: size.default(4096),
  hidden_act: z.string().default('gelu'),
  max_position_embeddings: size.default(1024),
  tie_word_embeddings: z.boolean().default(true),
});

/** transformers' names of activations. */
const activationsByName: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_pytorch_tanh',
  gelu_fast: 'gelu_pytorch_tanh',
  gelu_pytorch_tanh: 'gelu_pytorch_tanh',
  quick_gelu: 'quick_gelu',
  relu: 'relu',
  tanh: 'tanh',
};

function activationOf(name: string, where: string): Activation {
  const activation = Object.hasOwn(activationsByName, name) ? activationsByName[name] : undefined;
  return activation ?? refuse(`${where} is ${name}; ${Object.keys(activationsByName).join(', ')} are known`);
}

function parsed<S extends z.ZodType>(schema: S, config: unknown, where: string): z.output<S> {
  const result = schema.safeParse(config);
  return result.success ? result.data : refuse(`${where}: ${z.prettifyError(result.error).replaceAll('\n', ' ')}`);
}

function headDim(hidden: number, heads: number, where: string): number {
  return hidden % heads === 0 ? hidden / heads : refuse(`${where}: a width of ${hidden} cannot be shared by ${heads} heads`);
}

/** The language model by its config alone. @param where the config's place, for messages @throws architecture-unsupported naming the key */
export function readDecoder(config: unknown, where: string): { readonly model: 'gpt2' | 'biogpt'; readonly decoder: PositionDecoder } {
  const { model_type: model } = parsed(z.looseObject({ model_type: z.string() }), config, where);
  if (model === 'gpt2') {
    const keys = parsed(gpt2Schema, config, where);
    if (keys.add_cross_attention) return refuse(`${where}: add_cross_attention is true; only false is built`);
    const width = headDim(keys.n_embd, keys.n_head, where);
    const scale = keys.scale_attn_weights ? 1 / Math.sqrt(width) : 1;
    const decoder: PositionDecoder = {
      hiddenSize: keys.n_embd,
      intermediateSize: keys.n_inner ?? 4 * keys.n_embd,
      heads: keys.n_head,
      headDim: width,
      normEpsilon: keys.layer_norm_epsilon,
      vocabSize: keys.vocab_size,
      activation: activationOf(keys.activation_function, `${where}: activation_function`),
      maxPositions: keys.n_positions,
      positionOffset: 0,
      scoreScales: Array.from({ length: keys.n_layer }, (_, layer) => (keys.scale_attn_by_inverse_layer_idx ? scale / (layer + 1) : scale)),
      tiedHead: keys.tie_word_embeddings,
    };
    return { model, decoder };
  }
  if (model !== 'biogpt') return refuse(`${where}: model_type is ${model}; gpt2 and biogpt are built`);
  const keys = parsed(biogptSchema, config, where);
  const width = headDim(keys.hidden_size, keys.num_attention_heads, where);
  const decoder: PositionDecoder = {
    hiddenSize: keys.hidden_size,
    intermediateSize: keys.intermediate_size,
    heads: keys.num_attention_heads,
    headDim: width,
    normEpsilon: 1e-5,
    vocabSize: keys.vocab_size,
    activation: activationOf(keys.hidden_act, `${where}: hidden_act`),
    maxPositions: keys.max_position_embeddings,
    positionOffset: 2,
    scoreScales: new Array<number>(keys.num_hidden_layers).fill(1 / Math.sqrt(width)),
    tiedHead: keys.tie_word_embeddings,
  };
  return { model, decoder };
}

const roots = ['gpt.', 'gpt.base_model.', 'gpt.base_model.model.'] as const;

/** @throws architecture-unsupported when the file holds another language model than the config says, or none */
function rootOf(model: 'gpt2' | 'biogpt', source: Shapes): string {
  const table = model === 'gpt2' ? 'transformer.wte.weight' : 'biogpt.embed_tokens.weight';
  const root = roots.find((candidate) => source.names.includes(`${candidate}${table}`));
  return (
    root ?? refuse(`the base model's config.json is of ${model}; the weights have none of ${roots.map((at) => at + table).join(', ')}`)
  );
}

function readTuning(decoder: PositionDecoder, source: Shapes): Tuning {
  if (!source.names.includes(promptTable)) return { kind: 'weights' };
  const [rows = 0, width = 0] = dimensions(source, promptTable, 2);
  const cached = 2 * decoder.scoreScales.length * decoder.hiddenSize;
  if (width === cached) return { kind: 'prefix', rows };
  if (width !== decoder.hiddenSize) {
    const expected = `[${rows}, ${cached}] (keys and values of every layer) or [${rows}, ${decoder.hiddenSize}] (rows)`;
    refuseMisfit({ missing: [], misshapen: [`${promptTable} is [${rows}, ${width}], ${expected} expected`], extra: [] });
  }
  const first = `${promptHead}.0.weight`;
  return { kind: 'prompt', rows, hidden: source.names.includes(first) ? (dimensions(source, first, 2)[0] ?? 0) : null };
}

/** Rows of `name` [rows x hidden, ..] in units of `hidden`. */
function inRows(count: number, name: string, hidden: number): number {
  if (count % hidden === 0) return count / hidden;
  throw new WetreadError(
    'checkpoint-tensors',
    `${name} has ${count} rows; a multiple of ${hidden}, the language model's width, is expected`,
  );
}

function readMapper(source: Shapes, hiddenSize: number): { readonly mapper: Mapper; readonly slot: Slot } {
  const at = (name: string) => `${mapperNames}${name}`;
  if (source.names.includes(at('prefix_const'))) {
    const [rows = 0] = dimensions(source, at('prefix_const'), 2);
    const clipRows = inRows(dimensions(source, at('linear.weight'), 2)[0] ?? 0, at('linear.weight'), hiddenSize);
    if (hiddenSize % mapperHeads !== 0) refuse(`the mapper's ${mapperHeads} heads cannot share a width of ${hiddenSize}`);
    const [intermediateSize = 0] = dimensions(source, at('transformer.layers.0.mlp.fc1.weight'), 2);
    const layers = countNumbered(source.names, at('transformer.layers.'));
    return { mapper: { kind: 'transformer', clipRows, layers, intermediateSize }, slot: { rows, hiddenSize } };
  }
  const linears = Math.ceil(countNumbered(source.names, at('model.')) / 3);
  const widths = Array.from({ length: linears }, (_, index) => dimensions(source, at(`model.${3 * index}.weight`), 2)[0] ?? 0);
  const rows = inRows(widths.at(-1) ?? 0, at(`model.${3 * (linears - 1)}.weight`), hiddenSize);
  return { mapper: { kind: 'mlp', widths }, slot: { rows, hiddenSize } };
}

/**
 * @param source the `.pt`, matrices as [out, in]
 * @param config the base model's parsed config.json, @param where its place for messages
 * @throws architecture-unsupported, checkpoint-tensors
 */
export function readArchitecture(source: Shapes, tower: PooledTower, config: unknown, where: string): PrefixVqaArchitecture {
  const { model, decoder } = readDecoder(config, where);
  const root = rootOf(model, source);
  const tuning = readTuning(decoder, source);
  const taken = tuning.kind === 'weights' ? 0 : tuning.rows;
  if (taken >= decoder.maxPositions) return refuse(`${taken} virtual rows leave no room in ${decoder.maxPositions} positions`);
  // Rows behind the vocabulary are in the table of the prompt only, so the head has a table of its own.
  const tiedHead = decoder.tiedHead && tuning.kind !== 'prompt';
  return { model, root, decoder: { ...decoder, tiedHead }, tuning, tower, ...readMapper(source, decoder.hiddenSize) };
}

/** Rows of the token table: the vocabulary, and behind it those of prompt tuning. */
export function tableRows({ decoder, tuning }: PrefixVqaArchitecture): number {
  return decoder.vocabSize + (tuning.kind === 'prompt' ? tuning.rows : 0);
}

export function prefixVqaGraphs(a: PrefixVqaArchitecture): readonly GraphFile[] {
  const virtual = a.tuning.kind === 'prefix' ? { rows: a.tuning.rows } : null;
  return [
    { file: graphFiles.vision, graph: pooledGraph(a.tower, a.mapper, a.slot) },
    { file: graphFiles.embedding, graph: tableGraph(a.decoder, tableRows(a), virtual) },
    { file: graphFiles.decoder, graph: positionDecoder(a.decoder) },
  ];
}

export function prefixVqaSizes(a: PrefixVqaArchitecture): ModelSizes {
  const { decoder, tuning } = a;
  const virtual = tuning.kind === 'prefix' ? tuning.rows : 0;
  return {
    hiddenSize: decoder.hiddenSize,
    layers: decoder.scoreScales.length,
    kvHeads: decoder.heads,
    headDim: cacheHeadDim(decoder),
    vocabSize: decoder.vocabSize,
    ...(tuning.kind === 'prompt' ? { embeddingRows: tableRows(a) } : {}),
    contextTokens: decoder.maxPositions - virtual,
    visualTokens: a.slot.rows,
    ...(virtual > 0 ? { virtualRows: virtual } : {}),
    needs: ['attention'],
  };
}
