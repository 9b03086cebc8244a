/**
 * What the driver throws, as our error: a store that is gone, full or ending is said so, and a statement of ours that is wrong stays a fault.
 *
 * Only the code is kept in the words: a message of the database repeats rows. Source: PostgreSQL, appendix A (SQLSTATE).
 */
import { WetreadError } from '#domain/errors.ts';

/** 53100 disk_full; a limit on files or quotas has no SQLSTATE of its own. */
const full = '53100';
/** Connection, transaction given up by the server, resources, intervention of an operator, system, corruption. */
const passing = /^(08|40|53|57|58|XX)/;

function sqlState(error: Error): string | null {
  const code: unknown = 'code' in error ? error.code : null;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in error ? code : null;
}

/** @returns disk-full, store-unavailable, or what was thrown when it is a fault of ours */
export function storeFault(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof WetreadError) return error;
  const state = sqlState(error);
  if (state === full) {
    const hint = 'free some space where the database keeps its files';
    return new WetreadError('disk-full', `the store has no room left (${full})`, { hint, cause: error });
  }
  if (state !== null && !passing.test(state)) return error;
  if (state === null && (error instanceof TypeError || error instanceof RangeError)) return error;
  const system: unknown = 'code' in error ? error.code : null;
  const why = state ?? (typeof system === 'string' ? system : 'the connection ended');
  return new WetreadError('store-unavailable', `the store does not answer (${why})`, {
    hint: 'check the database; what was begun is taken up again when it is back',
    cause: error,
  });
}
