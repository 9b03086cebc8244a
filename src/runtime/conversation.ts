/**
 * Prompts on one loaded bundle: from parts to an answer with spans, and scores of that answer under subsets of its images.
 *
 * Only the prompt used last keeps its caches; the others keep their image features, so that memory is bounded by one path of caches.
 */
import type { Answer, NullImage, PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import { requestsOf } from '#domain/expert-request.ts';
import { answerText } from '#model/answer-text.ts';
import { type Bundle, bundleTokenizer } from '#model/bundle.ts';
import { forTask, type Manifest } from '#model/bundle-manifest.ts';
import { exemplarParts, standBefore } from '#model/exemplars.ts';
import { encodePrompt } from '#model/families/encode.ts';
import { familyOf } from '#model/families/registry.ts';
import type { Tokenizer } from '#model/tokenizer/tokenizer.ts';
import type { AskReply, AskRequest } from './device-protocol.ts';
import { type Engine, type GenerateOptions, openEngine, type Prepared } from './engine.ts';
import { type Guess, guessLength } from './one-pass.ts';
import type { OrtRuntime } from './port.ts';

export interface Conversation {
  /**
   * @param onText what the answer has grown by, whole characters
   * @throws answer-empty, answer-repeats, prompt-too-long, too-many-images, not-finite
   */
  ask(request: AskRequest, onText: (text: string) => void): Promise<AskReply>;
  /** @throws engine-died for a prompt of a process before this one, not-found for one that was released or is long past */
  score(promptId: string, keep: readonly boolean[], nullImage: NullImage): Promise<readonly number[]>;
  release(promptId: string): void;
  close(): Promise<void>;
}

/** Prompts that are kept for scoring; a caller that forgets to release must not fill the memory. */
const MOST_HELD = 16;

interface Held {
  readonly prepared: Prepared;
  readonly tokens: readonly number[];
}

/** Tells `onText` the growth of the answer; a character that is still incomplete waits for its next token. */
function growth(answerOf: (tokens: readonly number[]) => Pick<Answer, 'text'>, onText: (text: string) => void) {
  let told = '';
  return (tokens: readonly number[]) => {
    const { text } = answerOf(tokens);
    if (text.endsWith('\ufffd') || !text.startsWith(told) || text.length === told.length) return;
    onText(text.slice(told.length));
    told = text;
  };
}

/** The last text of a prompt: the question. */
function questionOf(parts: AskRequest['parts']): string {
  const last = parts.findLast((part) => part.kind === 'text');
  return last?.kind === 'text' ? last.text : '';
}

function endlessNote(tokens: number): string {
  return `This model writes no end of its own: its answer is what stands in its first ${tokens} tokens, and may be incomplete.`;
}

function refuseUseless(answer: Answer): void {
  if (answer.text.trim() === '') {
    throw new WetreadError('answer-empty', `the model wrote no text in ${answer.tokens.length} tokens`, {
      hint: 'the prompt may not be of the kind that this model was trained on',
    });
  }
  if (answer.stop === 'repetition') {
    throw new WetreadError('answer-repeats', `the model repeats itself without end after ${answer.tokens.length} tokens`, {
      hint: 'nothing is drafted from such an answer',
    });
  }
}

class BundleConversation implements Conversation {
  readonly #bundle: Bundle;
  readonly #tokenizer: Tokenizer;
  readonly #engine: Engine;
  readonly #exemplars: readonly PromptPart[];
  readonly #held = new Map<string, Held>();
  #asked = 0;

  constructor(bundle: Bundle, tokenizer: Tokenizer, engine: Engine, exemplars: readonly PromptPart[]) {
    this.#bundle = bundle;
    this.#tokenizer = tokenizer;
    this.#engine = engine;
    this.#exemplars = exemplars;
  }

  async ask(request: AskRequest, onText: (text: string) => void): Promise<AskReply> {
    const manifest = forTask(this.#bundle.manifest, request.task);
    const maxNewTokens = Math.min(request.maxNewTokens ?? manifest.limits.maxNewTokens, manifest.limits.maxNewTokens);
    this.#dropCaches(null);
    const rules = manifest.generation.text ?? {};
    const answerOf = (tokens: readonly number[]) => {
      const whole = this.#tokenizer.decode(tokens);
      return answerText(whole.text, whole.spans, rules, questionOf(request.parts));
    };
    const tell = growth(answerOf, onText);
    const soFar: number[] = [];
    const { minNewTokens, stopIds, barredIds, firstIds } = manifest.generation;
    const { prepared, generated, note } = await this.#answered(manifest, request, {
      maxNewTokens,
      minNewTokens,
      stopIds,
      barredIds,
      firstIds,
      tokenizerSize: this.#tokenizer.size,
      beams: manifest.generation.beams?.count,
      // An empty text: a sign of life for who counts the silence.
      onStep: () => onText(''),
      onToken: (id) => {
        soFar.push(id);
        tell(soFar);
      },
    });
    const { text, spans } = answerOf(generated.tokens);
    const isOpen = manifest.generation.endless === true && generated.stop === 'length';
    const known = isOpen ? endlessNote(generated.tokens.length) : note;
    const said = known === null ? {} : { note: known };
    const asks = manifest.experts === undefined ? {} : { requests: requestsOf(text, manifest.experts) };
    const counts = { promptTokens: prepared.rows, images: prepared.asked.length };
    const answer: Answer = { text, spans, ...generated, ...said, ...asks, ...counts };
    refuseUseless(answer);
    this.#asked++;
    const promptId = `${process.pid}-${this.#asked}`;
    this.#held.set(promptId, { prepared, tokens: generated.tokens });
    const [oldest] = this.#held.keys();
    if (this.#held.size > MOST_HELD && oldest !== undefined) this.#held.delete(oldest);
    const { encoded } = prepared;
    return { answer, promptId, promptText: encoded.text, inputIds: encoded.inputIds };
  }

  /** Token by token after the prompt; or, where the family has its answers in the prompt, all tokens at once for each possible length. */
  async #answered(manifest: Manifest, request: AskRequest, options: GenerateOptions): Promise<Guess> {
    const parts = [...(standBefore(manifest.exemplars, request.task) ? this.#exemplars : []), ...request.parts];
    const { answerLengths } = manifest.generation;
    if (answerLengths === undefined) {
      const prepared = await this.#engine.prepare(encodePrompt(manifest, this.#tokenizer, parts, null), options.maxNewTokens);
      return { prepared, generated: await this.#engine.generate(prepared, options), note: null };
    }
    return await guessLength(this.#engine, answerLengths, (length) => encodePrompt(manifest, this.#tokenizer, parts, length), options);
  }

  async score(promptId: string, keep: readonly boolean[], nullImage: NullImage): Promise<readonly number[]> {
    const held = this.#held.get(promptId);
    if (held === undefined) {
      const hint = 'ask again';
      if (!promptId.startsWith(`${process.pid}-`)) {
        throw new WetreadError('engine-died', `prompt ${promptId} was lost with the engine's process`, { hint });
      }
      throw new WetreadError('not-found', `the engine no longer holds prompt ${promptId}`, { hint });
    }
    this.#dropCaches(held.prepared);
    return await this.#engine.score(held.prepared, held.tokens, keep, nullImage);
  }

  release(promptId: string): void {
    this.#held.delete(promptId);
  }

  async close(): Promise<void> {
    this.#held.clear();
    await this.#engine.close();
  }

  #dropCaches(except: Prepared | null): void {
    for (const { prepared } of this.#held.values()) if (prepared !== except) prepared.path = [];
  }
}

/**
 * Loads a bundle's graphs and tokenizer, of a family that is known, and its exemplars.
 * @throws bundle-invalid, device-unavailable, tokenizer-unsupported, pixel-damaged
 */
export async function openConversation(runtime: OrtRuntime, bundle: Bundle): Promise<Conversation> {
  const { family, graphs, sizes, limits } = bundle.manifest;
  familyOf(family);
  const tokenizer = await bundleTokenizer(bundle);
  const exemplars = await exemplarParts(bundle);
  const contextTokens = Math.min(sizes.contextTokens, limits.contextTokens);
  const engine = await openEngine(runtime, bundle.dir, graphs, { ...sizes, contextTokens });
  return new BundleConversation(bundle, tokenizer, engine, exemplars);
}
