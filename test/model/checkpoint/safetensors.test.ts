import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { temporaryFolder } from '../folder.ts';

const folder = await temporaryFolder();
let made = 0;
const nextPath = () => join(folder, `${made++}.safetensors`);

async function fileOf(header: unknown, data: Uint8Array): Promise<string> {
  const path = nextPath();
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  await writeFile(path, Buffer.concat([length, json, data]));
  return path;
}

async function valuesOf(dtype: string, shape: readonly number[], bytes: Uint8Array): Promise<number[]> {
  const source = await openSafetensors(await fileOf({ w: { dtype, shape, data_offsets: [0, bytes.length] } }, bytes));
  const values = [...(await source.readF32('w'))];
  await source.close();
  return values;
}

describe('number types', () => {
  test('half precision: ordinary, subnormal and negative values', async () => {
    expect(await valuesOf('F16', [4], new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff).buffer))).toEqual([
      1,
      -2,
      2 ** -24,
      65504,
    ]);
  });

  test('bfloat16 is the upper half of an f32, for every finite value', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 20 }), async (halves) => {
        const expected = [...new Float32Array(Uint32Array.from(halves, (half) => half * 65536).buffer)];
        expect(await valuesOf('BF16', [halves.length], new Uint8Array(Uint16Array.from(halves).buffer))).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ['F64', new Uint8Array(Float64Array.of(0.5, -3).buffer)],
    ['F32', new Uint8Array(Float32Array.of(0.5, -3).buffer)],
  ])('%s', async (dtype, bytes) => expect(await valuesOf(dtype, [2], bytes)).toEqual([0.5, -3]));

  test.each([
    ['I64', new Uint8Array(BigInt64Array.of(7n, -9n).buffer)],
    ['I32', new Uint8Array(Int32Array.of(7, -9).buffer)],
    ['I16', new Uint8Array(Int16Array.of(7, -9).buffer)],
    ['I8', new Uint8Array(Int8Array.of(7, -9).buffer)],
  ])('%s', async (dtype, bytes) => expect(await valuesOf(dtype, [2], bytes)).toEqual([7, -9]));

  test('a number type that is not read is named', async () => {
    await expect(valuesOf('F8_E4M3', [2], new Uint8Array(2))).rejects.toThrow(/number type F8_E4M3/);
  });
});

describe('damaged files', () => {
  const one = (offsets: readonly number[], shape = [2]) => ({ w: { dtype: 'F32', shape, data_offsets: offsets } });

  test('a truncated file names itself, the tensor and both lengths', async () => {
    const path = nextPath();
    await writeSafetensors(path, [{ name: 'layer.weight', shape: [4], values: new Float32Array(4) }]);
    const { length } = await readFile(path);
    await truncate(path, length - 4);
    await expect(openSafetensors(path)).rejects.toThrow(
      new RegExp(`${made - 1}\\.safetensors: tensor layer.weight ends at byte ${length}, the file has ${length - 4}`),
    );
  });

  test.each([
    ['a header longer than the file', new Uint8Array([255, 255, 0, 0, 0, 0, 0, 0, 123]), /truncated/],
    ['a header of terabytes', new Uint8Array([0, 0, 0, 0, 0, 4, 0, 0, 123]), /no safetensors file/],
    ['seven bytes', new Uint8Array(7), /7 bytes are no safetensors file/],
  ])('%s is refused', async (_, bytes, message) => {
    const path = nextPath();
    await writeFile(path, bytes);
    await expect(openSafetensors(path)).rejects.toMatchObject({ code: 'checkpoint-unreadable', message: expect.stringMatching(message) });
  });

  test.each([
    ['offsets that are shorter than the shape', one([0, 4]), /needs 8 bytes, its offsets 0 to 4 span 4/],
    ['offsets beyond the end', one([8, 16]), /ends at byte/],
    ['negative offsets', one([-8, 0]), /data_offsets/],
    ['a hole before the tensor', { ...one([8, 16]), v: { dtype: 'F32', shape: [0], data_offsets: [0, 0] } }, /truncated|hole/],
    ['overlapping tensors', { ...one([0, 8]), v: { dtype: 'F32', shape: [1], data_offsets: [4, 8] } }, /overlap/],
    ['an unknown key of a tensor', { w: { ...one([0, 8]).w, script: 'x' } }, /script/],
    ['a header that is no JSON', 'not json', /no JSON/],
    ['a header that is a list', '[]', /no JSON object/],
  ])('%s are refused', async (_, header, message) => {
    await expect(openSafetensors(await fileOf(header, new Uint8Array(8)))).rejects.toMatchObject({
      code: 'checkpoint-unreadable',
      message: expect.stringMatching(message),
    });
  });

  test('one changed byte of the header ends in a coded error or in two numbers, never in another error', async () => {
    const path = nextPath();
    await writeSafetensors(path, [{ name: 'layer.weight', shape: [2], values: new Float32Array(2) }]);
    const good = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 9), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const bytes = Buffer.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        await writeFile(path, bytes);
        try {
          const source = await openSafetensors(path);
          for (const name of source.names) expect((await source.readF32(name)).length).toBeLessThanOrEqual(8);
          await source.close();
        } catch (error) {
          expect(error).toMatchObject({ code: 'checkpoint-unreadable' });
        }
      }),
      { numRuns: 400 },
    );
  });

  test('bytes after the last tensor are refused', async () => {
    await expect(openSafetensors(await fileOf(one([0, 8]), new Uint8Array(12)))).rejects.toThrow(/the tensors end at byte/);
  });

  test('a file that is not there is refused by name', async () => {
    await expect(openSafetensors(join(folder, 'absent.safetensors'))).rejects.toThrow(/absent\.safetensors: cannot be opened/);
  });
});

test('what is written is read back, for any names and shapes', async () => {
  const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(fc.string({ minLength: 1 }), shape), { selector: ([name]) => name, maxLength: 5 }),
      async (entries) => {
        const tensors = entries
          .filter(([name]) => name !== '__metadata__' && name !== '__proto__')
          .map(([name, sizes], index) => {
            const count = sizes.reduce((product, size) => product * size, 1);
            return { name, shape: sizes, values: Float32Array.from({ length: count }, (_, i) => index + i / 8) };
          });
        const path = nextPath();
        await writeSafetensors(path, tensors);
        const source = await openSafetensors(path);
        expect([...source.names].sort()).toEqual(tensors.map(({ name }) => name).sort());
        for (const { name, shape: sizes, values } of tensors) {
          expect(source.info(name)).toMatchObject({ dtype: 'F32', shape: sizes });
          expect(await source.readF32(name)).toEqual(values);
        }
        await source.close();
      },
    ),
    { numRuns: 60 },
  );
});
