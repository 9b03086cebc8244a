/**
 * One sentence of a draft with the images it depends on.
 *
 * The three states promise no truth: they say what happened to the sentence's probability when images were removed.
 */
import type { ImageRef } from './study.ts';

export type Section = 'findings' | 'comparison' | 'impression';

/** `not-attributed` = no scoring was run (budget), so nothing is cited. */
export type Dependence = 'depends' | 'depends-on-none' | 'cannot-be-tested' | 'not-attributed';

export interface Citation {
  /** 1-based number of the image in the draft's image list. */
  readonly image: number;
  readonly ref: ImageRef;
  /** Share of the Shapley (or leave-one-out) mass, 0..1, null = not computable. */
  readonly share: number | null;
}

export interface Statement {
  /** 1-based, stable under edit. */
  readonly number: number;
  readonly section: Section;
  readonly text: string;
  readonly dependence: Dependence;
  readonly citations: readonly Citation[];
  /** Log-probability gained by the images per token (nats), null = not scored. Not a probability. */
  readonly support: number | null;
  readonly calibrated: boolean;
  /** Guard findings: the sentence is held and shown as held. Empty = released. */
  readonly holds: readonly { readonly rule: string; readonly message: string }[];
}

/** How attribution was run, printed on the draft. */
export type AttributionMethod = 'shapley' | 'leave-one-out' | 'none';

export interface Attribution {
  readonly method: AttributionMethod;
  /** Names of the nulls used: black, mean, shuffled. */
  readonly nulls: readonly string[];
  /** One sentence for card, page and SR. */
  readonly line: string;
}
