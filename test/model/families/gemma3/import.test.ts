import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundleTokenizer, openBundle } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { encodeGemma3 } from '#model/families/gemma3/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { available } from '../../../setup/require.ts';
import { temporaryFolder } from '../../folder.ts';
import { rewriteJson, rewriteTensors } from '../rewrite.ts';
import { writeTinyCheckpoint } from './checkpoint.ts';

type Change = (folder: string) => Promise<void>;

const folders = async () => ({ from: join(await temporaryFolder(), 'checkpoint'), to: join(await temporaryFolder(), 'bundle') });

async function imported(change: Change = async () => undefined, metadata: Metadata = {}) {
  const { from, to } = await folders();
  await writeTinyCheckpoint(from, 7);
  await change(from);
  return await importCheckpoint({ from, to, metadata });
}

const tensors = (change: (all: readonly NamedTensor[]) => readonly NamedTensor[]): Change => {
  return (folder) => rewriteTensors(folder, change);
};
const config = (keys: Readonly<Record<string, unknown>>): Change => {
  return (folder) => rewriteJson(folder, 'config.json', keys);
};
const black = { width: 4, height: 2, channels: 1, pixels: new Uint8Array(8) } as const;

describe.skipIf(!available('shared'))('a Gemma 3 checkpoint', () => {
  it('becomes a bundle: template, stops, windows of CT, limits, terms, how an answer ends a thought', async () => {
    const { bundle, report } = await imported();
    expect(bundle.manifest).toMatchObject({
      family: 'gemma3',
      prompt: { template: { name: 'gemma3' }, placeholder: { rule: 'expand', text: '<image_soft_token>', id: 348 } },
      generation: { stopIds: [2, 345], text: { strip: true, thought: { open: '<unused94>', close: '<unused95>' } } },
      tasks: { report: { template: { before: '<bos><start_of_turn>user\nYou are an expert radiologist.\n\n' } } },
      wording: { afterSlice: 'SLICE {number}' },
      sliceRule: 'ends',
      ctWindows: [
        [-1024, 1024],
        [-135, 215],
        [0, 80],
      ],
      sizes: { visualTokens: 4, positionAxes: 1, hiddenSize: 40 },
      license: { name: 'Health AI Developer Foundations terms of use' },
    });
    expect((await openBundle(bundle.dir)).digest).toBe(report.digest);
  });

  it('says what its authors sample with, and that answers here are greedy', async () => {
    const sampled: Change = (folder) =>
      writeFile(join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: 2, do_sample: true, top_k: 64, top_p: 0.95 }));
    const { bundle, report } = await imported(sampled);
    expect(bundle.manifest.generation.published).toEqual({ source: 'generation_config.json', temperature: 1, topK: 64, topP: 0.95 });
    expect(report.notes.join(' ')).toMatch(/asks for temperature 1, top p 0\.95, top k 64; answers here are greedy/);
    expect((await imported()).bundle.manifest.generation.published).toBeUndefined();
  });

  const named = (name: RegExp) => (all: readonly NamedTensor[]) => all.filter((tensor) => !name.test(tensor.name));
  it.each([
    [
      'a missing tensor',
      tensors(named(/mm_soft_emb_norm/)),
      'checkpoint-tensors',
      /multi_modal_projector\.mm_soft_emb_norm\.weight \[24\]/,
    ],
    [
      'a tensor of another shape',
      tensors((all) =>
        all.map((one) =>
          one.name.endsWith('layers.0.self_attn.q_norm.weight') ? { ...one, shape: [4], values: one.values.slice(0, 4) } : one,
        ),
      ),
      'checkpoint-tensors',
      /q_norm\.weight is \[4\], \[8\] expected/,
    ],
    [
      'a tensor of no part',
      tensors((all) => [
        ...all,
        { name: 'language_model.model.layers.0.self_attn.q_proj.bias', shape: [32], values: new Float32Array(32) },
      ]),
      'checkpoint-tensors',
      /q_proj\.bias/,
    ],
    [
      'a value that is no number',
      tensors((all) => all.map((one, index) => (index === 0 ? { ...one, values: one.values.map(() => Number.NaN) } : one))),
      'checkpoint-tensors',
      /NaN|finite/,
    ],
    [
      'an embedding with fewer rows than there are tokens',
      async (folder: string) => {
        await config({ text_config: { vocab_size: 346 } })(folder);
        await tensors((all) =>
          all.map((one) =>
            one.name.endsWith('embed_tokens.weight') ? { ...one, shape: [346, 40], values: one.values.slice(0, 346 * 40) } : one,
          ),
        )(folder);
      },
      'checkpoint-tensors',
      /the tokenizer has 350 ids, the embedding 346 rows/,
    ],
    [
      'an image token that the tokenizer knows under another id',
      config({ image_token_index: 347 }),
      'tokenizer-unsupported',
      /id 347, the tokenizer says 348/,
    ],
    [
      'a soft cap of the scores',
      config({ text_config: { attn_logit_softcapping: 50 } }),
      'architecture-unsupported',
      /attn_logit_softcapping/,
    ],
    [
      'attention in both directions',
      config({ text_config: { use_bidirectional_attention: true } }),
      'architecture-unsupported',
      /bidirectional/,
    ],
    ['rows that are no square', config({ mm_tokens_per_image: 6 }), 'architecture-unsupported', /mm_tokens_per_image is 6/],
    [
      'pictures that are cut into several',
      (folder: string) => rewriteJson(folder, 'preprocessor_config.json', { do_pan_and_scan: true }),
      'architecture-unsupported',
      /do_pan_and_scan is true/,
    ],
    [
      'pictures of another size',
      (folder: string) => rewriteJson(folder, 'preprocessor_config.json', { size: { height: 28, width: 28 } }),
      'architecture-unsupported',
      /28 x 28, the vision tower takes 56 x 56/,
    ],
  ] as const)('%s is refused by name, and nothing is written', async (_, change, code, message) => {
    const { from, to } = await folders();
    await writeTinyCheckpoint(from, 7);
    await change(from);
    await expect(importCheckpoint({ from, to })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(existsSync(to)).toBe(false);
  });

  it('a prompt has as many places as pictures, and no more pictures than the bundle takes', async () => {
    const { bundle } = await imported(undefined, { limits: { maxImages: 1 } });
    const tokenizer = await bundleTokenizer(bundle);
    const text = { kind: 'text', text: 'No <start_of_image>picture<image_soft_token>.' } as const;
    const encoded = encodeGemma3(bundle.manifest, tokenizer, [{ kind: 'image', image: black }, text]);
    expect(encoded.parts.filter((part) => part.kind === 'image')).toEqual([{ kind: 'image', image: 0 }]);
    expect(() =>
      encodeGemma3(bundle.manifest, tokenizer, [{ kind: 'image', image: black }, { kind: 'image', image: black }, text]),
    ).toThrow(/has 2 images, the bundle checkpoint takes 1/);
  });
});
