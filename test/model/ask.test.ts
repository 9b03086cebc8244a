import { expect, test } from 'vitest';
import type { Answer, PromptPart, RawImage } from '#domain/answer.ts';
import { ask } from '#model/ask.ts';

const image: RawImage = { width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) };
const answer: Answer = { text: 'Clear.', tokens: [1], spans: [[0, 6]], logProbs: [0], stop: 'stop', promptTokens: 3, images: 3 };

test('pictures of all files come first, in their order; the answer streams and comes back whole', async () => {
  const written: string[] = [];
  const seen: PromptPart[] = [];
  const found = await ask(
    { images: ['a.png', 'b.dcm'], text: 'What is it?', maxNewTokens: 5 },
    {
      load: async (path) => (path === 'b.dcm' ? [image, image] : [image]),
      ask: async ({ parts, maxNewTokens }, onText) => {
        seen.push(...parts);
        expect(maxNewTokens).toBe(5);
        onText('Cl');
        onText('ear.');
        return { answer };
      },
      write: (text) => written.push(text),
    },
  );
  expect(seen.map((part) => part.kind)).toEqual(['image', 'image', 'image', 'text']);
  expect([written.join(''), found]).toEqual(['Clear.', answer]);
});

test('an empty text is refused before any picture is read', async () => {
  const load = async () => Promise.reject(new Error('read'));
  await expect(
    ask({ images: ['a.png'], text: ' ', maxNewTokens: null }, { load, ask: load, write: () => undefined }),
  ).rejects.toMatchObject({ code: 'request-malformed' });
});
