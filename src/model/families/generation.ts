/**
 * How the authors of a checkpoint choose tokens, as data of the bundle and as a sentence of the import's report. Answers here are greedy and
 * without penalties: what is drawn at random cannot be repeated, and a penalised probability is not the model's own.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { PublishedGeneration } from '../bundle-manifest.ts';
import { readJson } from '../json.ts';

const schema = z.looseObject({
  do_sample: z.boolean().nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  top_k: z.number().nullish(),
  repetition_penalty: z.number().nullish(),
  no_repeat_ngram_size: z.number().nullish(),
  num_beams: z.number().nullish(),
});

/** Settings of generation_config.json that make another answer than the likeliest token each time; null = none do. */
export async function fileGeneration(folder: string): Promise<PublishedGeneration | null> {
  const path = join(folder, 'generation_config.json');
  if (!existsSync(path)) return null;
  const keys = await readJson(path, schema, 'architecture-unsupported');
  const above = (value: number | null | undefined, least: number) => (typeof value === 'number' && value > least ? value : undefined);
  const sampled = keys.do_sample === true;
  const found = {
    temperature: sampled ? above(keys.temperature ?? 1, 0) : undefined,
    topP: sampled && (keys.top_p ?? 1) < 1 ? above(keys.top_p, 0) : undefined,
    topK: sampled ? above(keys.top_k, 0) : undefined,
    repetitionPenalty: keys.repetition_penalty === 1 ? undefined : above(keys.repetition_penalty, 0),
    noRepeatNgram: above(keys.no_repeat_ngram_size, 0),
    beams: above(keys.num_beams, 1),
  };
  const set = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
  return Object.keys(set).length === 0 ? null : { source: 'generation_config.json', ...set };
}

const words = {
  temperature: 'temperature',
  topP: 'top p',
  topK: 'top k',
  repetitionPenalty: 'repetition penalty',
  noRepeatNgram: 'no repeated n-gram of',
  beams: 'beams',
} as const satisfies Record<Exclude<keyof PublishedGeneration, 'source'>, string>;

/** For the import's report; nothing where the authors are greedy too. */
export function generationNotes(published: PublishedGeneration | null): string[] {
  if (published === null) return [];
  const { source, ...settings } = published;
  const said = Object.entries(words).flatMap(([key, word]) => {
    const value = Object.entries(settings).find(([name]) => name === key)?.[1];
    return value === undefined ? [] : [`${word} ${value}`];
  });
  return [`${source} asks for ${said.join(', ')}; answers here are greedy and without penalties, so that they can be repeated.`];
}
