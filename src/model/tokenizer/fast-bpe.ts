/**
 * BioGPT's tokenizer files (vocab.json, merges.txt of fastBPE) as a tokenizer.json: Moses words (moses.ts), each of whose last character carries
 * the mark `</w>`, merged by rank; `</s>` in front of every text.
 *
 * A line of merges.txt is two pieces and a count. Source: transformers models/biogpt/tokenization_biogpt.py.
 */
import { WetreadError } from '#domain/errors.ts';
import { wordEnd } from './decode.ts';

/** Names of special tokens; null = the class's own. */
export interface FastBpeNames {
  readonly bos: string | null;
  readonly eos: string | null;
  readonly unk: string | null;
  readonly pad: string | null;
  readonly sep: string | null;
}

/** @throws tokenizer-unsupported when the vocabulary lacks a special token, or a line of merges is none */
export function convertFastBpe(vocab: Readonly<Record<string, number>>, mergesText: string, names: FastBpeNames): Record<string, unknown> {
  const idOf = (token: string): number => {
    const id = Object.hasOwn(vocab, token) ? vocab[token] : undefined;
    if (id === undefined) throw new WetreadError('tokenizer-unsupported', `vocab.json: has no ${token}, which the tokenizer names`);
    return id;
  };
  const unk = names.unk ?? '<unk>';
  const sep = names.sep ?? '</s>';
  const special = new Set([names.bos ?? '<s>', names.eos ?? '</s>', unk, names.pad ?? '<pad>', sep]);
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...special].map((content) => ({
      id: idOf(content),
      content,
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: sep, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { [sep]: { id: sep, ids: [idOf(sep)], tokens: [sep] } },
    },
    decoder: { type: 'BPEDecoder', suffix: wordEnd },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unk,
      continuing_subword_prefix: null,
      end_of_word_suffix: wordEnd,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: mergesOf(mergesText),
    },
  };
}

function mergesOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#version'))
    .map((line) => {
      const pair = line.trim().split(/\s+/).slice(0, 2);
      if (pair.length < 2) throw new WetreadError('tokenizer-unsupported', `merges.txt: the line ${JSON.stringify(line)} is no pair`);
      return pair;
    });
}
