/**
 * One synthetic examination: whose chest, what is on the current film and on the prior one, and how it changed. A function of its seed.
 *
 * Lesions that would hide one another on one side of the chest are not drawn together, so that the truth can be seen on the film.
 */
import { type Change, type FindingName, type FindingTuple, findingNames, type Zone, zones } from '#domain/finding.ts';
import { type Anatomy, anatomyOf } from './anatomy.ts';
import { type ChangedLesion, type Lesion, makeLesion, withChange } from './lesion.ts';
import { type Random, randomOf } from './random.ts';

export interface PhantomStudy {
  readonly seed: string;
  readonly anatomy: Anatomy;
  readonly prior: boolean;
  /** In the order in which a report names them: findingNames, right before left. */
  readonly lesions: readonly ChangedLesion[];
}

/** What is asked for when a film is made to order (the sandbox's patients). */
export interface Wanted {
  readonly finding: FindingName;
  readonly side: 'left' | 'right';
  readonly site: Zone;
  /** null = no prior film. */
  readonly change: Change | null;
}

const counts = [0, 0, 1, 1, 1, 1, 2, 2, 2, 3] as const;
/** Shares of the changes among lesions that have a prior. */
const drawnChanges: readonly Change[] = ['new', 'new', 'larger', 'smaller', 'unchanged', 'resolved'];

/** True when one of the two would hide the other. */
function collide(a: Wanted, b: Wanted): boolean {
  if (a.finding === b.finding) return a.finding === 'cardiomegaly' || a.side === b.side;
  const pair = [a, b];
  const heart = pair.find((wanted) => wanted.finding === 'cardiomegaly');
  if (heart !== undefined) {
    const other = heart === a ? b : a;
    return other.site === 'lower' && other.side === 'left' && (other.finding === 'nodule' || other.finding === 'consolidation');
  }
  if (a.side !== b.side) return false;
  if (pair.some((wanted) => wanted.finding === 'pneumothorax')) return true;
  const effusion = pair.find((wanted) => wanted.finding === 'effusion');
  if (effusion !== undefined) return (effusion === a ? b : a).site !== 'upper';
  return a.site === b.site;
}

function draw(random: Random, prior: boolean): readonly Wanted[] {
  const wanted: Wanted[] = [];
  const count = random.pick(counts);
  for (let tries = 0; wanted.length < count && tries < 40; tries += 1) {
    const next: Wanted = {
      finding: random.pick(findingNames),
      side: random.pick(['left', 'right'] as const),
      site: random.pick(zones),
      change: prior ? random.pick(drawnChanges) : null,
    };
    if (!wanted.some((other) => collide(other, next))) wanted.push(next);
  }
  return wanted;
}

function place(lesion: Lesion | null): number {
  return lesion === null ? 0 : findingNames.indexOf(lesion.finding) * 2 + (lesion.side === 'left' ? 1 : 0);
}

/**
 * @param options.prior whether there is a prior film; undecided = half of the seeds
 * @param options.wanted the lesions, instead of drawn ones
 */
export function makeStudy(seed: string, options: { prior?: boolean; wanted?: readonly Wanted[]; female?: boolean } = {}): PhantomStudy {
  const random = randomOf(`study ${seed}`);
  const female = options.female ?? random.chance(0.5);
  const drawnPrior = random.chance(0.5);
  const prior = options.prior ?? drawnPrior;
  const anatomy = anatomyOf(seed, female);
  const lesions = (options.wanted ?? draw(random, prior)).map((wanted): ChangedLesion => {
    const lesion = makeLesion(anatomy, random, wanted.finding, wanted.side, wanted.site);
    return wanted.change === null ? { current: lesion, prior: null, change: null } : withChange(random, lesion, wanted.change);
  });
  lesions.sort((a, b) => place(a.current ?? a.prior) - place(b.current ?? b.prior));
  return { seed, anatomy, prior, lesions };
}

export function currentLesions(study: PhantomStudy): readonly Lesion[] {
  return study.lesions.flatMap(({ current }) => (current === null ? [] : [current]));
}

export function priorLesions(study: PhantomStudy): readonly Lesion[] {
  return study.lesions.flatMap(({ prior }) => (prior === null ? [] : [prior]));
}

/**
 * The truth as tuples: every lesion (a resolved one is absent with its change), and `absent` without a side for each finding that the
 * current film does not show at all.
 */
export function truthOf(study: PhantomStudy): readonly FindingTuple[] {
  const tuples: FindingTuple[] = study.lesions.flatMap(({ current, prior, change }) => {
    const lesion = current ?? prior;
    if (lesion === null) return [];
    const { finding, side, site } = lesion;
    return [{ finding, side, site, polarity: current === null ? ('absent' as const) : ('present' as const), change }];
  });
  for (const finding of findingNames) {
    // A heart that is normal again is said once, with its change.
    const said = tuples.some((tuple) => tuple.finding === finding && (tuple.polarity === 'present' || tuple.side === null));
    if (!said) {
      tuples.push({ finding, polarity: 'absent', side: null, site: null, change: null });
    }
  }
  return tuples;
}
