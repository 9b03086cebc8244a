/**
 * The words of a prompt as data: a bundle's own (its prompts.json), or the default, which is that of phantom-cxr.
 *
 * Slots stand in braces. Around a slot whose value is not known its part is left out: a part between commas that is made of words and slots
 * goes whole, a bracketed part goes whole, so a label never says "unknown" to a model that was not trained on it.
 */
import { z } from 'zod';

const kinds = ['reason', 'prior-impression', 'problem', 'result', 'medication', 'allergy', 'procedure'] as const;

const defaults = {
  version: '1',
  order: ['history', 'images', 'task'],
  history: 'History: {items}.\n',
  historySeparator: '; ',
  historyNone: 'History: not given.\n',
  historyMaxTokens: 96,
  historyItem: {
    reason: '{text}',
    'prior-impression': 'prior impression: {text} ({date})',
    problem: '{text}',
    result: '{text} ({date})',
    medication: 'medication: {text}',
    allergy: 'allergy: {text}',
    procedure: 'procedure: {text} ({date})',
  },
  labels: {
    current: 'Current film, {region} {view}, {date}: ',
    prior: 'Prior film, {region} {view}, {date} ({days} days earlier): ',
    currentSlice: 'Current {modality}, {region}, slice {slice} of {slices}, {date}: ',
    priorSlice: 'Prior {modality}, {region}, slice {slice} of {slices}, {date} ({days} days earlier): ',
    currentImage: 'Current {modality}, {region} {view}, {date}: ',
    priorImage: 'Prior {modality}, {region} {view}, {date} ({days} days earlier): ',
  },
  afterImage: '',
  afterSlice: '',
  task: 'Write the findings, the comparison with the prior and the impression.',
} as const;

const label = (name: keyof typeof defaults.labels) => z.string().default(defaults.labels[name]);

/** Strings with slots; keys beyond these are other rooms' (template, example). */
export const wordingSchema = z.object({
  version: z.string().min(1).default(defaults.version),
  /** What comes after what. */
  order: z.array(z.enum(['history', 'images', 'task'])).default([...defaults.order]),
  /** Slot: items. */
  history: z.string().default(defaults.history),
  historySeparator: z.string().default(defaults.historySeparator),
  historyNone: z.string().default(defaults.historyNone),
  historyMaxTokens: z.int().nonnegative().default(defaults.historyMaxTokens),
  /** Slots: text, date. */
  historyItem: z.record(z.enum(kinds), z.string()).default({ ...defaults.historyItem }),
  /** Everywhere: number. Film: region view date days. Slice: modality region slice slices date days. Image: modality region view date days. */
  labels: z
    .object({
      current: label('current'),
      prior: label('prior'),
      currentSlice: label('currentSlice'),
      priorSlice: label('priorSlice'),
      currentImage: label('currentImage'),
      priorImage: label('priorImage'),
    })
    .default({ ...defaults.labels }),
  /** Behind an image, beyond what the family's template puts there (llava: a line end). */
  afterImage: z.string().default(defaults.afterImage),
  /** Behind a slice of the current study, instead. Slots: those of a slice's label. */
  afterSlice: z.string().default(defaults.afterSlice),
  /** Slots: images, or image for each, where they stand; `order` then puts none elsewhere. */
  task: z.string().min(1).default(defaults.task),
});

export type Wording = z.infer<typeof wordingSchema>;

export const defaultWording: Wording = wordingSchema.parse({});

type Slots = Readonly<Record<string, string | null>>;

const slot = /\{(\w+)\}/g;

function fillAll(text: string, slots: Slots): string {
  return text.replace(slot, (whole, name: string) => (name in slots ? (slots[name] ?? '') : whole));
}

function lacks(text: string, slots: Slots): boolean {
  return [...text.matchAll(slot)].some(([, name]) => name !== undefined && name in slots && slots[name] === null);
}

/** One part between commas; null = left out. */
function fillPart(part: string, slots: Slots, first: boolean): string | null {
  const kept = part.replace(/\s*\([^()]*\)/g, (bracket) => (lacks(bracket, slots) ? '' : bracket));
  const onlySlots = kept.replace(slot, '').trim() === '';
  if (lacks(kept, slots) && !onlySlots && !first) return null;
  const filled = fillAll(kept, slots).replace(/ {2,}/g, ' ').trim();
  return filled === '' ? null : filled;
}

/** A template with its slots filled and the parts of unknown ones left out; white space at its ends and a colon at its end stay. */
export function fill(template: string, slots: Slots): string {
  const [start = ''] = /^\s*/.exec(template) ?? [];
  const [end = ''] = /:?\s*$/.exec(template) ?? [];
  const body = template.slice(start.length, template.length - end.length);
  const parts = body.split(/,\s*/).flatMap((part, index) => fillPart(part, slots, index === 0) ?? []);
  return `${start}${parts.join(', ')}${end}`;
}
