/** What Python's str.strip and str.split take for white space: the separators U+001C to U+001F and U+0085 too, and no U+FEFF. One character, for RegExp. */
export const pythonSpace = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
