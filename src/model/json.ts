/** JSON files of a checkpoint or bundle: outside input, parsed and checked once, with the file and the key in the message. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { type ErrorCode, WetreadError } from '#domain/errors.ts';

/** @throws `code` when the file is missing, no JSON, or not as `schema` says */
export async function readJson<T>(path: string, schema: z.ZodType<T>, code: ErrorCode): Promise<T> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new WetreadError(code, `${basename(path)}: missing, unreadable or no JSON`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new WetreadError(code, `${basename(path)}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
