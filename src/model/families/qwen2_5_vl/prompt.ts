/**
 * The family's template, its prompts, and the three-axis positions of their rows.
 *
 * An image is `<|vision_start|><|image_pad|><|vision_end|>` with nothing around it, the middle token once per merged unit; texts are joined as
 * they are. Time stands still inside a picture, so what follows it goes on from its larger side, not from its number of rows.
 * Source: transformers processing_qwen2_5_vl.py, modeling_qwen2_5_vl.py (get_rope_index); the authors' chat_template.json.
 */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { AxisPositions, EncodedPart, EncodedPrompt } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { templateOf, withoutMarks } from '../templates.ts';
import { encodePicture, type Grid, gridOf, planOf } from './preprocess.ts';

export const marks = { image: '<|image_pad|>', start: '<|vision_start|>', end: '<|vision_end|>' } as const;
export const turnEnd = '<|im_end|>';

const plain = { strip: false, specialTokens: true } as const;

/** The default system text is there whenever no system message is given. */
const templates: readonly Template[] = [
  {
    name: 'chatml',
    before: '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n',
    after: '<|im_end|>\n<|im_start|>assistant\n',
    ...plain,
  },
  { name: 'raw', before: '', after: '', ...plain },
];

/** @throws import-option-missing when there is no such template */
export const templateNamed = (name: string): Template => templateOf('qwen2_5_vl', templates, name);

/** Text token: one position on all axes. Image: time stays, row and column count; the next position is after the larger side. */
export function axisPositions(parts: readonly EncodedPart[], grids: readonly Grid[]): AxisPositions {
  const [time, row, column]: [number[], number[], number[]] = [[], [], []];
  let next = 0;
  for (const part of parts) {
    const grid = part.kind === 'image' ? grids[part.image] : { rows: 1, columns: 1 };
    const repeats = part.kind === 'image' ? 1 : part.ids.length;
    if (grid === undefined) throw new WetreadError('internal', 'an image place of the prompt has no picture');
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (let at = 0; at < grid.rows * grid.columns; at++) {
        time.push(next);
        row.push(next + Math.floor(at / grid.columns));
        column.push(next + (at % grid.columns));
      }
      next += Math.max(grid.rows, grid.columns);
    }
  }
  return [time, row, column];
}

function refuseBeyondLimits({ limits, name }: Manifest, images: number, rows: number): void {
  if (images > limits.maxImages) {
    throw new WetreadError('too-many-images', `the prompt has ${images} images, the bundle ${name} takes ${limits.maxImages}`);
  }
  if (rows < limits.contextTokens) return;
  throw new WetreadError('prompt-too-long', `the prompt has ${rows} rows, the bundle ${name} takes fewer than ${limits.contextTokens}`, {
    hint: 'give it less history, fewer images or smaller ones',
  });
}

/**
 * A prompt as the engine runs it.
 * @throws too-many-images, prompt-too-long (with both numbers), pixel-unsupported
 */
export function encodeQwen(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  const { template, placeholder } = manifest.prompt;
  const plan = planOf(manifest);
  const reserved = [...Object.values(marks), ...tokenizer.special];
  const images = parts.flatMap((part) => (part.kind === 'image' ? [part.image] : []));
  const grids = images.map((image) => gridOf(image, plan));
  const items = parts.map((part) => (part.kind === 'image' ? marks.start + marks.image + marks.end : withoutMarks(part.text, reserved)));
  const text = template.before + items.join('') + template.after;
  const encoded: EncodedPart[] = [];
  const inputIds: number[] = [];
  let ids: number[] = [];
  let image = 0;
  for (const id of tokenizer.encode(text, template.specialTokens)) {
    if (id !== placeholder.id) {
      ids.push(id);
      inputIds.push(id);
      continue;
    }
    const grid = grids[image];
    if (grid === undefined) throw new WetreadError('internal', `the prompt has more ${placeholder.text} than its ${images.length} images`);
    encoded.push({ kind: 'tokens', ids }, { kind: 'image', image: image++ });
    for (let unit = 0; unit < grid.rows * grid.columns; unit++) inputIds.push(id);
    ids = [];
  }
  if (ids.length > 0) encoded.push({ kind: 'tokens', ids });
  refuseBeyondLimits(manifest, images.length, inputIds.length);
  return {
    text,
    inputIds,
    parts: encoded,
    positions: axisPositions(encoded, grids),
    images: images.map((picture) => encodePicture(picture, plan)),
  };
}
