/**
 * Reads a multipart answer (WADO-RS) as a stream, one part at a time; memory is bounded by the largest part.
 *
 * A delimiter is one only after a line break and when a line break or `--` follows: pixel data may contain the boundary's text. A
 * part's Content-Length is held against what arrived, and only the closing delimiter says that nothing is missing, because Orthanc
 * ends an answer by closing the connection. Complete parts are handed on before `dicomweb-truncated` is thrown.
 *
 * Source: RFC 2046 5.1.1, RFC 2387, PS3.18 8.6.1.2.
 */
import { WetreadError } from '#domain/errors.ts';
import { type MediaType, mediaTypeOf } from './media-type.ts';

export interface Part {
  readonly type: MediaType;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly bytes: Uint8Array;
}

export interface PartLimits {
  readonly maxPartBytes: number;
  readonly maxParts: number;
}

const maxHeaderBytes = 8192;
/** Blanks that may stand between a delimiter and its line break. */
const maxPadding = 64;
const lineBreak = Buffer.from('\r\n');

/** The boundary of a multipart Content-Type. @throws dicomweb-unexpected-type */
export function boundaryOf(header: string | null, where: string): string {
  const { type, parameters } = mediaTypeOf(header);
  const boundary = parameters.get('boundary') ?? '';
  const usable = /^[\x20-\x7e]{1,70}$/.test(boundary) && !boundary.endsWith(' ');
  if (type.startsWith('multipart/') && usable) return boundary;
  const found = type.startsWith('multipart/') ? `boundary ${JSON.stringify(boundary.slice(0, 80))}` : type || 'no type';
  throw new WetreadError(
    'dicomweb-unexpected-type',
    `${where}: found ${found}, expected multipart/related with a boundary of 1 to 70 characters`,
    {
      hint: 'a login page of a proxy looks like this',
    },
  );
}

function truncated(where: string, what: string): WetreadError {
  return new WetreadError('dicomweb-truncated', `${where}: ${what}`);
}

/** What follows a delimiter's text at `at`: a part, the end, no delimiter at all, or too few bytes to say. */
function follows(bytes: Buffer, at: number, ended: boolean): { kind: 'part' | 'end' | 'text' | 'more'; next: number } {
  if (bytes[at] === 0x2d && bytes[at + 1] === 0x2d) return { kind: 'end', next: at + 2 };
  let next = at;
  while (next < at + maxPadding && (bytes[next] === 0x20 || bytes[next] === 0x09)) next += 1;
  if (bytes[next] === 0x0d && bytes[next + 1] === 0x0a) return { kind: 'part', next: next + 2 };
  const undecided = next >= bytes.length || (next === bytes.length - 1 && (bytes[next] === 0x0d || bytes[next] === 0x2d));
  return { kind: undecided && !ended ? 'more' : 'text', next: at };
}

function headersOf(text: string, where: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of text.replace(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    if (colon < 1) throw truncated(where, `found ${JSON.stringify(line.slice(0, 60))} among the headers of a part, expected "name: value"`);
    headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

/** Bytes of the stream that were not used yet; `fill` adds the next chunk and is false at the end. */
class Source {
  bytes: Buffer = Buffer.alloc(0);
  ended = false;
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async fill(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done === true) {
      this.ended = true;
      return false;
    }
    const chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    this.bytes = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk]);
    return true;
  }

  take(count: number): Buffer {
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/**
 * Takes everything up to the next delimiter out of `source`, the delimiter included; `sink` gets what stands before it.
 * @returns whether a part or the end follows, null when the stream ended without a delimiter
 */
async function upToDelimiter(source: Source, delimiter: Buffer, sink: (bytes: Buffer) => void): Promise<'part' | 'end' | null> {
  let from = 0;
  for (;;) {
    const at = source.bytes.indexOf(delimiter, from);
    if (at >= 0) {
      const after = follows(source.bytes, at + delimiter.length, source.ended);
      if (after.kind === 'part' || after.kind === 'end') {
        sink(source.take(at));
        source.take(after.next - at);
        return after.kind;
      }
      if (after.kind === 'text') {
        from = at + 1;
        continue;
      }
    }
    const safe = at >= 0 ? at : Math.max(source.bytes.length - delimiter.length + 1, 0);
    sink(source.take(safe));
    from = 0;
    if (!(await source.fill()) && source.bytes.indexOf(delimiter) < 0) {
      sink(source.take(source.bytes.length));
      return null;
    }
  }
}

async function partHeaders(source: Source, where: string): Promise<ReadonlyMap<string, string>> {
  for (;;) {
    // A part without headers begins with the empty line itself.
    const bare = source.bytes.subarray(0, 2).equals(lineBreak);
    const end = bare ? 0 : source.bytes.indexOf('\r\n\r\n');
    if (end >= 0 && end <= maxHeaderBytes) {
      const text = source.take(bare ? 2 : end + 4).toString('latin1');
      return headersOf(text.trimEnd(), where);
    }
    if (source.bytes.length > maxHeaderBytes)
      throw new WetreadError('net-too-large', `${where}: the headers of a part exceed ${maxHeaderBytes} bytes`);
    if (!(await source.fill())) throw truncated(where, 'the answer ends inside the headers of a part');
  }
}

async function partBody(
  source: Source,
  delimiter: Buffer,
  headers: ReadonlyMap<string, string>,
  limits: PartLimits,
  where: string,
): Promise<{ bytes: Buffer; then: 'part' | 'end' }> {
  const pieces: Buffer[] = [];
  let length = 0;
  const then = await upToDelimiter(source, delimiter, (bytes) => {
    length += bytes.length;
    if (length > limits.maxPartBytes) throw new WetreadError('net-too-large', `${where}: a part exceeds ${limits.maxPartBytes} bytes`);
    if (bytes.length > 0) pieces.push(bytes);
  });
  if (then === null) throw truncated(where, `the answer ends after ${length} bytes of a part, without the closing boundary`);
  const said = headers.get('content-length');
  if (said !== undefined && Number(said) !== length) throw truncated(where, `a part has ${length} bytes, its Content-Length says ${said}`);
  return { bytes: Buffer.concat(pieces, length), then };
}

/**
 * The parts of a multipart message, in order.
 * @throws dicomweb-truncated after the complete parts when the message does not reach its closing boundary or a length differs;
 * net-too-large over a limit; what the stream itself throws, as the cause of dicomweb-truncated
 */
export async function* readParts(
  stream: AsyncIterable<Uint8Array>,
  boundary: string,
  limits: PartLimits,
  where: string,
): AsyncGenerator<Part, void> {
  const source = new Source(stream);
  // The first delimiter may stand at the very start; a line break put before it makes it like the others.
  source.bytes = lineBreak;
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  try {
    let then = await upToDelimiter(source, delimiter, () => undefined);
    if (then === null) throw truncated(where, 'the answer has no boundary');
    for (let count = 1; then === 'part'; count += 1) {
      if (count > limits.maxParts) throw new WetreadError('net-too-large', `${where}: more than ${limits.maxParts} parts`);
      const headers = await partHeaders(source, where);
      const body = await partBody(source, delimiter, headers, limits, where);
      yield { type: mediaTypeOf(headers.get('content-type') ?? null), headers, bytes: body.bytes };
      then = body.then;
    }
  } catch (error) {
    if (error instanceof WetreadError && (error.code === 'net-unreachable' || error.code === 'net-timeout')) {
      throw new WetreadError('dicomweb-truncated', `${where}: the answer broke off: ${error.message}`, { cause: error });
    }
    throw error;
  } finally {
    await source.close();
  }
}
