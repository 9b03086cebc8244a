/** What a report says about one thing: the unit in which drafts and truth are compared (design: finding tuple). */

/** The findings that the synthetic films have; a film with none of them is normal. */
export const findingNames = ['nodule', 'effusion', 'pneumothorax', 'consolidation', 'cardiomegaly'] as const;
export type FindingName = (typeof findingNames)[number];

export const zones = ['upper', 'middle', 'lower'] as const;
/** Third of the lung's height. */
export type Zone = (typeof zones)[number];

export const changes = ['new', 'larger', 'smaller', 'unchanged', 'resolved'] as const;
/** Current film against the prior one. `resolved` = on the prior only. */
export type Change = (typeof changes)[number];

export interface FindingTuple {
  readonly finding: FindingName;
  readonly polarity: 'present' | 'absent';
  /** The patient's side; null = has none (heart) or not said. */
  readonly side: 'left' | 'right' | null;
  readonly site: Zone | null;
  readonly change: Change | null;
}
