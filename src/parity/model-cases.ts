/** Cases of one checkpoint: imported once for each template, run on the engine, compared tensor by tensor. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NullImage } from '#domain/answer.ts';
import { stripped } from '#model/answer-text.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import type { TensorSource } from '#model/checkpoint/tensors.ts';
import type { EncodedPrompt } from '#model/encoded.ts';
import { importCheckpoint } from '#model/import.ts';
import type { WeightType } from '#model/onnx/stored-weights.ts';
import { letterId } from '#model/tokenizer/letters.ts';
import { joinRows, type Rows } from '#runtime/decoder.ts';
import { type Engine, type GenerateOptions, openEngine, type Prepared, type Whole } from '#runtime/engine.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { type CaseFile, type ModelCase, modelCaseSchema, tensorsPath } from './case.ts';
import { encodedOf, type GoldenCase, type Vocabulary } from './case-prompt.ts';
import { absent, type Cell, compareClose, compareExact, miss, type Tolerance, worst } from './compare.ts';
import { keepOneIn, leaveOneOut, shapley, subsets } from './games.ts';
import { readImportOptions } from './import-options.ts';
import { type Column, failedRow, type Row, rowOf } from './row.ts';

/** Subset log-probabilities and what follows from them. */
const scoreTolerance: Tolerance = { abs: 1e-3, rel: 0 };

/**
 * Families whose tensors are held to the tolerance of their rows: in radfm's encoder values of several hundred and of 0.1 stand in one row, and
 * the same forward in double precision is beyond the tolerance of single values too (README of the family).
 */
const comparedByRow: ReadonlySet<string> = new Set(['radfm']);

function toleranceOf(tensors: TensorSource, name: string, { family, tolerance }: ModelCase): Tolerance {
  const row = tensors.info(name).shape.at(-1);
  return comparedByRow.has(family) && name !== 'pixel_values' && row !== undefined ? { ...tolerance, row } : tolerance;
}

/** An imported checkpoint on its engine. */
export interface Loaded extends Vocabulary {
  readonly engine: Engine;
}

/** Rows of the cases of one checkpoint. */
export async function runModelCases(folder: string, files: readonly CaseFile[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const cases of casesByTemplate(files)) {
    await withEngine(folder, cases, 'fp32', async (loaded) => {
      for (const one of cases) rows.push(await runCase(loaded, one).catch((error: unknown) => failedRow(one.file.name, error)));
    });
  }
  return rows;
}

/** Cases that share a template: a bundle has one. */
export function casesByTemplate(files: readonly CaseFile[]): GoldenCase[][] {
  const cases = files.map((file) => ({ file, golden: modelCaseSchema.parse(file.json) }));
  return [...new Set(cases.map(({ golden }) => golden.template))].map((template) =>
    cases.filter(({ golden }) => golden.template === template),
  );
}

/** Imports the checkpoint of `folder` for cases of one template and gives its engine to `use`. */
export async function withEngine<T>(
  folder: string,
  cases: readonly GoldenCase[],
  weights: WeightType,
  use: (loaded: Loaded) => Promise<T>,
): Promise<T> {
  const maxImages = Math.max(1, ...cases.map(({ golden }) => golden.segments.filter((segment) => 'image' in segment).length));
  const work = await mkdtemp(join(tmpdir(), 'wetread-parity-'));
  try {
    const { bundle } = await importCheckpoint({
      from: join(folder, 'checkpoint'),
      to: join(work, 'bundle'),
      metadata: { ...(await readImportOptions(folder)), template: cases[0]?.golden.template ?? 'raw', limits: { maxImages } },
      weights,
    });
    const { manifest } = bundle;
    const runtime = openStockRuntime({ provider: 'cpu', threads: null, strict: false });
    const engine = await openEngine(runtime, bundle.dir, manifest.graphs, manifest.sizes);
    try {
      return await use({ manifest, tokenizer: await bundleTokenizer(bundle), engine });
    } finally {
      await engine.close();
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** What a case's prompt gives, to be compared between bundles of other weights. */
export interface Numbers {
  /** [rows, vocabSize] */
  readonly logits: Float32Array;
  readonly vocabSize: number;
  /** The answer; null where the case asks for none. */
  readonly tokens: readonly number[] | null;
  /** Total log-probability of the case's answer for each subset of its images. */
  readonly logProbs: readonly number[];
}

export async function numbersOf(loaded: Loaded, one: GoldenCase): Promise<Numbers> {
  const { engine } = loaded;
  const { golden } = one;
  const prepared = await engine.prepare(await encodedOf(loaded, one), golden.generation?.max_new_tokens ?? 0);
  const logProbs: number[] = [];
  for (const nullImage of ['black', 'mean'] as const) {
    const table = golden.score?.[`null_${nullImage}`];
    if (!table || !golden.answer_ids) continue;
    logProbs.push(...(await scoreSubsets(engine, prepared, golden.answer_ids, Object.keys(table), nullImage)).values());
  }
  const logits = await logitsOf(engine, prepared, await engine.whole(prepared), golden);
  return { logits, vocabSize: engine.sizes.vocabSize, tokens: await answerOf(loaded, prepared, golden), logProbs };
}

async function runCase(loaded: Loaded, one: GoldenCase): Promise<Row> {
  const { file, golden } = one;
  const encoded = await encodedOf(loaded, one);
  const tensors = existsSync(tensorsPath(file)) ? await openSafetensors(tensorsPath(file)) : null;
  try {
    const prepared = await loaded.engine.prepare(encoded, golden.generation?.max_new_tokens ?? 0);
    return rowOf(file.name, {
      tokens: tokensCell(encoded, golden),
      ...(tensors === null ? {} : await tensorCells(loaded.engine, prepared, tensors, golden)),
      greedy: await greedyCell(loaded, prepared, golden),
      ...(await scoreCells(loaded, prepared, golden)),
    });
  } finally {
    await tensors?.close();
  }
}

function tokensCell(encoded: EncodedPrompt, golden: ModelCase): Cell {
  const cells: Cell[] = [];
  if (golden.input_ids) cells.push(compareExact(encoded.inputIds, golden.input_ids));
  if (golden.prompt_text) cells.push(golden.prompt_text === encoded.text ? { text: '=', miss: false } : miss('prompt text differs'));
  return worst(cells);
}

async function tensorCells(
  engine: Engine,
  prepared: Prepared,
  tensors: TensorSource,
  golden: ModelCase,
): Promise<Partial<Record<Column, Cell>>> {
  const close = async (name: string, found: ArrayLike<number>) =>
    tensors.names.includes(name) ? compareClose(found, await tensors.readF32(name), toleranceOf(tensors, name, golden)) : absent;
  const vision: Float32Array[] = [];
  const features: Rows[] = [];
  for (const place of prepared.places.keys()) {
    const seen = await engine.look(prepared, place, 'image');
    vision.push(seen.vision);
    features.push(seen.features);
  }
  const whole = await engine.whole(prepared);
  const pixels = joined(prepared.places.map((image) => prepared.encoded.images[image]?.data ?? new Float32Array(0)));
  return {
    pixels: await close('pixel_values', pixels),
    vision: await close('vision', joined(vision)),
    features: await close('features', joined(features.map((rows) => rows.data))),
    embeds: await close('embeds', whole.rows.data),
    logits: worst([
      await close('logits', await logitsOf(engine, prepared, whole, golden)),
      await stepLogits(engine, prepared, whole, tensors, golden),
    ]),
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Logits at every prompt position, or from `logits_from` on; of an answer in one pass at those of the text, which alone are read. */
async function logitsOf(engine: Engine, { encoded }: Prepared, { rows: embeds, around }: Whole, golden: ModelCase): Promise<Float32Array> {
  const from = golden.logits_from ?? 0;
  const until = encoded.answerRows === undefined ? embeds.count : encoded.inputIds.length;
  const positions = Array.from({ length: until - from }, (_, i) => from + i);
  return (await engine.decoder.step(engine.decoder.emptyCache(), embeds, positions, around)).logits;
}

/** One row per generated token, the golden tokens before it; or one per row that an answer in one pass is read from. */
async function stepLogits(
  engine: Engine,
  { encoded }: Prepared,
  { rows: embeds, around }: Whole,
  tensors: TensorSource,
  golden: ModelCase,
): Promise<Cell> {
  if (!tensors.names.includes('step_logits') || !golden.output_ids) return absent;
  const { answerRows } = encoded;
  const written =
    answerRows === undefined ? await engine.decoder.embed(golden.output_ids.slice(0, -1)) : { data: new Float32Array(0), count: 0 };
  const rows = joinRows([embeds, written], engine.sizes.hiddenSize);
  const positions = answerRows ?? golden.output_ids.map((_, i) => embeds.count - 1 + i);
  const { logits } = await engine.decoder.step(engine.decoder.emptyCache(), rows, positions, around);
  return compareClose(logits, await tensors.readF32('step_logits'), toleranceOf(tensors, 'step_logits', golden));
}

/** Families whose authors strip the decoded text before they show it. */
const strippingFamilies: readonly string[] = ['vila-m3'];

/** Families whose authors decode an answer with its stop token. */
const stopShowingFamilies: readonly string[] = ['prefix-vqa'];

/** How the case asks for its answer; null where it asks for none. */
function optionsOf(manifest: Manifest, { generation }: ModelCase): GenerateOptions | null {
  if (!generation) return null;
  const { max_new_tokens: maxNewTokens, stop_ids: stopIds, min_new_tokens: minNewTokens, num_beams: count, beam_rule: rule } = generation;
  return {
    maxNewTokens,
    stopIds,
    barredIds: manifest.generation.barredIds,
    minNewTokens: minNewTokens ?? 0,
    // The authors' code may choose a row of the head that has no token; at run time it is never chosen.
    tokenizerSize: manifest.sizes.vocabSize,
    ...(rule ? { beams: count ?? 1 } : {}),
  };
}

async function answerOf({ engine, manifest }: Loaded, prepared: Prepared, golden: ModelCase): Promise<readonly number[] | null> {
  const options = optionsOf(manifest, golden);
  return options === null ? null : (await engine.generate(prepared, options)).tokens;
}

/** All beams of the search: their tokens, and what they are compared by. */
async function beamsCell({ engine, manifest }: Loaded, prepared: Prepared, golden: ModelCase): Promise<Cell> {
  const options = optionsOf(manifest, golden);
  if (options === null || !golden.beams) return absent;
  const found = await engine.search(prepared, options);
  if (found.length !== golden.beams.length) return miss(`${found.length} beams for ${golden.beams.length}`);
  const cells = golden.beams.map(({ ids }, index) => compareExact(found[index]?.tokens ?? [], ids));
  const means = golden.beams.map(({ mean_log_prob: mean }) => mean);
  const missed = compareClose(
    found.map(({ mean }) => mean),
    means,
    scoreTolerance,
  );
  return worst([...cells, ...(missed.miss ? [missed] : [])]);
}

async function greedyCell(loaded: Loaded, prepared: Prepared, golden: ModelCase): Promise<Cell> {
  const { tokenizer, manifest } = loaded;
  const tokens = golden.output_ids ? await answerOf(loaded, prepared, golden) : null;
  if (tokens === null || !golden.output_ids) return absent;
  const cell = worst([compareExact(tokens, golden.output_ids), await beamsCell(loaded, prepared, golden)]);
  if (cell.miss || golden.output_text === null || golden.output_text === undefined) return cell;
  const shows = stopShowingFamilies.includes(manifest.family) ? 'shown' : 'hidden';
  const { text: whole } = tokenizer.decode(
    tokens.filter((id) => id < tokenizer.size),
    shows,
  );
  const text = strippingFamilies.includes(manifest.family) ? stripped(whole) : whole;
  return text === golden.output_text ? cell : miss(`text ${JSON.stringify(text)} for ${JSON.stringify(golden.output_text)}`);
}

/** Log-probability of each option's letter as the first token of the answer. */
async function letterCell({ engine, tokenizer }: Loaded, prepared: Prepared, golden: ModelCase): Promise<Cell> {
  if (!golden.letter_log_probs) return absent;
  const kept = prepared.places.map(() => true);
  const found: number[] = [];
  for (const letter of Object.keys(golden.letter_log_probs)) {
    const id = letterId(tokenizer, letter);
    found.push(...(id === null ? [Number.NaN] : await engine.score(prepared, [id], kept, 'black')));
  }
  return compareClose(found, Object.values(golden.letter_log_probs), scoreTolerance);
}

async function scoreCells(loaded: Loaded, prepared: Prepared, golden: ModelCase): Promise<Partial<Record<Column, Cell>>> {
  const { engine } = loaded;
  const { score, answer_ids: answer } = golden;
  if (!score || !answer) return {};
  const tables: Cell[] = [await letterCell(loaded, prepared, golden)];
  const loo: Cell[] = [];
  const kin: Cell[] = [];
  const shap: Cell[] = [];
  for (const nullImage of ['black', 'mean'] as const) {
    const expected = score[`null_${nullImage}`];
    if (!expected) continue;
    const value = await scoreSubsets(engine, prepared, answer, Object.keys(expected), nullImage);
    const of = (key: string) => value.get(key) ?? Number.NaN;
    const keys = Object.keys(expected);
    tables.push(compareClose(keys.map(of), Object.values(expected), scoreTolerance));
    const close = (found: readonly number[], wanted: readonly number[] | null | undefined) =>
      wanted ? compareClose(found, wanted, scoreTolerance) : absent;
    loo.push(close(leaveOneOut(score.images, of), score[`leave_one_out_${nullImage}`]));
    kin.push(close(keepOneIn(score.images, of), score[`keep_one_in_${nullImage}`]));
    shap.push(close(shapley(score.images, of), score[`shapley_${nullImage}`]));
  }
  return { 'subset log-probs': worst(tables), loo: worst(loo), kin: worst(kin), shapley: worst(shap) };
}

/** Total log-probability of the answer for each subset, in the order that shares the most work. */
async function scoreSubsets(
  engine: Engine,
  prepared: Prepared,
  answer: readonly number[],
  keys: readonly string[],
  nullImage: NullImage,
): Promise<Map<string, number>> {
  const values = new Map<string, number>();
  for (const key of subsets(keys)) {
    const perToken = await engine.score(
      prepared,
      answer,
      [...key].map((bit) => bit === '1'),
      nullImage,
    );
    values.set(
      key,
      perToken.reduce((sum, value) => sum + value, 0),
    );
  }
  return values;
}
