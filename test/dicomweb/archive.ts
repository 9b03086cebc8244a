/** A scripted archive for the faults that a real one does not produce on demand, and the room's client before it. */
import { type Dicomweb, type DicomwebOptions, openDicomweb } from '#dicomweb/client.ts';
import type { PartUids } from '#dicomweb/retrieve.ts';
import { codeOf, type Warning, WetreadError } from '#domain/errors.ts';
import type { Series } from '#domain/study.ts';
import { type Uid, uidOf } from '#domain/uid.ts';
import { type Limits, openNeighbour } from '#net/neighbour.ts';
import type { Patience } from '#net/retry-after.ts';
import type { Token } from '#net/token.ts';
import { type Answerer, type Asked, serve, type TestServer } from '../net/servers.ts';

const open: { close: () => Promise<void> }[] = [];

/** Ends everything that a test opened; call it in afterEach. */
export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((one) => one.close()));
}

export function alsoClose(one: { close: () => Promise<void> }): void {
  open.push(one);
}

export const study = uidOf('study');
export const seriesUid = uidOf('series');

/** The tests' objects are a line of JSON with their UIDs, and any bytes: what readUids does with real files is tested in its own room. */
function readUids(bytes: Uint8Array): PartUids {
  const text = Buffer.from(bytes).toString();
  if (!text.startsWith('{')) throw new WetreadError('dicom-not-part10', 'no DICM');
  return { study, series: seriesUid, sopClass: uidOf('class'), ...JSON.parse(text.split('\n', 1)[0] ?? '') };
}

export function object(instance: Uid, more: object = {}): Buffer {
  return Buffer.from(JSON.stringify({ instance, ...more }));
}

/** An object whose UIDs are read from its first bytes, as in a real file: a cut one still names them. */
export function longObject(instance: Uid, pixels: string | Buffer): Buffer {
  return Buffer.concat([object(instance), Buffer.from('\n'), Buffer.from(pixels)]);
}

interface Setup {
  readonly server: TestServer;
  readonly client: Dicomweb;
}

/** Waits a second where a busy archive asks for it, no longer. */
const oneSecond: Patience = { maxWaitMs: 1000, maxWaits: 2 };

/** The room's client before the server at `origin`. */
export function clientOf(
  origin: string,
  token: Token | null = null,
  limits: DicomwebOptions['limits'] = {},
  net: Partial<Limits> = {},
  patience: Patience = oneSecond,
): Dicomweb {
  const neighbour = openNeighbour({ name: 'PACS', origins: [origin], totalMs: 3000, ...net });
  open.push(neighbour);
  const root = `${origin}/dicom-web`;
  const roots = { qido: root, wado: root, stow: root };
  return openDicomweb({ roots, neighbour, token, readUids, defaultIssuer: null, limits, patience });
}

export async function archive(
  answer: Answerer,
  token?: (origin: string) => Token,
  limits: DicomwebOptions['limits'] = {},
  net: Partial<Limits> = {},
): Promise<Setup> {
  const server = await serve(answer);
  open.push(server);
  return { server, client: clientOf(server.origin, token?.(server.origin) ?? null, limits, net) };
}

export interface ReadSeries {
  readonly got: readonly string[];
  /** What came, by UID. */
  readonly bytes: ReadonlyMap<string, Buffer>;
  readonly warnings: readonly string[];
  readonly error: unknown;
}

/** Reads the tests' series to its end, or to the error. */
export async function readSeries(client: Dicomweb, wanted: readonly Uid[] = uids, signal?: AbortSignal): Promise<ReadSeries> {
  const bytes = new Map<string, Buffer>();
  const warnings: Warning[] = [];
  const done = (error: unknown): ReadSeries => ({ got: [...bytes.keys()], bytes, warnings: warnings.map((one) => one.code), error });
  try {
    const options = { pausesMs: [1, 1], signal, onWarning: (warning: Warning) => void warnings.push(warning) };
    for await (const one of client.retrieve(study, series, wanted, options)) bytes.set(one.uids.instance, Buffer.from(one.bytes));
    return done(null);
  } catch (error) {
    return done(error);
  }
}

export function hit(uid: string, values: Record<string, unknown> = {}): object {
  const elements = Object.entries({ '0020000D': uid, '00100020': 'P1', ...values });
  return Object.fromEntries(elements.map(([tag, value]) => [tag, { vr: 'LO', ...(value === null ? {} : { Value: [value] }) }]));
}

export function query(asked: Asked): URLSearchParams {
  return new URL(asked.url, 'http://x').searchParams;
}

/** One page of `all` by limit and offset. */
export function pageOf(asked: Asked, all: readonly object[]): readonly object[] {
  const [offset, limit] = [Number(query(asked).get('offset')), Number(query(asked).get('limit'))];
  return all.slice(offset, offset + limit);
}

export async function codeFrom(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => codeOf(error),
  );
}

const names = ['a', 'b', 'c'];
export const uids = names.map((name) => uidOf(name));
export const series: Series = {
  uid: seriesUid,
  modality: 'CT',
  number: 1,
  description: null,
  bodyPart: null,
  side: null,
  instances: uids.map((uid) => ({ uid, sopClass: uidOf('class'), number: null, frames: 1 })),
};

export function multipart(objects: readonly Buffer[], type = 'application/dicom'): Buffer {
  const parts = objects.flatMap((bytes) => [Buffer.from(`\r\n--b\r\nContent-Type: ${type}\r\n\r\n`), bytes]);
  return Buffer.concat([...parts, Buffer.from('\r\n--b--')]);
}

export const multipartType = { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' };

export function instanceOf(asked: Asked): string | null {
  return /\/instances\/([^/?]+)$/.exec(asked.url)?.[1] ?? null;
}
