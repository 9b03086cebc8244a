/** The engine in its own process, on a random bundle made by our own importer. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PromptPart, RawImage } from '#domain/answer.ts';
import { makeRandomBundle } from '#model/random.ts';
import { type Device, startDevice } from '#runtime/device.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-device-'));
const bundleDir = join(folder, 'bundle');

/** Stripes, so that images differ from each other and from both nulls. */
function picture(step: number): RawImage {
  const size = 64;
  const pixels = Uint8Array.from({ length: size * size }, (_, i) => (i * step + Math.floor(i / size) * 3) % 256);
  return { width: size, height: size, channels: 1, pixels };
}

const parts: readonly PromptPart[] = [
  { kind: 'image', image: picture(5) },
  { kind: 'image', image: picture(11) },
  { kind: 'text', text: 'Write the findings and the impression.' },
];
const request = { parts, maxNewTokens: null };

function start(changes: { device?: 'auto' | 'cpu'; timeoutMs?: number } = {}): Promise<Device> {
  return startDevice({ device: 'cpu', bundleDir, threads: 1, timeoutMs: 60_000, ...changes });
}

beforeAll(async () => {
  await makeRandomBundle({ dir: bundleDir, seed: 7, modalities: ['DX'], maxImages: 4, citeUncalibrated: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('an engine process', () => {
  let device: Device;
  beforeAll(async () => {
    device = await start();
  });
  afterAll(async () => {
    await device.close();
  });

  test('answers with text, spans and log-probabilities, and streams the same text', async () => {
    let streamed = '';
    const { answer, promptId } = await device.ask(request, (text) => {
      streamed += text;
    });
    expect(answer.text).not.toBe('');
    expect(streamed).toBe(answer.text);
    expect(answer.stop).toBe('stop');
    expect(answer.spans.length).toBe(answer.tokens.length);
    expect(answer.logProbs.length).toBe(answer.tokens.length);
    expect(answer.images).toBe(2);
    await device.release(promptId);
  });

  test('scores the answer: with all images as it was written, with nulls differently', async () => {
    const { answer, promptId } = await device.ask(request);
    const all = await device.score(promptId, [true, true], 'black');
    expect(all.length).toBe(answer.tokens.length);
    for (const [i, value] of all.entries()) expect(value).toBeCloseTo(answer.logProbs[i] ?? Number.NaN, 3);
    const none = await device.score(promptId, [false, false], 'mean');
    expect(none.every((value) => Number.isFinite(value) && value <= 0)).toBe(true);
    expect(none).not.toEqual(all);
  });

  test('a released prompt is not-found', async () => {
    const { promptId } = await device.ask(request);
    await device.release(promptId);
    await device.release(promptId);
    await expect(device.score(promptId, [true, true], 'black')).rejects.toMatchObject({ code: 'not-found' });
  });

  test('more images than the bundle takes are refused in the words of the bundle, and the engine goes on', async () => {
    const many = Array.from({ length: 5 }, (): PromptPart => ({ kind: 'image', image: picture(3) }));
    await expect(device.ask({ parts: many, maxNewTokens: null })).rejects.toMatchObject({ code: 'too-many-images' });
    expect((await device.ask(request)).answer.text).not.toBe('');
  });

  test('calls that come together are answered one after the other', async () => {
    const answers = await Promise.all([device.ask(request), device.ask(request), device.ask(request)]);
    expect(new Set(answers.map(({ answer }) => answer.text)).size).toBe(1);
    expect(new Set(answers.map(({ promptId }) => promptId)).size).toBe(3);
  });

  test('a process that is killed in the middle is engine-died; the next call starts a new one, and old prompts are lost with it', async () => {
    const { promptId } = await device.ask(request);
    const pid = await device.processId();
    expect(pid).not.toBeNull();
    let killed = false;
    const asked = device.ask(request, () => {
      if (!killed) process.kill(pid ?? 0, 'SIGKILL');
      killed = true;
    });
    await expect(asked).rejects.toMatchObject({ code: 'engine-died' });
    expect((await device.ask(request)).answer.text).not.toBe('');
    expect(await device.processId()).not.toBe(pid);
    await expect(device.score(promptId, [true, true], 'black')).rejects.toMatchObject({ code: 'engine-died' });
  });

  test('auto ends on a provider that computes rightly and says why not on the others', async () => {
    const automatic = await start({ device: 'auto' });
    const { provider, refused, knownAnswers } = automatic.info;
    expect(knownAnswers.attention).toBeNull();
    for (const { reason } of refused) expect(reason).not.toBe('');
    expect(['cuda', 'webgpu', 'cpu'].indexOf(provider)).toBe(refused.length);
    await automatic.close();
  });
});

test('a process that falls silent is engine-timeout, is ended, and is replaced at the next call', async () => {
  const device = await start({ timeoutMs: 3000 });
  const pid = (await device.processId()) ?? 0;
  process.kill(pid, 'SIGSTOP');
  await expect(device.ask(request)).rejects.toMatchObject({ code: 'engine-timeout' });
  expect((await device.ask(request)).answer.text).not.toBe('');
  expect(() => process.kill(pid, 0)).toThrow();
  await device.close();
});

test('when the service is killed, its engine ends by itself', async () => {
  const service = fork(join(import.meta.dirname, 'service-process.ts'), [bundleDir], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  });
  const [engine] = await once(service, 'message');
  expect(() => process.kill(engine, 0)).not.toThrow();
  service.kill('SIGKILL');
  await vi.waitFor(() => expect(() => process.kill(engine, 0)).toThrow(), { timeout: 20_000, interval: 50 });
});

test('a closed engine refuses calls and leaves no process', async () => {
  const device = await start();
  const pid = (await device.processId()) ?? 0;
  await device.close();
  await expect(device.ask(request)).rejects.toMatchObject({ code: 'engine-died' });
  expect(() => process.kill(pid, 0)).toThrow();
});

test('a folder that is no bundle is bundle-invalid, not a device that is unavailable', async () => {
  await expect(startDevice({ device: 'auto', bundleDir: folder, threads: 1, timeoutMs: 60_000 })).rejects.toMatchObject({
    code: 'bundle-invalid',
  });
});
