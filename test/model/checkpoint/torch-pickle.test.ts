import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WetreadError } from '#domain/errors.ts';
import { openTorchPickle } from '#model/checkpoint/torch-pickle.ts';
import { temporaryFolder } from '../folder.ts';
import { pickle, torchFile, zip } from './torch-file.ts';

const folder = await temporaryFolder();
let made = 0;

async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(folder, `${made++}.bin`);
  await writeFile(path, bytes);
  return path;
}

/** A state dictionary with one entry. */
function state(name: string, value: number[]): number[] {
  return [...pickle.start, ...pickle.items(pickle.orderedDict(), [pickle.string(name), value]), ...pickle.stop];
}

async function valuesOf(bytes: Uint8Array, name: string): Promise<number[]> {
  const source = await openTorchPickle(await fileOf(bytes));
  const values = [...(await source.readF32(name))];
  await source.close();
  return values;
}

const six = Float32Array.from([0, 1, 2, 3, 4, 5]);
const storage = pickle.storage('FloatStorage', '0', 6);

describe('views', () => {
  test('a contiguous tensor is read through the local header, whose extra field differs from the directory', async () => {
    expect(await valuesOf(torchFile(state('w', pickle.tensor(storage, 0, [2, 3], [3, 1])), { 0: six }), 'w')).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('sizes and offsets that stand in ZIP64 fields alone are read, as in files beyond 4 GB', async () => {
    const data = state('w', pickle.tensor(storage, 1, [2], [1]));
    expect(await valuesOf(torchFile(data, { 0: six }, true), 'w')).toEqual([1, 2]);
  });

  test('a transposed view is read in the order of its own shape', async () => {
    expect(await valuesOf(torchFile(state('w', pickle.tensor(storage, 0, [3, 2], [1, 3])), { 0: six }), 'w')).toEqual([0, 3, 1, 4, 2, 5]);
  });

  test('a storage offset is honoured', async () => {
    expect(await valuesOf(torchFile(state('w', pickle.tensor(storage, 4, [2], [1])), { 0: six }), 'w')).toEqual([4, 5]);
  });

  test('any strided view of any storage equals the definition of a view', async () => {
    const axis = fc.record({ size: fc.integer({ min: 1, max: 4 }), stride: fc.integer({ min: 1, max: 5 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(axis, { maxLength: 3 }), fc.integer({ min: 0, max: 7 }), async (axes, offset) => {
        const shape = axes.map(({ size }) => size);
        const stride = axes.map(({ stride }) => stride);
        const places = axes.reduce<number[]>(
          (all, { size, stride: step }) => all.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * step)),
          [offset],
        );
        const values = Float32Array.from({ length: Math.max(...places) + 1 + places.length }, (_, i) => i * 0.5);
        const data = state('w', pickle.tensor(pickle.storage('FloatStorage', '0', values.length), offset, shape, stride));
        expect(await valuesOf(torchFile(data, { 0: values }), 'w')).toEqual(places.map((at) => at * 0.5));
      }),
      { numRuns: 60 },
    );
  });

  test('a view beyond its storage is refused with both numbers', async () => {
    const bytes = torchFile(state('w', pickle.tensor(storage, 0, [7], [1])), { 0: six });
    await expect(openTorchPickle(await fileOf(bytes))).rejects.toThrow(/reaches element 6 of the storage archive\/data\/0, which has 6/);
  });

  test('a view that repeats elements is refused: a small file could name a tensor of any size', async () => {
    const bytes = torchFile(state('w', pickle.tensor(storage, 0, [1_000_000, 6], [0, 1])), { 0: six });
    await expect(openTorchPickle(await fileOf(bytes))).rejects.toMatchObject({ code: 'checkpoint-hostile' });
  });
});

describe('hostile pickles', () => {
  const call = (module: string, name: string) => [
    ...pickle.start,
    ...pickle.reduce(pickle.global(module, name), pickle.tuple(pickle.string('touch owned'))),
    ...pickle.stop,
  ];

  test.each([
    ['os', 'system'],
    ['posix', 'system'],
    ['builtins', 'eval'],
    ['builtins', 'getattr'],
    ['subprocess', 'Popen'],
    ['torch', 'load'],
    ['torch._utils', '_rebuild_parameter'],
    ['numpy.core.multiarray', '_reconstruct'],
    ['torch', 'constructor'],
    ['torch', '__proto__'],
  ])('%s.%s is refused by its dotted name', async (module, name) => {
    const error = await openTorchPickle(await fileOf(torchFile(call(module, name)))).catch((found: unknown) => found);
    expect(error).toBeInstanceOf(WetreadError);
    expect(error).toMatchObject({ code: 'checkpoint-hostile', message: expect.stringContaining(`${module}.${name}`) });
  });

  test('a name given by the stack (STACK_GLOBAL) is refused too', async () => {
    const data = [...pickle.start, ...pickle.string('os'), ...pickle.string('system'), 0x93, ...pickle.stop];
    await expect(openTorchPickle(await fileOf(torchFile(data)))).rejects.toThrow(/os\.system/);
  });

  test.each([
    ['INST', [0x28, 0x69, ...new TextEncoder().encode('os\nsystem\n')]],
    ['NEWOBJ', [...pickle.orderedDict(), 0x29, 0x81]],
    ['EXT1', [0x82, 1]],
  ])('the opcode %s, which builds objects, is refused', async (_, opcodes) => {
    await expect(openTorchPickle(await fileOf(torchFile([...pickle.start, ...opcodes, ...pickle.stop])))).rejects.toMatchObject({
      code: 'checkpoint-hostile',
    });
  });

  test('a state for a tensor (BUILD runs __setstate__ in Python) is refused', async () => {
    const data = state('w', [...pickle.tensor(storage, 0, [6], [1]), ...pickle.tuple(), 0x62]);
    await expect(openTorchPickle(await fileOf(torchFile(data, { 0: six })))).rejects.toMatchObject({ code: 'checkpoint-hostile' });
  });

  test('the _metadata of a state dictionary is accepted and dropped', async () => {
    const dict = pickle.items(pickle.orderedDict(), [pickle.string('w'), pickle.tensor(storage, 0, [6], [1])]);
    const metadata = pickle.items([0x7d], [pickle.string('_metadata'), pickle.orderedDict()]);
    expect(await valuesOf(torchFile([...pickle.start, ...dict, ...metadata, 0x62, ...pickle.stop], { 0: six }), 'w')).toEqual([...six]);
  });

  test('random bytes after a valid start end in a coded error, never in a result or another error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
        const error = await openTorchPickle(await fileOf(torchFile([...pickle.start, ...bytes]))).catch((found: unknown) => found);
        if (error instanceof Error) expect(error).toMatchObject({ code: expect.stringMatching(/^checkpoint-(hostile|unreadable)$/) });
        else await (error as { close(): Promise<void> }).close(); // an empty dictionary is a state, too
      }),
      { numRuns: 200 },
    );
  });
});

describe('damaged files', () => {
  test('a truncated file is named', async () => {
    const path = await fileOf(torchFile(state('w', pickle.tensor(storage, 0, [6], [1])), { 0: six }));
    await truncate(path, (await readFile(path)).length - 30);
    await expect(openTorchPickle(path)).rejects.toThrow(/\d+\.bin: found no end of the zip directory \(the file is truncated\)/);
  });

  test('a file of PyTorch before 1.6 is refused with advice', async () => {
    const legacy = Uint8Array.from([0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]);
    await expect(openTorchPickle(await fileOf(legacy))).rejects.toMatchObject({
      message: expect.stringContaining('PyTorch before 1.6'),
      hint: expect.stringContaining('save it again'),
    });
  });

  test('one changed byte anywhere ends in a coded error or in six numbers, never in another error', async () => {
    const good = torchFile(state('w', pickle.tensor(storage, 0, [6], [1])), { 0: six });
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const bytes = Buffer.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const path = await fileOf(bytes);
        try {
          const source = await openTorchPickle(path);
          for (const name of source.names) expect((await source.readF32(name)).length).toBeLessThanOrEqual(6);
          await source.close();
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^checkpoint-(hostile|unreadable)$/) });
        }
      }),
      { numRuns: 400 },
    );
  });

  test('a missing storage is named', async () => {
    const bytes = torchFile(state('w', pickle.tensor(pickle.storage('FloatStorage', '9', 6), 0, [6], [1])), { 0: six });
    await expect(openTorchPickle(await fileOf(bytes))).rejects.toThrow(/storage 9 is missing/);
  });

  test('a storage of another length than the pickle says is refused with both numbers', async () => {
    const bytes = torchFile(state('w', pickle.tensor(storage, 0, [6], [1])), { 0: six.slice(0, 5) });
    await expect(openTorchPickle(await fileOf(bytes))).rejects.toThrow(/has 20 bytes, expected 24/);
  });

  test('a compressed entry is refused', async () => {
    const bytes = zip([{ name: 'archive/data.pkl', bytes: Uint8Array.of(1), method: 8 }]);
    await expect(openTorchPickle(await fileOf(bytes))).rejects.toThrow(/data\.pkl compressed/);
  });

  test('big-endian values are refused', async () => {
    const bytes = zip([
      { name: 'archive/data.pkl', bytes: Uint8Array.from(state('w', pickle.tensor(storage, 0, [6], [1]))) },
      { name: 'archive/byteorder', bytes: new TextEncoder().encode('big') },
    ]);
    await expect(openTorchPickle(await fileOf(bytes))).rejects.toThrow(/byte order big/);
  });

  test('what is no dictionary of tensors is refused by the entry that is none', async () => {
    await expect(openTorchPickle(await fileOf(torchFile(state('epoch', pickle.int(3)))))).rejects.toThrow(/entry epoch .* is no tensor/);
  });
});
