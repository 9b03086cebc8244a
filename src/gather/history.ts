/**
 * FHIR resources -> the history that goes into the prompt and onto the draft, most relevant first.
 *
 * Kinds come in the order of domain/evidence.ts; within a kind what bears on the order's region comes first, then the newest. What a rule
 * leaves out is counted and said. "No known allergy" is an item: it is knowledge, not an absence of it.
 */
import type { z } from 'zod';
import type { Warning } from '#domain/errors.ts';
import type { Evidence, HistoryItem, RankedStudy } from '#domain/evidence.ts';
import type { Order } from '#domain/order.ts';
import type { Patient } from '#domain/patient.ts';
import { allergy, condition, type Line, medication, medicationNames, procedure, result } from './history-lines.ts';
import { historyForms, mayBeOf, type Reference, readAll } from './resources.ts';

export interface History {
  readonly items: readonly HistoryItem[];
  readonly leftOut: Evidence['leftOut'];
  readonly warnings: readonly Warning[];
}

/** Newest of each text (results: of each name), heaviest first, then the newest. */
function ordered(lines: readonly Line[]): readonly Line[] {
  const newestFirst = [...lines].sort((a, b) => (b.date ?? '').localeCompare(a.date ?? '') || a.source.localeCompare(b.source));
  const unique = new Map<string, Line>();
  for (const line of newestFirst) {
    const key = line.kind === 'result' ? line.text.replace(/ [-\d.<>]+.*$/, '') : line.text.toLowerCase();
    if (!unique.has(key)) unique.set(key, line);
  }
  return [...unique.values()].sort((a, b) => b.weight - a.weight);
}

function counted(lines: readonly Line[]): Evidence['leftOut'] {
  const groups = Map.groupBy(lines, ({ kind, leftOutFor }) => `${kind}|${leftOutFor}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined || first.leftOutFor === null) return [];
    return [{ what: `${group.length} ${first.kind}${group.length === 1 ? '' : 's'} of the history`, reason: first.leftOutFor }];
  });
}

function impressions(ranked: readonly RankedStudy[]): readonly HistoryItem[] {
  return ranked.flatMap(({ study }): HistoryItem[] => {
    if (study.report?.final !== true || study.report.impression === null) return [];
    return [{ kind: 'prior-impression', text: study.report.impression, date: study.date, source: study.report.reference }];
  });
}

interface KindRead {
  readonly lines: readonly Line[];
  readonly broken: number;
  readonly foreign: number;
}

/** All resources of one type as lines; those of another patient are put aside and counted. */
function readKind<R>(
  form: z.ZodType<R>,
  type: string,
  from: { readonly resources: readonly unknown[]; readonly patientId: string },
  subjectOf: (resource: R) => Reference | null,
  lineOf: (resource: R) => Line | null,
): KindRead {
  const { good, broken } = readAll(form, type, from.resources);
  const own = good.filter((resource) => mayBeOf(subjectOf(resource), from.patientId));
  return { lines: own.flatMap((resource) => lineOf(resource) ?? []), broken, foreign: good.length - own.length };
}

/**
 * The history in the order in which the token budget is spent.
 * `ranked`: the patient's relevant studies, most relevant first, whose impressions are part of it.
 */
export function historyOf(
  resources: readonly unknown[],
  { patient, order, today }: { readonly patient: Patient; readonly order: Order; readonly today: string },
  ranked: readonly RankedStudy[],
): History {
  const { regions } = order;
  const from = { resources, patientId: patient.id };
  const named = medicationNames(resources);
  const forms = historyForms;
  const kinds = [
    readKind(
      forms.Condition,
      'Condition',
      from,
      (one) => one.subject,
      (one) => condition(one, regions),
    ),
    readKind(
      forms.Observation,
      'Observation',
      from,
      (one) => one.subject,
      (one) => result(one, today),
    ),
    readKind(
      forms.MedicationRequest,
      'MedicationRequest',
      from,
      (one) => one.subject,
      (one) => medication(one, regions, named),
    ),
    readKind(
      forms.AllergyIntolerance,
      'AllergyIntolerance',
      from,
      (one) => one.patient,
      (one) => allergy(one, regions),
    ),
    readKind(
      forms.Procedure,
      'Procedure',
      from,
      (one) => one.subject,
      (one) => procedure(one, regions),
    ),
  ];
  const broken = kinds.reduce((sum, one) => sum + one.broken, 0);
  const foreign = kinds.reduce((sum, one) => sum + one.foreign, 0);
  const shown = kinds.flatMap(({ lines }) => ordered(lines.filter(({ leftOutFor }) => leftOutFor === null)));
  return {
    items: [
      ...order.reasons.map((text): HistoryItem => ({ kind: 'reason', text, date: null, source: order.reference })),
      ...impressions(ranked),
      ...shown.map(({ kind, text, date, source }) => ({ kind, text, date, source })),
    ],
    leftOut: counted(kinds.flatMap(({ lines }) => lines)),
    warnings: [
      ...(broken > 0 ? [{ code: 'resource-unreadable', message: `${broken} resources of the history could not be read.` }] : []),
      ...(foreign > 0 ? [{ code: 'resource-of-another-patient', message: `${foreign} resources of another patient were put aside.` }] : []),
    ],
  };
}
