/** Characters of a decoded text, each with the token that it came from; owners never go back. */
export interface Characters {
  readonly text: string[];
  /** Index of the token. */
  readonly owner: number[];
}

/** UTF-16 offset of each character. */
export function offsetsOf(text: readonly string[]): number[] {
  let position = 0;
  return text.map((character) => {
    position += character.length;
    return position - character.length;
  });
}

/** Every match of `pattern` (global) as `put`, which belongs to the token of the match's last character. */
export function replaceIn({ text, owner }: Characters, pattern: RegExp, put: string): Characters {
  const out: Characters = { text: [], owner: [] };
  const matches = [...text.join('').matchAll(pattern)];
  let match = matches.shift();
  for (const [index, offset] of offsetsOf(text).entries()) {
    const character = text[index] ?? '';
    const end = match === undefined ? -1 : match.index + match[0].length;
    const inside = match !== undefined && offset >= match.index;
    if (inside && offset + character.length < end) continue;
    const last = owner[index] ?? 0;
    for (const replaced of inside ? put : [character]) {
      out.text.push(replaced);
      out.owner.push(last);
    }
    if (inside) match = matches.shift();
  }
  return out;
}

/** The parts between single spaces, empty ones left out. */
export function wordsOf({ text, owner }: Characters): Characters[] {
  const words: Characters[] = [];
  let word: Characters = { text: [], owner: [] };
  for (const [index, character] of [...text, ' '].entries()) {
    if (character !== ' ') {
      word.text.push(character);
      word.owner.push(owner[index] ?? 0);
    } else if (word.text.length > 0) {
      words.push(word);
      word = { text: [], owner: [] };
    }
  }
  return words;
}
