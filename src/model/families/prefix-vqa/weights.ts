/**
 * The authors' tensor names in ours, the check of all names and shapes, and what is made of learned rows: keys and values of each layer (prefix
 * tuning), or rows behind the token table (prompt tuning; p-tuning runs its layers once, here).
 *
 * GPT-2 holds matrices as [in, out]; messages show them as the file does. Causal masks that old versions saved beside them (`attn.bias`) are no
 * weights. Source: peft 0.3 to 0.5 (tuners/lora.py, prefix_tuning.py, prompt_tuning.py, p_tuning.py).
 */
import { WetreadError } from '#domain/errors.ts';
import { mergeLora } from '../../checkpoint/lora.ts';
import { checkTensors } from '../../checkpoint/misfit.ts';
import { expectedShapes, type Spelling, speltReader } from '../../checkpoint/spelling.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { turnedSource } from '../../checkpoint/turned.ts';
import { tensorNeeds } from '../../onnx/files.ts';
import type { TensorNeed } from '../../onnx/graph.ts';
import { openaiClipRest, openaiClipSpelling } from '../openai-clip.ts';
import { mapperNames, type PrefixVqaArchitecture, prefixVqaGraphs, promptHead, promptTable } from './architecture.ts';

/** lora_alpha of the authors' code, which no file says. */
export const authorsLoraAlpha = 32;

export interface Sources {
  /** `open_ended_latest.pt`, LoRA pairs merged, matrices as [out, in]. */
  readonly language: TensorSource;
  readonly clip: TensorSource;
  readonly clipForm: 'hf' | 'openai';
}

const isConv1d = (name: string): boolean => /^gpt\..*\.(c_attn|c_proj|c_fc)(\.base_layer)?\.weight$/.test(name);
const isOpenAiProjection = (name: string): boolean => name === 'visual.proj';
const isTurned = (name: string): boolean => isConv1d(name) || isOpenAiProjection(name);

/** Gives a source with matrices as [out, in] and LoRA pairs merged. @throws checkpoint-tensors */
export async function openedLanguage(source: TensorSource, loraAlpha: number): Promise<TensorSource> {
  return mergeLora(await turnedSource(source, isTurned), loraAlpha);
}

export async function openedClip(source: TensorSource): Promise<TensorSource> {
  return await turnedSource(source, isTurned);
}

function languageSpelling({ model, root }: PrefixVqaArchitecture): Spelling {
  const mapper: Spelling = [
    [/^mapper\.linears\.(\d+)\./, (index) => `${mapperNames}model.${3 * Number(index)}.`],
    [/^mapper\.linear\./, `${mapperNames}linear.`],
    [/^mapper\.prefix$/, `${mapperNames}prefix_const`],
    [/^mapper\.layers\./, `${mapperNames}transformer.layers.`],
    [/(?<=^clip_project\..*)\.layer_norm([12])\./, '.norm$1.'],
    [/(?<=^clip_project\..*)\.self_attn\.q_proj\./, '.attn.to_queries.'],
    [/(?<=^clip_project\..*)\.self_attn\.[kv]_proj\./, '.attn.to_keys_values.'],
    [/(?<=^clip_project\..*)\.self_attn\.out_proj\./, '.attn.project.'],
  ];
  if (model === 'gpt2') {
    return [
      ...mapper,
      [/^decoder\.embed_tokens\./, `${root}transformer.wte.`],
      [/^decoder\.embed_positions\./, `${root}transformer.wpe.`],
      [/^decoder\.norm\./, `${root}transformer.ln_f.`],
      [/^decoder\.layers\./, `${root}transformer.h.`],
      [/^head\./, `${root}lm_head.`],
      [/\.input_layernorm\./, '.ln_1.'],
      [/\.post_attention_layernorm\./, '.ln_2.'],
      [/(?<=^gpt\..*)\.self_attn\.[qkv]_proj\./, '.attn.c_attn.'],
      [/(?<=^gpt\..*)\.self_attn\.o_proj\./, '.attn.c_proj.'],
      [/(?<=^gpt\..*)\.mlp\.fc1\./, '.mlp.c_fc.'],
      [/(?<=^gpt\..*)\.mlp\.fc2\./, '.mlp.c_proj.'],
    ];
  }
  return [
    ...mapper,
    [/^decoder\.(embed_tokens|embed_positions)\./, `${root}biogpt.$1.`],
    [/^decoder\.norm\./, `${root}biogpt.layer_norm.`],
    [/^decoder\.layers\./, `${root}biogpt.layers.`],
    [/^head\./, `${root}output_projection.`],
    [/\.input_layernorm\./, '.self_attn_layer_norm.'],
    [/\.post_attention_layernorm\./, '.final_layer_norm.'],
    [/(?<=^gpt\..*)\.self_attn\.o_proj\./, '.self_attn.out_proj.'],
    [/(?<=^gpt\..*)\.mlp\.(fc[12])\./, '.$1.'],
  ];
}

const hfClipSpelling: Spelling = [
  [/^vision\.projection\./, 'visual_projection.'],
  [/^vision\./, 'vision_model.'],
];

const hfClipRest = /^text_model\.|^text_projection\.|^logit_scale$|\.embeddings\.position_ids$/;

const isCausalMask = (name: string): boolean => /^gpt\..*\.attn\.(bias|masked_bias)$/.test(name);

const ourTable = 'decoder.embed_tokens.weight';
const virtualName = /^virtual\.(\d+)\.(key|value)$/;

function needsOf(a: PrefixVqaArchitecture): { readonly language: TensorNeed[]; readonly clip: TensorNeed[] } {
  const needs = [...tensorNeeds(prefixVqaGraphs(a)).values()];
  return {
    clip: needs.filter(({ name }) => name.startsWith('vision.')),
    language: needs.filter(({ name }) => !name.startsWith('vision.') && !virtualName.test(name)),
  };
}

/** The authors' names with the shapes that they must have, matrices as [out, in]. */
function languageShapes(a: PrefixVqaArchitecture, names: readonly string[]): Map<string, readonly number[]> {
  const { decoder, tuning } = a;
  const table = [decoder.vocabSize, decoder.hiddenSize];
  const needs = needsOf(a).language.map((need) => (need.name === ourTable ? { ...need, shape: table } : need));
  const expected = expectedShapes(needs, languageSpelling(a));
  for (const name of [tiedHeadName(a), tuning.kind === 'weights' ? null : 'gpt.word_embeddings.weight']) {
    if (name !== null && names.includes(name)) expected.set(name, table);
  }
  if (tuning.kind === 'prefix') expected.set(promptTable, [tuning.rows, 2 * decoder.scoreScales.length * decoder.hiddenSize]);
  if (tuning.kind === 'prompt') {
    expected.set(promptTable, [tuning.rows, decoder.hiddenSize]);
    for (const [layer, [out, into]] of promptLayers(a).entries()) {
      expected.set(`${promptHead}.${2 * layer}.weight`, [out, into]);
      expected.set(`${promptHead}.${2 * layer}.bias`, [out]);
    }
  }
  return expected;
}

/** [out, in] of p-tuning's layers; none where the rows lie as they are. */
function promptLayers({ decoder, tuning }: PrefixVqaArchitecture): readonly (readonly [number, number])[] {
  if (tuning.kind !== 'prompt' || tuning.hidden === null) return [];
  const { hidden } = tuning;
  return [
    [hidden, decoder.hiddenSize],
    [hidden, hidden],
    [decoder.hiddenSize, hidden],
  ];
}

/** The head's name where the table is the head. */
function tiedHeadName({ decoder, model, root }: PrefixVqaArchitecture): string | null {
  if (!decoder.tiedHead) return null;
  return `${root}${model === 'gpt2' ? 'lm_head' : 'output_projection'}.weight`;
}

/** As the file holds it. */
function asWritten(source: TensorSource): Pick<TensorSource, 'names' | 'info'> {
  return { names: source.names, info: (name) => ({ dtype: source.info(name).dtype, shape: turned(name, source.info(name).shape) }) };
}

const turned = (name: string, shape: readonly number[]): readonly number[] => (isTurned(name) ? shape.toReversed() : shape);

const turnedShapes = (expected: ReadonlyMap<string, readonly number[]>): Map<string, readonly number[]> =>
  new Map([...expected].map(([name, shape]) => [name, turned(name, shape)]));

/** @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part */
export async function checkPrefixVqaTensors(a: PrefixVqaArchitecture, { language, clip, clipForm }: Sources): Promise<void> {
  checkTensors(turnedShapes(languageShapes(a, language.names)), asWritten(language), isCausalMask);
  const spelling = clipForm === 'hf' ? hfClipSpelling : openaiClipSpelling;
  const extra = clipForm === 'hf' ? hfClipRest : openaiClipRest;
  checkTensors(turnedShapes(expectedShapes(needsOf(a).clip, spelling)), asWritten(clip), (name) => extra.test(name));
  await checkTiedHead(a, language);
}

/** @throws checkpoint-tensors when a head that should be the token table has other values */
async function checkTiedHead(a: PrefixVqaArchitecture, source: TensorSource): Promise<void> {
  const head = tiedHeadName(a);
  if (head === null || !source.names.includes(head)) return;
  const table = `${a.root}${a.model === 'gpt2' ? 'transformer.wte' : 'biogpt.embed_tokens'}.weight`;
  const [own, rows] = [await source.readF32(head), await source.readF32(table)];
  const at = rows.findIndex((value, i) => value !== own[i]);
  if (at < 0) return;
  throw new WetreadError(
    'checkpoint-tensors',
    `${head} and ${table} differ at value ${at}; the config says that they are one (tie_word_embeddings)`,
  );
}

/** x [rows, in] times weight [out, in], plus bias, in double precision. */
function product(x: Float32Array, weight: Float32Array, bias: Float32Array): Float32Array {
  const out = bias.length;
  const into = weight.length / out;
  return Float32Array.from({ length: (x.length / into) * out }, (_, at) => {
    const row = Math.floor(at / out);
    let sum = bias[at % out] ?? Number.NaN;
    for (let i = 0; i < into; i++) sum += (x[row * into + i] ?? Number.NaN) * (weight[(at % out) * into + i] ?? Number.NaN);
    return sum;
  });
}

/** The learned rows of prompt tuning, through p-tuning's layers where there are any. */
async function promptRows(a: PrefixVqaArchitecture, source: TensorSource): Promise<Float32Array> {
  let rows = await source.readF32(promptTable);
  for (const layer of promptLayers(a).keys()) {
    if (layer > 0) rows = rows.map((value) => Math.max(0, value));
    const at = `${promptHead}.${2 * layer}`;
    rows = product(rows, await source.readF32(`${at}.weight`), await source.readF32(`${at}.bias`));
  }
  return rows;
}

/** Keys or values of one layer, [heads, rows, headDim], from the table [rows, layers x (keys, values) x heads x headDim]. */
function virtualPart(table: Float32Array, a: PrefixVqaArchitecture, layer: number, part: string): Float32Array {
  const { heads, headDim, hiddenSize, scoreScales } = a.decoder;
  const width = 2 * scoreScales.length * hiddenSize;
  const rows = table.length / width;
  const from = (2 * layer + (part === 'key' ? 0 : 1)) * hiddenSize;
  return Float32Array.from({ length: heads * rows * headDim }, (_, at) => {
    const head = Math.floor(at / (rows * headDim));
    const row = Math.floor(at / headDim) % rows;
    return table[row * width + from + head * headDim + (at % headDim)] ?? Number.NaN;
  });
}

/** Values by our name. */
export function reader(a: PrefixVqaArchitecture, { language, clip, clipForm }: Sources): (ours: string) => Promise<Float32Array> {
  const ofClip = speltReader(clip, clipForm === 'hf' ? hfClipSpelling : openaiClipSpelling);
  const ofLanguage = speltReader(language, languageSpelling(a));
  return async (ours) => {
    if (ours.startsWith('vision.')) return await ofClip(ours);
    const [, layer, part] = virtualName.exec(ours) ?? [];
    if (part !== undefined) return virtualPart(await language.readF32(promptTable), a, Number(layer), part);
    if (ours !== ourTable || a.tuning.kind !== 'prompt') return await ofLanguage(ours);
    const [table, rows] = [await ofLanguage(ours), await promptRows(a, language)];
    const whole = new Float32Array(table.length + rows.length);
    whole.set(table);
    whole.set(rows, table.length);
    return whole;
  };
}
