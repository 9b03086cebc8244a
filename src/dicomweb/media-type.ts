/**
 * Content-Type headers with quoted parameters, as multipart answers have them.
 *
 * Source: RFC 2045 5.1 (parameters, quoted strings), RFC 2387 (multipart/related), PS3.18 8.7.3.
 */

export interface MediaType {
  /** Lower case, without parameters; '' when the header is absent. */
  readonly type: string;
  /** Names in lower case, values as written without their quotes. */
  readonly parameters: ReadonlyMap<string, string>;
}

const parameter = /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g;

export function mediaTypeOf(header: string | null): MediaType {
  const text = header ?? '';
  const parameters = new Map<string, string>();
  for (const [, name = '', quoted, bare = ''] of text.matchAll(parameter)) {
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare);
  }
  return { type: text.split(';', 1)[0]?.trim().toLowerCase() ?? '', parameters };
}
