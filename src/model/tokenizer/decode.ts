/**
 * Token ids to text, with the span of each token in it: what attribution needs, and what tokenizer libraries do not give.
 *
 * Both kinds work on bytes: byte-level BPE (GPT-2's alphabet) and SentencePiece with byte fallback. A character that several tokens share
 * belongs to the token that completes it. Bytes that are no UTF-8 become U+FFFD as the authors' decoders do it: one for each maximal
 * part in byte-level; in byte fallback one for each byte of the whole run (tokenizer.json), or of what is broken in it (SentencePiece itself).
 */
import { WetreadError } from '#domain/errors.ts';
import { type Characters, offsetsOf } from './characters.ts';
import { mosesText } from './moses.ts';

export interface Decoded {
  readonly text: string;
  /** For each id its [start, end) in `text`, UTF-16 units. */
  readonly spans: readonly (readonly [number, number])[];
}

/** What of a tokenizer.json's `decoder` matters. */
export interface DecoderRule {
  readonly kind: 'byte-level' | 'sentencepiece' | 'moses';
  /** Leading spaces of the whole text that are dropped (the dummy prefix). */
  readonly stripStart: number;
  /** tokenizer_config's clean_up_tokenization_spaces: no space before punctuation and contractions. */
  readonly cleanUp: boolean;
  /** What of a run of byte tokens becomes U+FFFD when it is no UTF-8. */
  readonly brokenBytes: BrokenBytes;
}

export type BrokenBytes = 'run' | 'byte';

/** What fastBPE puts behind the last token of a word. */
export const wordEnd = '</w>';

/** Text of tokens; null stands for a token without text (special). */
export function decodeTokens(tokens: readonly (string | null)[], rule: DecoderRule): Decoded {
  const characters = charactersOf(tokens, rule);
  for (let i = 0; i < rule.stripStart && characters.text[0] === ' '; i++) {
    characters.text.shift();
    characters.owner.shift();
  }
  return spansOf(rule.cleanUp ? cleanUp(characters) : characters, tokens.length);
}

function charactersOf(tokens: readonly (string | null)[], rule: DecoderRule): Characters {
  if (rule.kind === 'byte-level') return byteLevel(tokens);
  return rule.kind === 'moses' ? mosesText(marked(tokens)) : sentencePiece(tokens, rule.brokenBytes);
}

/** fastBPE: a token that ends a word is marked, and spaces are in none. */
function marked(tokens: readonly (string | null)[]): Characters {
  const out: Characters = { text: [], owner: [] };
  for (const [index, token] of tokens.entries()) {
    for (const character of (token ?? '').replaceAll(' ', '').replaceAll(wordEnd, ' ')) {
      out.text.push(character);
      out.owner.push(index);
    }
  }
  return out;
}

function spansOf({ text, owner }: Characters, count: number): Decoded {
  const spans: [number, number][] = [];
  let position = 0;
  let at = 0;
  for (let token = 0; token < count; token++) {
    const start = position;
    while (at < owner.length && owner[at] === token) position += text[at++]?.length ?? 0;
    spans.push([start, position]);
  }
  return { text: text.join(''), spans };
}

const byteAlphabet = makeByteAlphabet();

/** GPT-2's map from printable characters to bytes. */
function makeByteAlphabet(): ReadonlyMap<string, number> {
  const isPrintable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const alphabet = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) alphabet.set(String.fromCharCode(isPrintable(byte) ? byte : next++), byte);
  return alphabet;
}

function byteLevel(tokens: readonly (string | null)[]): Characters {
  const bytes: number[] = [];
  const byteOwner: number[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token === null) continue;
    const mapped = [...token].map((character) => byteAlphabet.get(character));
    const own = mapped.includes(undefined) ? [...new TextEncoder().encode(token)] : mapped.map((byte) => byte ?? 0);
    for (const byte of own) {
      bytes.push(byte);
      byteOwner.push(index);
    }
  }
  const out: Characters = { text: [], owner: [] };
  for (let at = 0; at < bytes.length; ) {
    const { text, length } = nextCharacter(bytes, at);
    at += length;
    out.text.push(text);
    out.owner.push(byteOwner[at - 1] ?? 0);
  }
  return out;
}

/** The character at a byte, U+FFFD for a maximal part of an ill-formed sequence (Unicode 3.9, table 3-7). */
function nextCharacter(bytes: readonly number[], at: number): { text: string; length: number } {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return { text: String.fromCharCode(first), length: 1 };
  const size = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  let length = 1;
  for (; length < size; length++) {
    const byte = bytes[at + length];
    const low = length > 1 ? 0x80 : first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const high = length > 1 ? 0xbf : first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    if (byte === undefined || byte < low || byte > high) break;
  }
  if (size === 0 || length < size) return { text: '\ufffd', length };
  return { text: new TextDecoder().decode(Uint8Array.from(bytes.slice(at, at + size))), length };
}

const byteToken = /^<0x([0-9A-Fa-f]{2})>$/;

function sentencePiece(tokens: readonly (string | null)[], broken: BrokenBytes): Characters {
  const out: Characters = { text: [], owner: [] };
  let run: { byte: number; owner: number }[] = [];
  const flush = () => {
    for (const [text, owner] of charactersOfRun(run, broken)) {
      out.text.push(text);
      out.owner.push(owner);
    }
    run = [];
  };
  for (const [index, token] of tokens.entries()) {
    if (token === null) continue;
    const hex = byteToken.exec(token)?.[1];
    if (hex !== undefined) {
      run.push({ byte: Number.parseInt(hex, 16), owner: index });
      continue;
    }
    flush();
    for (const character of token) {
      out.text.push(character === '▁' ? ' ' : character);
      out.owner.push(index);
    }
  }
  flush();
  return out;
}

function charactersOfRun(run: readonly { byte: number; owner: number }[], broken: BrokenBytes): [string, number][] {
  const bytes = run.map((item) => item.byte);
  const out: [string, number][] = [];
  for (let at = 0; at < bytes.length; ) {
    const { text, length } = nextCharacter(bytes, at);
    const isBroken = text === '\ufffd' && !(length === 3 && bytes[at] === 0xef);
    if (isBroken && broken === 'run') return run.map((item) => ['\ufffd', item.owner]);
    at += isBroken ? 1 : length;
    out.push([text, run[at - 1]?.owner ?? 0]);
  }
  return out;
}

/** Spaces that transformers' clean_up_tokenization removes, in its order. */
const cleanUps = [
  / (?=\.)/g,
  / (?=\?)/g,
  / (?=!)/g,
  / (?=,)/g,
  / (?=' )|(?<= ') /g,
  / (?=n't)/g,
  / (?='m)/g,
  / (?='s)/g,
  / (?='ve)/g,
  / (?='re)/g,
];

function cleanUp(characters: Characters): Characters {
  let { text, owner } = characters;
  for (const pattern of cleanUps) {
    const positions = offsetsOf(text);
    const dropped = new Set([...text.join('').matchAll(pattern)].map((match) => match.index));
    const keep = (_: unknown, i: number) => !dropped.has(positions[i] ?? -1);
    owner = owner.filter(keep);
    text = text.filter(keep);
  }
  return { text, owner };
}

/** The rule of a tokenizer.json's decoder. @throws tokenizer-unsupported naming a step that is not built */
export function decoderRule(decoder: unknown, cleanUp: boolean, brokenBytes: BrokenBytes, isMoses = false): DecoderRule {
  const steps = stepsOf(decoder);
  const types = steps.map((step) => step.type);
  if (types.length === 1 && types[0] === 'ByteLevel') return { kind: 'byte-level', stripStart: 0, cleanUp, brokenBytes };
  if (types.length === 1 && types[0] === 'Metaspace') return { kind: 'sentencepiece', stripStart: 1, cleanUp, brokenBytes };
  if (isMoses && types.length === 1 && types[0] === 'BPEDecoder') return { kind: 'moses', stripStart: 0, cleanUp, brokenBytes };
  const unknown = types.find((type) => !['Replace', 'ByteFallback', 'Fuse', 'Strip'].includes(type));
  if (unknown !== undefined || types.length === 0)
    throw new WetreadError('tokenizer-unsupported', `tokenizer.json: the decoder ${unknown ?? 'is missing and'} is not built`);
  const strip = steps.find((step) => step.type === 'Strip');
  return { kind: 'sentencepiece', stripStart: strip?.start ?? 0, cleanUp, brokenBytes };
}

function stepsOf(decoder: unknown): { type: string; start: number }[] {
  if (typeof decoder !== 'object' || decoder === null || !('type' in decoder) || typeof decoder.type !== 'string') return [];
  if (decoder.type === 'Sequence' && 'decoders' in decoder && Array.isArray(decoder.decoders)) return decoder.decoders.flatMap(stepsOf);
  return [{ type: decoder.type, start: 'start' in decoder && typeof decoder.start === 'number' ? decoder.start : 0 }];
}
