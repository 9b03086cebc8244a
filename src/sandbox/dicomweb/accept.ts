/** Accept headers of WADO-RS: media ranges with quoted parameters (PS3.18 8.7.3, RFC 9110 12.5.1). */
import { mediaTypeOf } from '#dicomweb/media-type.ts';

/** One acceptable form of an answer. */
export interface Acceptable {
  /** 'multipart/related' ranges carry the type of their parts; others are single-part types. */
  readonly multipart: boolean;
  readonly type: string;
  /** A UID, '*', or null = the default transfer syntax. */
  readonly transferSyntax: string | null;
}

function splitRanges(header: string): string[] {
  return header.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
}

/** In the order of the header; absent or empty means anything. */
export function acceptableOf(header: string | undefined): Acceptable[] {
  return splitRanges(header === undefined || header.trim() === '' ? '*/*' : header).map((range) => {
    const { type, parameters } = mediaTypeOf(range.trim());
    const multipart = type === 'multipart/related' || type === 'multipart/*';
    return {
      multipart,
      type: multipart ? mediaTypeOf(parameters.get('type') ?? '*/*').type : type,
      transferSyntax:
        parameters.get('transfer-syntax') ?? mediaTypeOf(parameters.get('type') ?? null).parameters.get('transfer-syntax') ?? null,
    };
  });
}

/** True when `range` ("image/*", "*\/*") covers `type`. */
export function covers(range: string, type: string): boolean {
  return range === '*/*' || range === type || (range.endsWith('/*') && type.startsWith(range.slice(0, -1)));
}
