/** A request in an answer, from the model's tokens to the statements: a tiny checkpoint that writes one. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { attribute } from '#attribution/attribute.ts';
import type { PromptPart } from '#domain/answer.ts';
import { parseUid } from '#domain/uid.ts';
import { importCheckpoint } from '#model/import.ts';
import { readTokenizerFiles } from '#model/tokenizer/files.ts';
import { openTokenizer } from '#model/tokenizer/tokenizer.ts';
import { openConversation } from '#runtime/conversation.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { available } from '../../../setup/require.ts';
import { golden, temporaryFolder } from '../../folder.ts';
import { answering, llamaSentences, noise } from '../answering.ts';
import { llamaMarks, writeCheckpoint } from './checkpoint.ts';

const uid = parseUid('1.2.3');
const ref = { study: uid, series: uid, instance: uid, sopClass: uid, frame: null };
const parts: readonly PromptPart[] = [
  { kind: 'image', image: { width: 8, height: 8, channels: 1, pixels: Uint8Array.from({ length: 64 }, (_, i) => i * 4) } },
  { kind: 'text', text: '\nDescribe the image in detail.' },
];

it.skipIf(!available('shared'))('a request in an answer is read as data, told, and stands in no statement', async () => {
  const files = await readTokenizerFiles(join(golden, 'llava/original-llama-bin2/checkpoint'), 'slow');
  const request = openTokenizer(files.json, files.config).encode('<CXR>', false);
  const sentence = llamaSentences.slice(0, llamaSentences.indexOf(325) + 1);
  const from = join(await temporaryFolder(), 'checkpoint');
  await writeCheckpoint(from, {
    tokens: llamaMarks,
    llm: { max_position_embeddings: 1024, tokenizer_model_max_length: 1024 },
    tensors: (folder, tensors) =>
      folder !== 'llm'
        ? noise(tensors, 3)
        : answering(tensors, 3, {
            tables: ['model.embed_tokens.weight'],
            head: 'lm_head.weight',
            lastNorm: 'model.norm.weight',
            quiet: /(o|down)_proj\.weight$/,
            answer: [...sentence, ...request, llamaMarks['<|eot_id|>']],
          }),
  });
  const { bundle } = await importCheckpoint({ from, to: join(await temporaryFolder(), 'bundle') });
  const conversation = await openConversation(openStockRuntime({ provider: 'cpu', threads: 1, strict: false }), bundle);
  try {
    const { answer, promptId } = await conversation.ask({ parts, task: 'report', maxNewTokens: 40 }, () => undefined);
    expect(answer.text).toBe('The c is noral? <CXR>');
    expect(answer.requests).toEqual([
      { name: 'CXR', what: 'classification of chest films', argument: null, start: 16, end: 21, alone: true },
    ]);
    const { statements, warnings } = await attribute({
      scorer: (keep, nullImage) => conversation.score(promptId, keep, nullImage),
      answer,
      images: [ref],
      threshold: null,
      citeWithoutThreshold: true,
      timeBudgetMs: 60_000,
      now: () => 0,
      resolve: () => true,
    });
    expect(statements.map(({ text }) => text)).toEqual(['The c is noral?']);
    expect(warnings.map(({ message }) => message)).toContain(
      'The model asked for the expert CXR, for classification of chest films, which is not run here.',
    );
  } finally {
    await conversation.close();
  }
});
