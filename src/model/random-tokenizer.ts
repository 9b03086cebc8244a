/**
 * Tokenizer of a random bundle: the 256 bytes, and the tokens of what it can say: sentences of three tokens, an opening, one of eight
 * adjectives, an end. They name no side, organ, measurement or comparison, so that no rule of the statement guard holds them.
 */
const openings = [
  'Findings: The central area is',
  'The upper area is',
  'The lower area is',
  'The outer border is',
  'The background is',
  'Impression: The picture as a whole is',
];
/** A token's text is its only name, so each sentence has adjectives of its own. */
const adjectives = [
  ['regular', 'irregular', 'bright', 'dark', 'coarse', 'fine', 'uniform', 'mixed'],
  ['pale', 'dense', 'smooth', 'rough', 'even', 'uneven', 'plain', 'streaked'],
  ['light', 'dim', 'grainy', 'soft', 'sharp', 'blurred', 'flat', 'patchy'],
  ['wide', 'narrow', 'straight', 'curved', 'thick', 'thin', 'open', 'closed'],
  ['empty', 'full', 'grey', 'black', 'white', 'faint', 'strong', 'quiet'],
  ['ordinary', 'unusual', 'simple', 'complex', 'balanced', 'uneasy', 'calm', 'busy'],
];
const ends = ['. ', '.  ', '.\n', '.\n\n', '. \n', '.\n \n'];

/** Steps of the answer in order; the tokens of a step are alternatives. */
const steps: readonly (readonly string[])[] = openings.flatMap((opening, index) => [
  [opening],
  (adjectives[index] ?? []).map((adjective) => ` ${adjective}`),
  [ends[index] ?? ''],
]);

export interface RandomTokenizer {
  readonly json: Record<string, unknown>;
  readonly size: number;
  readonly imageId: number;
  readonly endId: number;
  readonly steps: number;
  /** For each id the step whose token it is, from 1; 0 for the tokens of a prompt. */
  readonly stepOf: readonly number[];
}

/** GPT-2's printable form of the bytes 0 to 255. */
function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}

/** tokenizer.json and what of it the weights need. */
export function randomTokenizer(): RandomTokenizer {
  const alphabet = byteAlphabet();
  const spelled = (text: string) => [...new TextEncoder().encode(text)].map((byte) => alphabet[byte] ?? '').join('');
  const words = steps.flatMap((alternatives, index) => alternatives.map((text) => ({ token: spelled(text), step: index + 1 })));
  const stepOf = [...alphabet.map(() => 0), ...words.map((word) => word.step)];
  const tokens = [...alphabet, ...words.map((word) => word.token)];
  const endId = tokens.length;
  const imageId = endId + 1;
  const added = ['</s>', '<image>'].map((content, index) => ({
    id: endId + index,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [],
    },
  };
  return { json, size: imageId + 1, imageId, endId, steps: steps.length, stepOf: [...stepOf, 0, 0] };
}
