/** The families that wetread imports and runs, one row each; nothing outside a family's folder knows its name but this table. */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../bundle-manifest.ts';
import type { EncodedPrompt, VolumePart } from '../encoded.ts';
import type { Writing } from '../onnx/files.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { isGemma3 } from './gemma3/architecture.ts';
import { importGemma3 } from './gemma3/import.ts';
import { encodeGemma3 } from './gemma3/prompt.ts';
import { isGmaiVl } from './gmai-vl/architecture.ts';
import { importGmaiVl } from './gmai-vl/import.ts';
import { encodeGmaiVl } from './gmai-vl/prompt.ts';
import type { FamilyImport, FamilyOptions } from './import.ts';
import { llavaForm } from './llava/architecture.ts';
import { importLlava } from './llava/import.ts';
import { encodeLlava } from './llava/prompt.ts';
import { importMedFlamingo } from './med-flamingo/import.ts';
import { isMedFlamingo } from './med-flamingo/parts.ts';
import { encodeMedFlamingo } from './med-flamingo/prompt.ts';
import { languageConfig as medvintTdConfig } from './medvint-td/architecture.ts';
import { importMedvintTd } from './medvint-td/import.ts';
import { encodeMedvintTd } from './medvint-td/prompt.ts';
import { languageConfig as medvintTeConfig } from './medvint-te/architecture.ts';
import { importMedvintTe } from './medvint-te/import.ts';
import { encodeMasked, encodeMedvintTe } from './medvint-te/prompt.ts';
import { isLlama } from './pmc-vqa.ts';
import { importPrefixVqa, isPrefixVqa } from './prefix-vqa/import.ts';
import { encodePrefixVqa } from './prefix-vqa/prompt.ts';
import { isQwen } from './qwen2_5_vl/architecture.ts';
import { importQwen } from './qwen2_5_vl/import.ts';
import { encodeQwen } from './qwen2_5_vl/prompt.ts';
import { isRadfm, languageFolder } from './radfm/architecture.ts';
import { importRadfm } from './radfm/import.ts';
import { encodeRadfm } from './radfm/prompt.ts';
import { isVila } from './vila-m3/architecture.ts';
import { importVilaM3 } from './vila-m3/import.ts';
import { encodeVilaM3 } from './vila-m3/prompt.ts';

export interface Family {
  readonly name: string;
  /** Where the config lies in a checkpoint's folder; absent = config.json. */
  readonly configFile?: string;
  /** Whether a checkpoint's config (parsed) is of this family. */
  detect(config: unknown): boolean;
  /** Whether a folder is of this family by the names in it, where no config lies at a known place; absent = the config says it. */
  detectFolder?(from: string): boolean;
  /** Writes graphs and tokenizer into the folder `to`; checks come before the first write. */
  import(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport>;
  /** A prompt as the engine runs it. @throws too-many-images, prompt-too-long */
  encode(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt;
  /** As encode, with rows for an answer of `length` tokens, which is read in one pass; absent = answers are written after the prompt. */
  encodeMasked?(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[], length: number): EncodedPrompt;
  /** As encode, of prompts that hold volumes too; absent = the family reads pictures only. */
  encodeVolumes?(manifest: Manifest, tokenizer: Tokenizer, parts: readonly (PromptPart | VolumePart)[]): EncodedPrompt;
}

/** The first that detects a config has it: gmai-vl and VILA name their architectures as llava does. */
export const families: readonly Family[] = [
  { name: 'gmai-vl', detect: isGmaiVl, import: importGmaiVl, encode: encodeGmaiVl },
  { name: 'vila-m3', detect: isVila, import: importVilaM3, encode: encodeVilaM3 },
  {
    name: 'radfm',
    configFile: `${languageFolder}/config.json`,
    detect: isRadfm,
    import: importRadfm,
    encode: encodeRadfm,
    encodeVolumes: encodeRadfm,
  },
  { name: 'med-flamingo', detectFolder: isMedFlamingo, detect: () => false, import: importMedFlamingo, encode: encodeMedFlamingo },
  { name: 'medvint-td', configFile: medvintTdConfig, detect: isLlama, import: importMedvintTd, encode: encodeMedvintTd },
  {
    name: 'medvint-te',
    configFile: medvintTeConfig,
    detect: isLlama,
    import: importMedvintTe,
    encode: encodeMedvintTe,
    encodeMasked,
  },
  { name: 'prefix-vqa', detectFolder: isPrefixVqa, detect: () => false, import: importPrefixVqa, encode: encodePrefixVqa },
  { name: 'gemma3', detect: isGemma3, import: importGemma3, encode: encodeGemma3 },
  { name: 'qwen2_5_vl', detect: isQwen, import: importQwen, encode: encodeQwen },
  { name: 'llava', detect: (config) => llavaForm(config) !== null, import: importLlava, encode: encodeLlava },
];

/** @throws bundle-invalid when this version does not know the family */
export function familyOf(name: string): Family {
  const family = families.find((candidate) => candidate.name === name);
  if (family !== undefined) return family;
  throw new WetreadError(
    'bundle-invalid',
    `the family ${name} is not known; ${families.map((candidate) => candidate.name).join(', ')} are`,
  );
}
