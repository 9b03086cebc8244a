/** What a family's import takes and gives: the part of bundle.json that follows from the authors' files. */
import type { Manifest } from '../bundle-manifest.ts';
import type { Metadata } from '../metadata.ts';

export interface FamilyOptions {
  readonly metadata: Metadata;
  /** Folder of the vision tower's config, processor and weights, where the checkpoint only names it; null = look for it. */
  readonly tower: string | null;
}

export type FamilyPart = Pick<
  Manifest,
  | 'limits'
  | 'tasks'
  | 'experts'
  | 'generation'
  | 'prompt'
  | 'exemplars'
  | 'processor'
  | 'ctWindows'
  | 'sliceRule'
  | 'depth'
  | 'patches'
  | 'tokenizer'
  | 'graphs'
  | 'sizes'
>;

/** What the authors publish about use, terms and the wording of prompts; the importer's own metadata wins key by key. */
export type Published = Pick<Metadata, 'license' | 'intendedUse' | 'sources' | 'promptVersion' | 'wording'>;

export interface FamilyImport {
  readonly manifest: FamilyPart;
  readonly published?: Published;
  /** Sentences for the import report: what was chosen, ignored, or differs. */
  readonly notes: readonly string[];
}
