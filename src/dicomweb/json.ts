/**
 * The DICOM JSON model, as QIDO-RS, metadata and STOW-RS answers use it: values by tag, unknown as null.
 *
 * Archives write IS and DS as numbers or as text, and leave Value out for an empty element. Dirty values become null, never a guess.
 *
 * Source: PS3.18 annex F; PS3.5 6.2 (DA, TM, PN).
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Side } from '#domain/order.ts';
import type { Identity } from '#domain/patient.ts';
import { isUid, type Uid } from '#domain/uid.ts';

const element = z.looseObject({ vr: z.string().optional(), Value: z.array(z.unknown()).optional() });
export const dataset = z.record(z.string(), element);
export type Dataset = z.infer<typeof dataset>;

/** @throws dicomweb-bad-json when the answer is no array of data sets */
export function datasetsOf(answer: unknown, where: string): readonly Dataset[] {
  const parsed = z.array(dataset).safeParse(answer);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new WetreadError(
    'dicomweb-bad-json',
    `${where}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}, expected an array of data sets`,
  );
}

const alphabetic = z.looseObject({ Alphabetic: z.string() });

/** First value as text without padding; null when absent, empty, or no text or number. */
export function textAt(item: Dataset, tag: string): string | null {
  const value = item[tag]?.Value?.[0];
  const name = alphabetic.safeParse(value);
  const text = name.success ? name.data.Alphabetic : typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  return text.trim() === '' ? null : text.trim();
}

export function textsAt(item: Dataset, tag: string): readonly string[] {
  return (item[tag]?.Value ?? [])
    .flatMap((value) => (typeof value === 'string' ? value.split('\\').map((one) => one.trim()) : []))
    .filter(Boolean);
}

export function integerAt(item: Dataset, tag: string): number | null {
  const text = textAt(item, tag);
  return text !== null && /^[+-]?\d{1,12}$/.test(text) ? Number(text) : null;
}

export function uidAt(item: Dataset, tag: string): Uid | null {
  const text = textAt(item, tag);
  return text !== null && isUid(text) ? text : null;
}

export function itemsAt(item: Dataset, tag: string): readonly Dataset[] {
  const parsed = z.array(dataset).safeParse(item[tag]?.Value ?? []);
  return parsed.success ? parsed.data : [];
}

/** DA, also the old yyyy.mm.dd -> YYYY-MM-DD; impossible dates and 1111-11-11, which stands for "unknown", are null. */
export function dateAt(item: Dataset, tag: string): string | null {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(textAt(item, tag) ?? '');
  if (match === null) return null;
  const date = `${match[1]}-${match[2]}-${match[3]}`;
  const parsed = new Date(`${date}T00:00:00Z`);
  const valid = !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
  return valid && date >= '1850-01-01' ? date : null;
}

/** TM -> HH:MM:SS, missing parts as 00. */
export function timeAt(item: Dataset, tag: string): string | null {
  const match = /^([01]\d|2[0-3]):?([0-5]\d)?:?([0-5]\d|60)?(\.\d{1,6})?$/.exec(textAt(item, tag) ?? '');
  return match === null ? null : `${match[1]}:${match[2] ?? '00'}:${match[3] ?? '00'}`;
}

/** First component group of a PN, family^given^middle; null when nothing is left. */
export function nameAt(item: Dataset, tag: string): Identity['name'] {
  const [family = '', given = '', middle = ''] = (textAt(item, tag)?.split('=')[0] ?? '').split('^').map((part) => part.trim());
  const names = `${given} ${middle}`.split(/\s+/).filter(Boolean);
  return family === '' && names.length === 0 ? null : { family: family || null, given: names };
}

const sexes = new Map<string, NonNullable<Identity['sex']>>([
  ['M', 'male'],
  ['F', 'female'],
  ['O', 'other'],
]);

export function sexAt(item: Dataset, tag: string): Identity['sex'] {
  return sexes.get(textAt(item, tag) ?? '') ?? null;
}

const sides = new Map<string, Side>([
  ['L', 'left'],
  ['R', 'right'],
  ['B', 'bilateral'],
]);

export function sideAt(item: Dataset, tag: string): Side | null {
  return sides.get(textAt(item, tag) ?? '') ?? null;
}
