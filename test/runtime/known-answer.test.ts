import { describe, expect, test } from 'vitest';
import { startEngineProcess } from '#runtime/engine-process.ts';
import { expectedContext, tryKnownAnswers } from '#runtime/known-answer.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import type { OrtRuntime } from '#runtime/port.ts';
import { available } from '../setup/require.ts';

const cpu = openStockRuntime({ provider: 'cpu', threads: 1, strict: true });

test('the CPU computes every ability rightly', async () => {
  expect(await tryKnownAnswers(cpu)).toEqual({ attention: null, window: null, softcap: null, rows8: null });
});

test('the three answers differ, so that leaving window or softcap out is seen', () => {
  const plain = expectedContext({ window: null, softcap: null });
  const difference = (other: Float64Array): number => Math.max(...plain.map((value, i) => Math.abs(value - (other[i] ?? 0))));
  expect(difference(expectedContext({ window: 20, softcap: null }))).toBeGreaterThan(0.01);
  expect(difference(expectedContext({ window: null, softcap: 0.5 }))).toBeGreaterThan(0.01);
});

/** A runtime whose outputs are changed on their way: a library that computes wrongly cannot be had otherwise. */
function spoiled(change: (values: Float32Array) => Float32Array): OrtRuntime {
  return {
    ...cpu,
    load: async (path) => {
      const session = await cpu.load(path);
      return {
        release: () => session.release(),
        run: async (feeds, fetches) => {
          const out = await session.run(feeds, fetches);
          const context = out.context;
          return context === undefined ? out : { ...out, context: { dims: context.dims, read: () => change(context.read()) } };
        },
      };
    },
  };
}

test('a provider that is off by a little, or gives NaN, is found out', async () => {
  const off = await tryKnownAnswers(spoiled((values) => values.map((value, i) => (i === 700 ? value + 0.01 : value))));
  expect(off.attention).toMatch(/computes attention wrongly/);
  const twice = await tryKnownAnswers(spoiled((values) => values.map((value) => value * 1.01)));
  expect(twice.rows8).toMatch(/computes rows8 wrongly/);
  const nan = await tryKnownAnswers(spoiled((values) => values.map((value, i) => (i === 3 ? Number.NaN : value))));
  expect(nan.attention).toMatch(/computes attention wrongly/);
});

test('a provider that does not start answers with its words, not with an exception', async () => {
  const answers = await tryKnownAnswers({ ...cpu, load: () => Promise.reject(new Error('no adapter')) });
  expect(answers).toEqual({ attention: 'no adapter', window: 'no adapter', softcap: 'no adapter', rows8: 'no adapter' });
});

describe.skipIf(!available('chromium'))('WebGPU on the software driver of the chromium package', () => {
  test('leaves softcap out without a word, and the known answer finds out', async () => {
    const engine = startEngineProcess({ ...process.env, VK_DRIVER_FILES: '/usr/lib/chromium/vk_swiftshader_icd.json' });
    const answers = await engine.call('probe', { provider: 'webgpu' }, 60_000);
    await engine.end();
    expect(answers.softcap).toMatch(/computes softcap wrongly/);
  });
});
