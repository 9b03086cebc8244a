/** The imported graphs against plain arithmetic: mapper and language model in every way of tuning, in one pass and in steps. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { encodePrefixVqa } from '#model/families/prefix-vqa/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { openEngine } from '#runtime/engine.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Kind, slot, writeCheckpoint } from './checkpoint.ts';
import { type Flags, frontRows, Plain } from './plain.ts';

const folder = await temporaryFolder();
const pixels = Uint8Array.from({ length: 300 }, (_, i) => (37 * i) % 256);
const parts: PromptPart[] = [
  { kind: 'image', image: { width: 15, height: 20, channels: 1, pixels } },
  { kind: 'text', text: 'is it?' },
];

function largest(found: ArrayLike<number>, expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (found[i] ?? Number.NaN))), 0);
}

test.each<[Kind, Flags]>([
  [{ model: 'gpt2', tuning: 'frozen', mapper: 'mlp', clip: 'openai' }, { inverse: true }],
  [{ model: 'gpt2', tuning: 'lora', mapper: 'transformer', clip: 'hf' }, {}],
  [{ model: 'gpt2', tuning: 'lora-old', mapper: 'mlp', clip: 'openai' }, {}],
  [{ model: 'gpt2', tuning: 'prefix', mapper: 'mlp', clip: 'hf' }, { inverse: true }],
  [{ model: 'gpt2', tuning: 'prompt', mapper: 'mlp', clip: 'openai' }, {}],
  [{ model: 'gpt2', tuning: 'p-tuning', mapper: 'transformer', clip: 'openai' }, {}],
  [{ model: 'biogpt', tuning: 'frozen', mapper: 'transformer', clip: 'hf' }, {}],
  [{ model: 'biogpt', tuning: 'lora', mapper: 'mlp', clip: 'openai' }, {}],
  [{ model: 'biogpt', tuning: 'prefix', mapper: 'mlp', clip: 'openai' }, {}],
  [{ model: 'biogpt', tuning: 'p-tuning', mapper: 'mlp', clip: 'hf' }, {}],
])('%j %j', async (kind, flags) => {
  const name = Object.values(kind).join('-');
  let tensors: NamedTensor[] = [];
  await writeCheckpoint(join(folder, name), kind, {
    config: { scale_attn_by_inverse_layer_idx: flags.inverse === true },
    tensors: (own) => {
      tensors = own;
      return own;
    },
  });
  const { bundle } = await importCheckpoint({ from: join(folder, name), to: join(folder, `${name}-bundle`) });
  const { manifest } = bundle;
  const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
  const engine = await openEngine(runtime, bundle.dir, manifest.graphs, manifest.sizes);
  try {
    const prepared = await engine.prepare(encodePrefixVqa(manifest, await bundleTokenizer(bundle), parts), 4);
    const { vision, features } = await engine.look(prepared, 0, 'image');
    const plain = new Plain(tensors, kind, flags);
    const mapped = plain.mapped([...vision]);
    expect(largest(features.data, mapped.flat())).toBeLessThan(1e-5);
    const ids = prepared.encoded.inputIds;
    const at = ids.lastIndexOf(1) - slot + 1;
    const rows = [...plain.tokens(ids.slice(0, at)), ...mapped, ...plain.tokens(ids.slice(at + slot))];
    const expected = plain.logits(rows);
    const whole = await engine.whole(prepared);
    expect(whole.rows.count).toBe(rows.length + frontRows(kind));
    const all = [...expected.keys()];
    const once = await engine.decoder.step(engine.decoder.emptyCache(), whole.rows, all, whole.around);
    expect(largest(once.logits, expected.flat())).toBeLessThan(2e-4);
    // The way of a prompt in pieces, and of an answer after it.
    const [first = 0] = await engine.score(prepared, [3], [true], 'black');
    const last = expected.at(-1) ?? [];
    const total = Math.log(last.reduce((sum, value) => sum + Math.exp(value), 0));
    expect(first).toBeCloseTo((last[3] ?? 0) - total, 3);
  } finally {
    await engine.close();
  }
});
