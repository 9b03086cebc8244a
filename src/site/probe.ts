/** What every question of the site check gives, and reads of public documents that need no client of ours. */
import { WetreadError } from '#domain/errors.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';

export interface Finding {
  /** What was asked: "FHIR metadata", "QIDO-RS", ... */
  readonly connection: string;
  readonly state: 'ok' | 'warning' | 'problem' | 'skipped';
  readonly found: string;
  /** What to do, null when nothing is. */
  readonly todo: string | null;
}

export type Said = Pick<Finding, 'state' | 'found'> & { readonly todo?: string };

/** What is refused or unreachable is a finding with its code, never a thrown error. */
export async function finding(connection: string, ask: () => Promise<Said>): Promise<Finding> {
  try {
    const { todo = null, ...said } = await ask();
    return { connection, ...said, todo };
  } catch (error) {
    if (!(error instanceof WetreadError)) throw error;
    return { connection, state: 'problem', found: `${error.code}: ${error.message}`, todo: error.hint };
  }
}

async function once<Result>(url: string, ca: string | null, use: (neighbour: Neighbour) => Promise<Result>): Promise<Result> {
  // The limits of a key set as the hooks read it (service/doors.ts).
  const neighbour = openNeighbour({ name: 'server', origins: [url], ca, maxBytes: 256 * 1024, idleMs: 5_000, totalMs: 5_000 });
  try {
    return await use(neighbour);
  } finally {
    await neighbour.close();
  }
}

/** @throws net-* */
export async function jsonAt(url: string): Promise<unknown> {
  const text = await once(url, null, async (neighbour) => {
    const answer = await neighbour.fetch(url, { headers: { accept: 'application/json' } });
    const body = await answer.text();
    if (answer.status !== 200) throw new WetreadError('net-unreachable', `found status ${answer.status} at ${url}, expected 200`);
    return body;
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WetreadError('net-unreachable', `found no JSON at ${url}`, { cause });
  }
}

/** Further than this and somebody's tokens are refused as not yet, or no longer, valid. */
const refusedFromSeconds = 60;
/** A Date header has whole seconds, and an answer takes some time. */
const saidFromSeconds = 5;

/**
 * Seconds by which a server's clock is ahead of ours, by the Date header of any answer of it; null = its answers have none.
 * @throws net-*
 */
async function secondsAhead(url: string, ca: string | null, now: () => Date): Promise<number | null> {
  return once(url, ca, async (neighbour) => {
    const before = now().getTime();
    const answer = await neighbour.fetch(url, { method: 'HEAD' });
    const middle = (before + now().getTime()) / 2;
    const date = Date.parse(answer.headers.get('date') ?? '');
    return Number.isNaN(date) ? null : Math.round((date + 500 - middle) / 1000);
  });
}

/** Whether a server's clock agrees with ours: tokens, and the order of what was seen and written, depend on it. */
export async function clockOf(url: string, ca: string | null, now: () => Date): Promise<Said> {
  const seconds = await secondsAhead(url, ca, now);
  const { host } = new URL(url);
  if (seconds === null) return { state: 'skipped', found: `${host} gives no Date` };
  if (Math.abs(seconds) <= saidFromSeconds) return { state: 'ok', found: `${host} agrees with this machine` };
  const found = `${host} is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} this machine`;
  const todo = 'set both clocks by the same time server (NTP)';
  return Math.abs(seconds) < refusedFromSeconds
    ? { state: 'warning', found, todo }
    : { state: 'problem', found: `${found}: tokens are refused from ${refusedFromSeconds} s on`, todo };
}
