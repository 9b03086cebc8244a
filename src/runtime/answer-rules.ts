/** What may stand at a place of an answer, by rules of its beginning that the bundle has. */
import type { GenerateOptions } from './engine.ts';

/** Whether an id may be new token `index`: none of the ends among the first few, and only the choices first where there are any. */
export function mayStand({ barredIds, firstIds, minNewTokens, stopIds }: GenerateOptions, index: number): (id: number) => boolean {
  const barred = new Set(index < minNewTokens ? (barredIds ?? stopIds) : []);
  const only = index === 0 && firstIds !== undefined ? new Set(firstIds) : null;
  return (id) => !barred.has(id) && (only === null || only.has(id));
}
