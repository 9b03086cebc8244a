/**
 * A SentencePiece `tokenizer.model` as a tokenizer.json: BPE with byte fallback, as Llama and Mistral publish it.
 *
 * SentencePiece BPE joins, at each step, the pair whose join is the piece with the highest score: so every pair whose join is a piece is a
 * merge, ordered by the join's score. Source: google/sentencepiece sentencepiece_model.proto, bpe_model.cc.
 */
import { WetreadError } from '#domain/errors.ts';
import { readFields } from './protobuf.ts';

const pieceType = { normal: 1, unknown: 2, control: 3, userDefined: 4 } as const;
const modelTypes: Readonly<Record<number, string>> = { 1: 'unigram', 2: 'bpe', 3: 'word', 4: 'char' };

interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  readonly modelType: string;
  readonly dummyPrefix: boolean;
  readonly removesSpaces: boolean;
  readonly hasCharacterMap: boolean;
}

export interface SentencePieceOptions {
  /** true: text after a special token gets a dummy prefix again (`legacy` of tokenizer_config.json, the default of old checkpoints). */
  readonly legacy: boolean;
  readonly addBos: boolean;
  /** Name of that token, `<s>` where it is not given; '' = the unknown token, as LlamaTokenizer takes a name that no piece has. */
  readonly bos?: string;
}

/** tokenizer.json as an object. @throws tokenizer-unsupported naming what is not built (unigram, normaliser with a character map) */
export function convertSentencePiece(bytes: Uint8Array, options: SentencePieceOptions): Record<string, unknown> {
  const model = readModel(bytes);
  if (model.modelType !== 'bpe') throw unsupported(`its model type is ${model.modelType}, only bpe is read`);
  if (model.hasCharacterMap) throw unsupported('its normaliser has a character map, only the identity is read');
  if (model.removesSpaces) throw unsupported('its normaliser removes extra spaces, only the identity is read');
  const vocab = Object.fromEntries(model.pieces.map((piece, id) => [piece.text, id]));
  const unknown = model.pieces.find((piece) => piece.type === pieceType.unknown);
  const added = model.pieces.flatMap((piece, id) =>
    piece.type === pieceType.unknown || piece.type === pieceType.control || piece.type === pieceType.userDefined
      ? [
          {
            id,
            content: piece.text,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: piece.type !== pieceType.userDefined,
          },
        ]
      : [],
  );
  const { bos: name = '<s>' } = options;
  const bos = model.pieces.findIndex((piece) =>
    name === '' ? piece.type === pieceType.unknown : piece.type === pieceType.control && piece.text === name,
  );
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    ...spaces(model.dummyPrefix, options.legacy),
    post_processor: options.addBos && bos >= 0 ? bosFirst(model.pieces[bos]?.text ?? '', bos) : null,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unknown?.text ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: model.pieces.some((piece) => piece.type === 6),
      ignore_merges: false,
      vocab,
      merges: mergesOf(model.pieces),
    },
  };
}

function unsupported(what: string): WetreadError {
  return new WetreadError('tokenizer-unsupported', `tokenizer.model: ${what}`, { hint: 'give the checkpoint a tokenizer.json' });
}

/** Normaliser, splitting and decoder for spaces written as U+2581. */
function spaces(dummyPrefix: boolean, legacy: boolean): Record<string, unknown> {
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const decoders: unknown[] = [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }];
  if (dummyPrefix) decoders.push({ type: 'Strip', content: ' ', start: 1, stop: 0 });
  const decoder = { type: 'Sequence', decoders };
  if (!dummyPrefix) return { normalizer: replace, pre_tokenizer: null, decoder };
  if (legacy) {
    return { normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] }, pre_tokenizer: null, decoder };
  }
  return { normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false }, decoder };
}

/** A post-processor that puts one token before the text. */
function bosFirst(token: string, id: number): Record<string, unknown> {
  const special = { SpecialToken: { id: token, type_id: 0 } };
  const text = (name: string) => ({ Sequence: { id: name, type_id: 0 } });
  return {
    type: 'TemplateProcessing',
    single: [special, text('A')],
    pair: [special, text('A'), text('B')],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

/** Pairs of pieces whose join is a piece, best join first; pairs of one join in the order of their ids. */
function mergesOf(pieces: readonly Piece[]): [string, string][] {
  const ids = new Map(pieces.map((piece, id) => [piece.text, id]));
  const merges: { left: number; right: number; pair: [string, string]; score: number }[] = [];
  for (const piece of pieces) {
    if (piece.type !== pieceType.normal && piece.type !== pieceType.userDefined) continue;
    const found: typeof merges = [];
    const characters = [...piece.text];
    for (let cut = 1; cut < characters.length; cut++) {
      const pair: [string, string] = [characters.slice(0, cut).join(''), characters.slice(cut).join('')];
      const left = ids.get(pair[0]);
      const right = ids.get(pair[1]);
      if (left !== undefined && right !== undefined) found.push({ left, right, pair, score: piece.score });
    }
    merges.push(...found.sort((a, b) => a.left - b.left || a.right - b.right));
  }
  return merges.sort((a, b) => b.score - a.score).map((merge) => merge.pair);
}

function readModel(bytes: Uint8Array): SentencePieceModel {
  const pieces: Piece[] = [];
  let modelType = 1; // the message's default is unigram
  let dummyPrefix = true;
  let removesSpaces = true;
  let hasCharacterMap = false;
  for (const { number, value } of readFields(bytes)) {
    if (typeof value === 'number') continue;
    if (number === 1) pieces.push(readPiece(value));
    if (number === 2)
      for (const field of readFields(value)) if (field.number === 3 && typeof field.value === 'number') modelType = field.value;
    if (number === 3) {
      for (const field of readFields(value)) {
        if (field.number === 2 && typeof field.value !== 'number') hasCharacterMap = field.value.byteLength > 0;
        if (field.number === 3) dummyPrefix = field.value === 1;
        if (field.number === 4) removesSpaces = field.value === 1;
      }
    }
  }
  if (pieces.length === 0) throw unsupported('it holds no pieces: no SentencePiece model');
  return { pieces, modelType: modelTypes[modelType] ?? `number ${modelType}`, dummyPrefix, removesSpaces, hasCharacterMap };
}

function readPiece(bytes: Uint8Array): Piece {
  let text = '';
  let score = 0;
  let type: number = pieceType.normal;
  for (const { number, value } of readFields(bytes)) {
    if (number === 1 && typeof value !== 'number') text = new TextDecoder().decode(value);
    if (number === 2 && typeof value !== 'number') score = new DataView(value.buffer, value.byteOffset, 4).getFloat32(0, true);
    if (number === 3 && typeof value === 'number') type = value;
  }
  return { text, score, type };
}
