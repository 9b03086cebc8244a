/**
 * From an encoded prompt to tokens and log-probabilities, on one loaded model.
 *
 * The prompt is cut at its images: text, image and its following text, and so on. Each piece is one step on the cache of the pieces before
 * it, and the caches of the current path are kept, so that subsets of images that share their first choices share that work. Generation and
 * every subset go the same way, piece by piece, so their numbers may be compared.
 */
import { join } from 'node:path';
import type { NullImage } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { EncodedImage, EncodedPrompt } from '#model/encoded.ts';
import { type GraphFiles, type ModelSizes, rowsInPrompt } from '#model/onnx/sizes.ts';
import { mayStand } from './answer-rules.ts';
import { type Beam, searchBeams } from './beam-search.ts';
import { type Cache, type Decoder, joinRows, openDecoder, type Rows, readVirtualRows, type Surroundings } from './decoder.ts';
import { checkFinite } from './finite.ts';
import { bestId, logProbability } from './log-softmax.ts';
import { readRows, scoreRows } from './one-pass.ts';
import type { OrtRuntime, OrtSession } from './port.ts';
import { repeatedPeriod } from './repetition.ts';

/** What stands in an image's place. */
type Shown = 'image' | NullImage;

/** A prompt on the engine: rows of its text pieces, and of each image as far as they were needed. */
export interface Prepared {
  readonly encoded: EncodedPrompt;
  /** pieces[0] is the text before the first image, pieces[i] what follows image i. */
  readonly texts: readonly Rows[];
  /** Index into encoded.images of each image place, in prompt order. */
  readonly places: readonly number[];
  /** The places whose images the question brings: all but those of the bundle itself. */
  readonly asked: readonly number[];
  readonly rows: number;
  readonly features: Map<string, Rows>;
  /** Caches of the current path: path[0] after the first text, path[i] after the text that follows image i. */
  path: { readonly shown: Shown | null; readonly cache: Cache }[];
}

/** Every row of a prompt, and what the decoder sees beside them. */
export interface Whole {
  readonly rows: Rows;
  readonly around: Surroundings;
}

export interface GenerateOptions {
  readonly maxNewTokens: number;
  readonly minNewTokens: number;
  readonly stopIds: readonly number[];
  /** What the first minNewTokens may not be; absent = stopIds. */
  readonly barredIds?: readonly number[] | undefined;
  /** What the first token may be; absent = any. */
  readonly firstIds?: readonly number[] | undefined;
  /** Ids from here on are padding of the head and are never chosen. */
  readonly tokenizerSize: number;
  /** Continuations that grow side by side (beam-search.ts); absent = one, the likeliest token at each step. */
  readonly beams?: number | undefined;
  /** After each step of a beam search, which says nothing before its end. */
  readonly onStep?: () => void;
  /** With beams, told when the best one is known. */
  readonly onToken?: (id: number) => void;
}

export interface Generated {
  readonly tokens: readonly number[];
  readonly logProbs: readonly number[];
  readonly stop: 'stop' | 'length' | 'repetition';
}

export interface Engine {
  readonly sizes: ModelSizes;
  readonly decoder: Decoder;
  /** @throws prompt-too-long when prompt and `newTokens` do not fit; not-finite when pixels, features or logits are NaN or infinite */
  prepare(encoded: EncodedPrompt, newTokens: number): Promise<Prepared>;
  /** @throws not-finite when a logit is not */
  generate(prepared: Prepared, options: GenerateOptions): Promise<Generated>;
  /** Every continuation of a beam search of options.beams, best first. @throws not-finite */
  search(prepared: Prepared, options: GenerateOptions): Promise<readonly Beam[]>;
  /** Natural log-probability of each of `tokens` after the prompt in which the asked images with keep[i] = false are nulled in place. */
  score(prepared: Prepared, tokens: readonly number[], keep: readonly boolean[], nullImage: NullImage): Promise<readonly number[]>;
  /** Encoder output and decoder rows of one image place. */
  look(prepared: Prepared, place: number, shown: Shown): Promise<{ readonly vision: Float32Array; readonly features: Rows }>;
  /** Every row of the prompt with all its images, as one step takes them. */
  whole(prepared: Prepared): Promise<Whole>;
  close(): Promise<void>;
}

/** The null of an image: every value of a channel is that of raw black, or of the processor's mean (zero, unless the image says otherwise). */
function nulled(image: EncodedImage, nullImage: NullImage): Float32Array {
  const data = new Float32Array(image.data.length);
  const values = nullImage === 'mean' ? (image.mean ?? []) : image.black;
  if (values.length === 0) return data;
  const run = image.channelRun ?? data.length / values.length;
  for (let at = 0; at < data.length; at += run) data.fill(values[(at / run) % values.length] ?? 0, at, at + run);
  return data;
}

async function look(
  runtime: OrtRuntime,
  vision: OrtSession,
  prepared: Prepared,
  place: number,
  shown: Shown,
): Promise<{ vision: Float32Array; features: Rows }> {
  const image = prepared.encoded.images[prepared.places[place] ?? -1];
  if (image === undefined) throw new WetreadError('internal', `image place ${place} of the prompt has no picture`);
  const data = shown === 'image' ? image.data : nulled(image, shown);
  checkFinite(data, `pixels of image ${place + 1}`);
  const feeds = { pixel_values: runtime.value(data, image.shape) };
  const others = Object.entries(image.inputs ?? {}).map(([name, input]) => [name, runtime.value(input.data, input.shape)]);
  const out = await vision.run({ ...feeds, ...Object.fromEntries(others) }, ['vision', 'features']);
  if (out.features === undefined || out.vision === undefined) throw new WetreadError('internal', 'the encoder gave no features');
  const features = out.features.read();
  checkFinite(features, `features of image ${place + 1}`);
  return { vision: out.vision.read(), features: { data: features, count: (out.features.dims[0] ?? 0) * (out.features.dims[1] ?? 0) } };
}

/** Rows of one piece of text; those of `zeroRowId` are blank. */
async function textRows(decoder: Decoder, ids: readonly number[], zeroRowId: number | undefined): Promise<Rows> {
  const rows = await decoder.embed(ids);
  const { hiddenSize } = decoder.sizes;
  for (const [at, id] of ids.entries()) if (id === zeroRowId) rows.data.fill(0, at * hiddenSize, (at + 1) * hiddenSize);
  return rows;
}

async function prepare(decoder: Decoder, encoded: EncodedPrompt, newTokens: number): Promise<Prepared> {
  const texts: number[][] = [[]];
  const places: number[] = [];
  for (const part of encoded.parts) {
    if (part.kind === 'tokens') texts.at(-1)?.push(...part.ids);
    else {
      places.push(part.image);
      texts.push([]);
    }
  }
  const { sizes } = decoder;
  const visual = places.reduce((sum, place) => sum + (encoded.images[place]?.rows ?? rowsInPrompt(sizes)), 0);
  const rows = texts.reduce((sum, ids) => sum + ids.length, 0) + visual;
  // An answer that is read in one pass has its rows in the prompt.
  const more = encoded.answerRows === undefined ? newTokens : 0;
  if (rows === 0) throw new WetreadError('request-malformed', 'the prompt is empty');
  if (rows + more > sizes.contextTokens) {
    throw new WetreadError(
      'prompt-too-long',
      `the prompt has ${rows} tokens and ${more} more may follow; the model takes ${sizes.contextTokens}`,
      {
        hint: 'shorten the history, choose fewer images or allow a shorter answer',
      },
    );
  }
  const pieces = await Promise.all(texts.map((ids) => textRows(decoder, ids, encoded.zeroRowId)));
  const asked = [...places.keys()].filter((place) => encoded.images[places[place] ?? -1]?.isFixed !== true);
  return { encoded, texts: pieces, places, asked, rows, features: new Map(), path: [] };
}

class LoadedEngine implements Engine {
  readonly decoder: Decoder;
  readonly #runtime: OrtRuntime;
  readonly #sessions: { readonly vision: OrtSession; readonly embedding: OrtSession; readonly decoder: OrtSession };

  constructor(runtime: OrtRuntime, sessions: { vision: OrtSession; embedding: OrtSession; decoder: OrtSession }, decoder: Decoder) {
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.decoder = decoder;
  }

  get sizes(): ModelSizes {
    return this.decoder.sizes;
  }

  prepare(encoded: EncodedPrompt, newTokens: number): Promise<Prepared> {
    return prepare(this.decoder, encoded, newTokens);
  }

  look(prepared: Prepared, place: number, shown: Shown): Promise<{ vision: Float32Array; features: Rows }> {
    return look(this.#runtime, this.#sessions.vision, prepared, place, shown);
  }

  async #features(prepared: Prepared, place: number, shown: Shown): Promise<Rows> {
    const key = `${prepared.places[place]} ${shown}`;
    const known = prepared.features.get(key);
    if (known !== undefined) return known;
    const { features } = await this.look(prepared, place, shown);
    const expected = prepared.encoded.images[prepared.places[place] ?? -1]?.rows ?? this.sizes.visualTokens;
    if (features.count !== expected) {
      throw new WetreadError('bundle-invalid', `an image gave ${features.count} rows, ${expected} expected`);
    }
    prepared.features.set(key, features);
    return features;
  }

  /**
   * The cache of the whole prompt but its last row, and that row: its logits are asked for together with what follows.
   * Only the pieces after the last choice shared with the path before are computed.
   */
  async #walk(
    prepared: Prepared,
    shown: readonly Shown[],
  ): Promise<{ readonly cache: Cache; readonly last: Rows; readonly around: Surroundings }> {
    const { hiddenSize } = this.sizes;
    const around = await this.#around(prepared, shown);
    const choices: readonly (Shown | null)[] = [null, ...shown];
    let common = 0;
    while (common < choices.length && common < prepared.path.length && prepared.path[common]?.shown === choices[common]) common++;
    prepared.path = prepared.path.slice(0, common);
    for (let index = common; index < choices.length; index++) {
      const piece = await this.#piece(prepared, index, choices);
      const count = index === choices.length - 1 ? piece.count - 1 : piece.count;
      const before = prepared.path.at(-1)?.cache ?? this.decoder.emptyCache();
      const rows = { data: piece.data.slice(0, count * hiddenSize), count };
      const cache = count === 0 ? before : (await this.decoder.step(before, rows, [], around)).cache;
      prepared.path.push({ shown: choices[index] ?? null, cache });
    }
    const cache = prepared.path.at(-1)?.cache;
    if (cache === undefined) throw new WetreadError('internal', 'the prompt has no row');
    const end = await this.#piece(prepared, choices.length - 1, choices);
    return { cache, last: { data: end.data.slice(-hiddenSize), count: 1 }, around };
  }

  /** What the steps on this path need beside their rows. */
  async #around(prepared: Prepared, shown: readonly Shown[]): Promise<Surroundings> {
    const { positions, sight } = prepared.encoded;
    if (this.sizes.mediaWidth === undefined || sight === undefined) return { positions };
    const images: Rows[] = [];
    for (const [place, choice] of shown.entries()) images.push(await this.#features(prepared, place, choice));
    return { positions, media: { images, sight } };
  }

  /** Rows of piece `index`: its image's, where they stand in the prompt, then its text's. */
  async #piece(prepared: Prepared, index: number, choices: readonly (Shown | null)[]): Promise<Rows> {
    const text = prepared.texts[index];
    if (text === undefined) throw new WetreadError('internal', `piece ${index} of the prompt is missing`);
    const choice = choices[index] ?? null;
    if (choice === null || this.sizes.mediaWidth !== undefined) return text;
    return joinRows([await this.#features(prepared, index - 1, choice), text], this.sizes.hiddenSize);
  }

  /** Every row of the prompt. */
  async #whole(prepared: Prepared, shown: readonly Shown[]): Promise<Rows> {
    const choices = [null, ...shown];
    const pieces: Rows[] = [];
    for (const index of choices.keys()) pieces.push(await this.#piece(prepared, index, choices));
    return joinRows(pieces, this.sizes.hiddenSize);
  }

  async whole(prepared: Prepared): Promise<Whole> {
    const shown = prepared.places.map((): Shown => 'image');
    return { rows: await this.#whole(prepared, shown), around: await this.#around(prepared, shown) };
  }

  async generate(prepared: Prepared, options: GenerateOptions): Promise<Generated> {
    const { vocabSize } = this.sizes;
    const shown = prepared.places.map((): Shown => 'image');
    const { answerRows } = prepared.encoded;
    if (answerRows !== undefined) return await readRows(this.decoder, await this.#whole(prepared, shown), answerRows, options);
    if (options.beams !== undefined) return await this.#best(prepared, options);
    const limit = Math.min(options.tokenizerSize, vocabSize);
    const stops = new Set(options.stopIds);
    const tokens: number[] = [];
    const logProbs: number[] = [];
    const start = await this.#walk(prepared, shown);
    let { cache, last } = start;
    while (tokens.length < options.maxNewTokens) {
      const step = await this.decoder.step(cache, last, [0], start.around);
      cache = step.cache;
      const id = bestId(step.logits, 0, vocabSize, limit, mayStand(options, tokens.length));
      if (id < 0) throw new WetreadError('not-finite', `no logit of new token ${tokens.length + 1} is a number`);
      tokens.push(id);
      logProbs.push(logProbability(step.logits, 0, vocabSize, id));
      options.onToken?.(id);
      if (stops.has(id)) return { tokens, logProbs, stop: 'stop' };
      if (repeatedPeriod(tokens) !== null) return { tokens, logProbs, stop: 'repetition' };
      last = await this.decoder.embed([id]);
    }
    return { tokens, logProbs, stop: 'length' };
  }

  async search(prepared: Prepared, options: GenerateOptions): Promise<readonly Beam[]> {
    const start = await this.#walk(
      prepared,
      prepared.places.map(() => 'image'),
    );
    return await searchBeams(this.decoder, start, options.beams ?? 1, options);
  }

  async #best(prepared: Prepared, options: GenerateOptions): Promise<Generated> {
    const [best] = await this.search(prepared, options);
    if (best === undefined) throw new WetreadError('internal', 'the beam search found nothing');
    const { tokens, logProbs, isStopped } = best;
    for (const id of tokens) options.onToken?.(id);
    return { tokens, logProbs, stop: isStopped ? 'stop' : repeatedPeriod(tokens) === null ? 'length' : 'repetition' };
  }

  async score(prepared: Prepared, tokens: readonly number[], keep: readonly boolean[], nullImage: NullImage): Promise<readonly number[]> {
    if (keep.length !== prepared.asked.length) {
      throw new WetreadError('internal', `${keep.length} images are to be kept or nulled, the prompt has ${prepared.asked.length}`);
    }
    if (tokens.length === 0) return [];
    const nulls = new Set(prepared.asked.filter((_, image) => keep[image] === false));
    const shown = prepared.places.map((_, place): Shown => (nulls.has(place) ? nullImage : 'image'));
    const { answerRows } = prepared.encoded;
    if (answerRows !== undefined) return await scoreRows(this.decoder, await this.#whole(prepared, shown), answerRows, tokens);
    if (prepared.rows + tokens.length > this.sizes.contextTokens) {
      throw new WetreadError(
        'prompt-too-long',
        `prompt and answer have ${prepared.rows + tokens.length} tokens; the model takes ${this.sizes.contextTokens}`,
      );
    }
    const { cache, last, around } = await this.#walk(prepared, shown);
    const rows = joinRows([last, await this.decoder.embed(tokens.slice(0, -1))], this.sizes.hiddenSize);
    const { logits } = await this.decoder.step(cache, rows, [...tokens.keys()], around);
    return tokens.map((id, row) => logProbability(logits, row, this.sizes.vocabSize, id));
  }

  async close(): Promise<void> {
    for (const session of Object.values(this.#sessions)) await session.release();
  }
}

/** Loads a bundle's three graphs. */
export async function openEngine(runtime: OrtRuntime, folder: string, graphs: GraphFiles, sizes: ModelSizes): Promise<Engine> {
  const sessions = {
    vision: await runtime.load(join(folder, graphs.vision)),
    embedding: await runtime.load(join(folder, graphs.embedding)),
    decoder: await runtime.load(join(folder, graphs.decoder)),
  };
  const start = await readVirtualRows(runtime, sessions.embedding, sizes);
  return new LoadedEngine(runtime, sessions, openDecoder(runtime, sessions.embedding, sessions.decoder, sizes, start));
}
