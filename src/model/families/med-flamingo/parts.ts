/**
 * The three things that a Med-Flamingo checkpoint is made of, each from its own authors: what was trained (model.pt), the LLaMA base, the CLIP
 * tower. Base and tower lie in the checkpoint's folder or where the importer says.
 *
 * The trained file holds a parameter under every name that it has, and perhaps frozen ones too: those win over the base, as in the authors'
 * load_state_dict. Source: mlfoundations/open_flamingo 0.0.2 and 2.0.1, factory.py, train_utils.py; snap-stanford/med-flamingo README.
 */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { mergeSources, openCheckpoint } from '../../checkpoint/open.ts';
import { openSafetensors } from '../../checkpoint/safetensors.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { openTorchPickle } from '../../checkpoint/torch-pickle.ts';
import { readJson } from '../../json.ts';
import { readOpenClipConfig, type TowerForm } from './open-clip.ts';

export const trainedFile = 'model.pt';
const openClipConfig = 'open_clip_config.json';

const anyObject = z.record(z.string(), z.unknown());
type Config = z.infer<typeof anyObject>;

export interface Places {
  /** Folder of the base. */
  readonly base: string;
  /** Folder of the tower, or its TorchScript archive. */
  readonly tower: string;
}

export interface Parts {
  /** Trained part, base and tower as one. */
  readonly source: TensorSource;
  readonly baseConfig: Config;
  readonly tower: TowerForm;
}

/** Whether a folder is a checkpoint of this family, as far as its files' names say. */
export function isMedFlamingo(from: string): boolean {
  return existsSync(join(from, trainedFile)) && !existsSync(join(from, 'config.json'));
}

async function modelType(folder: string): Promise<unknown> {
  const path = join(folder, 'config.json');
  return existsSync(path) ? (await readJson(path, anyObject, 'architecture-unsupported')).model_type : null;
}

const towerTypes: readonly unknown[] = ['clip', 'clip_vision_model'];

/** The one of `found`, or a question for the option. */
function only(found: readonly string[], option: string, what: string): string {
  const [first, ...more] = found;
  if (first !== undefined && more.length === 0) return first;
  const names = found.map((path) => basename(path)).join(', ');
  throw new WetreadError(
    'import-option-missing',
    first === undefined ? `${what} is not in the checkpoint's folder` : `${what} may be any of ${names}`,
    { hint: `say where it lies: ${option}` },
  );
}

/**
 * Base and tower: as the importer says, else what is found in the checkpoint's folder.
 * @throws import-option-missing naming the option, when one is not found or could be several
 */
export async function findParts(from: string, given: { readonly base: string | null; readonly tower: string | null }): Promise<Places> {
  const bases: string[] = [];
  const towers: string[] = [];
  for (const entry of (await readdir(from, { withFileTypes: true })).sort((a, b) => a.name.localeCompare(b.name))) {
    const path = join(from, entry.name);
    if (entry.isFile() && entry.name.endsWith('.pt') && entry.name !== trainedFile) towers.push(path);
    if (!entry.isDirectory()) continue;
    const type = await modelType(path);
    if (type === 'llama') bases.push(path);
    if (existsSync(join(path, openClipConfig)) || towerTypes.includes(type)) towers.push(path);
  }
  return {
    base:
      given.base === null
        ? only(bases, 'base in wetread.json, a folder', 'the LLaMA base in Hugging Face form')
        : resolve(from, given.base),
    tower:
      given.tower === null
        ? only(towers, '--tower, or tower in wetread.json, a folder or a .pt file', 'the CLIP tower (ViT-L-14.pt, or its folder)')
        : resolve(from, given.tower),
  };
}

async function openTower(path: string): Promise<{ readonly source: TensorSource; readonly form: TowerForm }> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new WetreadError('import-option-missing', `the CLIP tower ${basename(path)} is not there`, { cause, hint: 'see --tower' });
  });
  if (found.isFile()) return { source: await openTorchPickle(path), form: { kind: 'openai', config: null } };
  if (!existsSync(join(path, openClipConfig))) {
    const config = await readJson(join(path, 'config.json'), anyObject, 'architecture-unsupported');
    return { source: await openCheckpoint(path), form: { kind: 'hf', config } };
  }
  const config = readOpenClipConfig(await readJson(join(path, openClipConfig), anyObject, 'architecture-unsupported'));
  const file = ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin'].find((name) => existsSync(join(path, name)));
  if (file === undefined) throw new WetreadError('checkpoint-unreadable', `${basename(path)}: holds no open_clip_model.safetensors`);
  const source = await (file.endsWith('.bin') ? openTorchPickle : openSafetensors)(join(path, file));
  return { source, form: { kind: 'openai', config } };
}

/** Frozen parameters of the trained file by their own authors' names; the gated layers by the first of their two names. */
const names: readonly (readonly [RegExp, string])[] = [
  [/^module\./, ''],
  [
    /^lang_encoder\.(?:model\.layers|old_decoder_blocks)\.(\d+)\.(?:decoder_layer\.)?(?=(?:self_attn|mlp|input_layernorm|post_attention_layernorm)\.)/,
    'model.layers.$1.',
  ],
  [/^lang_encoder\.model\.layers\.(\d+)\.gated_cross_attn_layer\./, 'lang_encoder.gated_cross_attn_layers.$1.'],
  [/^lang_encoder\.model\.norm\./, 'model.norm.'],
  [/^lang_encoder\.lm_head\./, 'lm_head.'],
  [/^vision_encoder\.(?:visual\.)?/, 'visual.'],
];

/** A source under other names; of several with one name the first is read. */
function renamed(source: TensorSource): TensorSource {
  const own = new Map<string, string>();
  for (const theirs of source.names) {
    const name = names.reduce((all, [from, to]) => all.replace(from, to), theirs);
    if (!own.has(name)) own.set(name, theirs);
  }
  const of = (name: string) => own.get(name) ?? name;
  return {
    names: [...own.keys()],
    info: (name) => source.info(of(name)),
    readF32: (name, range) => source.readF32(of(name), range),
    close: () => source.close(),
  };
}

/** Opens all three. @throws checkpoint-unreadable, checkpoint-hostile, checkpoint-tensors, architecture-unsupported, import-option-missing */
export async function openParts(from: string, { base, tower }: Places): Promise<Parts> {
  if (!existsSync(join(base, 'config.json'))) {
    throw new WetreadError('import-option-missing', `the LLaMA base ${basename(base)} has no config.json`, {
      hint: 'see base in wetread.json',
    });
  }
  const baseConfig = await readJson(join(base, 'config.json'), anyObject, 'architecture-unsupported');
  const opened: TensorSource[] = [];
  try {
    opened.push(renamed(await openTorchPickle(join(from, trainedFile))));
    opened.push(await openCheckpoint(base));
    const seen = await openTower(tower);
    opened.push(seen.source);
    return { source: opened.reduce(mergeSources), baseConfig, tower: seen.form };
  } catch (error) {
    for (const source of opened) await source.close();
    throw error;
  }
}
