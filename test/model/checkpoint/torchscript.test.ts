import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTorchPickle } from '#model/checkpoint/torch-pickle.ts';
import { available, sharedPath } from '../../setup/require.ts';
import { temporaryFolder } from '../folder.ts';
import { type Entry, pickle, zip } from './torch-file.ts';

const folder = await temporaryFolder();
let made = 0;

const { module } = pickle;
const tensor = pickle.tensor(pickle.storage('FloatStorage', '0', 6), 0, [2, 3], [3, 1]);
const storage: Entry = { name: 'ViT/data/0', bytes: new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer) };
const constants: Entry = { name: 'ViT/constants.pkl', bytes: Uint8Array.of(0x80, 2, 0x29, 0x2e) };

async function archive(object: readonly number[], others: readonly Entry[] = [constants]): Promise<string> {
  const path = join(folder, `${made++}.pt`);
  const data = { name: 'ViT/data.pkl', bytes: Uint8Array.from([...pickle.start, ...object, ...pickle.stop]) };
  await writeFile(path, zip([data, storage, ...others]));
  return path;
}

const nested = module(['scale', tensor], ['training', [0x88]], ['visual', module(['conv1', module(['weight', tensor], ['bias', [0x4e]])])]);

test('tensors of nested modules get their names joined; what is no tensor is left out', async () => {
  const source = await openTorchPickle(await archive(nested));
  expect(source.names).toEqual(['scale', 'visual.conv1.weight']);
  expect([...(await source.readF32('visual.conv1.weight'))]).toEqual([1, 2, 3, 4, 5, 6]);
  await source.close();
});

test('a typed list among the attributes is a list, and no tensor', async () => {
  const list = pickle.reduce(pickle.global('torch.jit._pickle', 'build_intlist'), pickle.tuple([0x5d, ...pickle.int(3), 0x61]));
  const source = await openTorchPickle(await archive(module(['sizes', list], ['w', tensor])));
  expect(source.names).toEqual(['w']);
  await source.close();
});

test('code beside the tensors may be compressed: it is not read', async () => {
  const code = { name: 'ViT/code/__torch__/Archive.py', bytes: Uint8Array.of(1, 2, 3), method: 8 };
  const source = await openTorchPickle(await archive(nested, [constants, code]));
  expect(source.names).toHaveLength(2);
  await source.close();
});

test('a module in a file that is no TorchScript archive is refused by its name', async () => {
  await expect(openTorchPickle(await archive(nested, []))).rejects.toMatchObject({
    code: 'checkpoint-hostile',
    message: expect.stringContaining('__torch__.torch.nn.modules.module.___torch_mangle_3.Module'),
  });
});

test.each<[string, number[]]>([
  ['another class', module(['x', [...pickle.global('os', 'system'), 0x29, 0x81]])],
  ['a module that is made with arguments', [...pickle.global('__torch__', 'A'), ...pickle.tuple(pickle.int(1)), 0x81]],
  ['an object of what is no class', [...pickle.int(1), 0x29, 0x81]],
  ['a module in two places', module(['a', [...module(['w', tensor]), 0x71, 9]], ['b', [0x68, 9]])],
])('%s is refused', async (_, object) => {
  await expect(openTorchPickle(await archive(object))).rejects.toMatchObject({ code: 'checkpoint-hostile' });
});

test.skipIf(!available('shared'))("OpenAI's form of CLIP, as the reference writes it", async () => {
  const source = await openTorchPickle(sharedPath('golden/med-flamingo/v1-following/checkpoint/ViT-L-14.pt'));
  expect(source.names).toContain('visual.transformer.resblocks.0.attn.in_proj_weight');
  expect(source.info('logit_scale').shape).toEqual([]);
  await source.close();
});
