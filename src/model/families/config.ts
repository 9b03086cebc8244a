/** How every family reads a config: by a schema, and refusing by name what it does not build. */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';

/** @throws architecture-unsupported */
export function refuse(message: string): never {
  throw new WetreadError('architecture-unsupported', message);
}

/**
 * @param where name of the config or its part, for the message
 * @throws architecture-unsupported naming the key, what it says and what is known
 */
export function parsed<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const result = schema.safeParse(value);
  return result.success ? result.data : refuse(`${where}: ${z.prettifyError(result.error).replaceAll('\n', ' ')}`);
}
