/**
 * Import of a llava checkpoint, HF or original form: every check on config, tensors, tokenizer and processor comes before the first write.
 *
 * The original form keeps the tower's config, processor and often its weights elsewhere (mm_vision_tower). Tensors inside the checkpoint
 * win over the tower's own file, because the trained tower lies there; where both are present and differ, the report says so.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { mergeSources, openCheckpoint, openFolder } from '../../checkpoint/open.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { openTorchPickle } from '../../checkpoint/torch-pickle.ts';
import { readJson } from '../../json.ts';
import type { Metadata } from '../../metadata.ts';
import type { Writing } from '../../onnx/files.ts';
import { type Processor, readProcessor } from '../../preprocess/processor.ts';
import { readTokenizerFiles } from '../../tokenizer/files.ts';
import { openTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { fileGeneration, generationNotes } from '../generation.ts';
import { checkPictureSize, checkVocabulary, endIdSchema, endIds, processorConfig } from '../hf-files.ts';
import { graphFiles, imageDecoderSizes } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { type LlavaArchitecture, llavaForm, readArchitecture } from './architecture.ts';
import { templateNamed } from './prompt.ts';
import { huatuoGeneration, published, tasks } from './tasks.ts';
import { type ResolvedWeights, resolveWeights, writeLlava } from './weights.ts';

const anyObject = z.record(z.string(), z.unknown());
const topSchema = z.looseObject({
  architectures: z.array(z.string()).nullish(),
  model_type: z.string().nullish(),
  _name_or_path: z.string().nullish(),
  mm_vision_tower: z.string().nullish(),
  image_aspect_ratio: z.string().nullish(),
  mm_use_im_start_end: z.boolean().nullish(),
  tokenizer_model_max_length: z.int().positive().nullish(),
  text_config: z.looseObject({ model_type: z.string().nullish() }).nullish(),
  eos_token_id: endIdSchema,
});
type Top = z.infer<typeof topSchema>;

/** Placeholder id of the original form (IMAGE_TOKEN_INDEX in the authors' code). */
const splicedImage = -200;

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importLlava(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const top = await readJson(join(from, 'config.json'), topSchema, 'architecture-unsupported');
  if (top.mm_use_im_start_end === true) {
    throw new WetreadError('architecture-unsupported', 'config.json: mm_use_im_start_end is true; only false is built');
  }
  refuseDelta([basename(resolve(from)), top._name_or_path ?? '']);
  const tower = findTower(from, top, options.tower);
  const notes: string[] = [];
  const source = await openSource(from, tower);
  try {
    const towerConfig = tower === null ? null : await readJson(join(tower, 'config.json'), anyObject, 'architecture-unsupported');
    const hasHead = source.names.some((name) => name.endsWith('lm_head.weight'));
    const architecture = readArchitecture(top, { towerConfig, hasHead });
    const resolved = resolveWeights(architecture, source);
    const files = await readTokenizerFiles(from);
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, architecture.decoder.vocabSize);
    const template = templateNamed(options.metadata.template ?? guessTemplate(architecture, top, tokenizer));
    // HuatuoGPT-Vision's own code pads always, whatever its config says.
    const pads = architecture.form === 'original' && (top.image_aspect_ratio === 'pad' || template.name === 'huatuo');
    const processor = await readImages(from, tower, top, options.metadata.pad ?? pads);
    checkPictureSize(processor, architecture.vision.imageSize);
    const limits = limitsOf(options.metadata.limits ?? {}, top, architecture, template.name);
    const settings = template.name === 'huatuo' ? huatuoGeneration : await fileGeneration(from);
    const manifest = {
      limits,
      // Of any checkpoint in this form: one whose importer names its tasks was trained for those and no others.
      tasks: options.metadata.tasks ?? tasks,
      generation: {
        stopIds: await endIds(from, top.eos_token_id, tokenizer, files),
        minNewTokens: template.name === 'huatuo' ? 1 : 0,
        text: { strip: true },
        ...(settings === null ? {} : { published: settings }),
      },
      prompt: { template, placeholder: placeholderOf(architecture, tokenizer) },
      processor,
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...imageDecoderSizes(architecture), contextTokens: limits.contextTokens },
    };
    notes.push(
      `Template ${template.name}; tokenizer from ${files.source}.`,
      ...generationNotes(settings),
      ...(await compareShadowed(source, resolved)),
    );
    await writeLlava(to, architecture, source, resolved, writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return { manifest, published, notes };
  } finally {
    await source.close();
  }
}

/** LLaVA-Med 1.0 was published as what it adds to LLaMA's weights: imported as they are, they would write noise. */
function refuseDelta(names: readonly string[]): void {
  const name = names.find((one) => /(^|[-_])delta($|[-_.])/i.test(one));
  if (name === undefined) return;
  throw new WetreadError('architecture-unsupported', `${name} holds the difference from a base model by its name, not a model's weights`, {
    hint: "add it to its base with the authors' apply_delta and import what that writes",
  });
}

/** Folder of the tower: as given, else below the checkpoint, else beside it by its last part; null where none is named or found. */
function findTower(from: string, top: Top, given: string | null): string | null {
  if (given !== null) {
    if (existsSync(join(given, 'config.json'))) return given;
    throw new WetreadError('import-option-missing', `the tower's folder ${given} holds no config.json`);
  }
  if (llavaForm(top) !== 'original' || !top.mm_vision_tower) return null;
  const name = top.mm_vision_tower;
  // The name is outside input: it may lead below the checkpoint or beside it, nowhere else.
  const inside = resolve(from, name);
  const candidates = inside.startsWith(`${resolve(from)}/`) ? [inside] : [];
  candidates.push(join(dirname(resolve(from)), basename(name)));
  return candidates.find((folder) => existsSync(join(folder, 'config.json'))) ?? null;
}

/** The checkpoint, then a projector that was saved apart, then the tower: what comes first wins. */
async function openSource(from: string, tower: string | null): Promise<TensorSource> {
  let source = await openCheckpoint(from);
  try {
    const projector = join(from, 'mm_projector.bin');
    if (existsSync(projector)) source = mergeSources(source, await openTorchPickle(projector));
    const own = tower === null ? null : await openFolder(tower);
    return own === null ? source : mergeSources(source, own);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Without a template given: by form, decoder and the tokenizer's marks. */
function guessTemplate(architecture: LlavaArchitecture, top: Top, tokenizer: Tokenizer): string {
  const type = (top.text_config?.model_type ?? `${top.architectures?.join(' ') ?? ''} ${top.model_type ?? ''}`).toLowerCase();
  if (tokenizer.idOf('<|start_header_id|>') !== null) return 'llama_3';
  // HuatuoGPT-Vision keeps its tower below itself; the 34B model is a Llama by its config.
  if (architecture.form === 'original' && (type.includes('qwen2') || /(^|\/)vit\//.test(top.mm_vision_tower ?? ''))) return 'huatuo';
  if (tokenizer.idOf('<|im_start|>') !== null) return 'chatml';
  if (type.includes('mistral')) return 'mistral_instruct';
  return architecture.form === 'hf' ? 'llava_hf' : 'vicuna_v1';
}

async function readImages(from: string, tower: string | null, top: Top, pad: boolean): Promise<Processor> {
  const folders = [from, ...(tower === null ? [] : [tower])] as const;
  return readProcessor(await processorConfig(folders, top.mm_vision_tower ?? null), pad);
}

function placeholderOf(architecture: LlavaArchitecture, tokenizer: Tokenizer): Manifest['prompt']['placeholder'] {
  const text = '<image>';
  if (architecture.imageTokenId === null) return { rule: 'splice', text, id: splicedImage };
  const id = tokenizer.idOf(text);
  if (id === architecture.imageTokenId) return { rule: 'expand', text, id };
  throw new WetreadError(
    'tokenizer-unsupported',
    `config.json says that ${text} has the id ${architecture.imageTokenId}, the tokenizer says ${id}`,
  );
}

/** Limits that are not given: what the authors trained on. */
function limitsOf(given: NonNullable<Metadata['limits']>, top: Top, a: LlavaArchitecture, template: string): Manifest['limits'] {
  const context = Math.min(a.decoder.maxPositions, top.tokenizer_model_max_length ?? a.decoder.maxPositions);
  return {
    maxImages: given.maxImages ?? (template === 'huatuo' ? 6 : 1),
    contextTokens: Math.min(given.contextTokens ?? context, context),
    maxNewTokens: given.maxNewTokens ?? 512,
  };
}

/** Tensors that are there twice: which was used, and whether the other differs. */
async function compareShadowed(source: TensorSource, resolved: ResolvedWeights): Promise<string[]> {
  if (resolved.shadowed.length === 0) return [];
  let different = 0;
  for (const { used, ignored } of resolved.shadowed) {
    const [a, b] = [await source.readF32(used), await source.readF32(ignored)];
    if (a.length !== b.length || a.some((value, i) => value !== b[i])) different += 1;
  }
  const [first] = resolved.shadowed;
  return [
    `${resolved.shadowed.length} tensors are there twice, ${different} of them with other values; those inside the checkpoint were used (${first?.used}, not ${first?.ignored}).`,
  ];
}
