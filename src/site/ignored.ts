/**
 * What a server drops from a question without a word: each parameter is asked for with a value that nothing has, and must find nothing.
 *
 * Our clients re-check every hit, so an ignored parameter costs completeness and time, not correctness; here it is named.
 */
import { codeOf, WetreadError } from '#domain/errors.ts';
import { uidOf } from '#domain/uid.ts';
import type { CheckPorts } from './check.ts';
import type { Said } from './probe.ts';

/** Searches that wetread makes, by type: a server that lacks one answers less than there is. */
export const searched = {
  Patient: ['identifier'],
  ImagingStudy: ['patient', 'identifier', 'basedon'],
  ServiceRequest: ['patient', 'identifier'],
  DiagnosticReport: ['patient', 'identifier', 'category', 'based-on'],
  Observation: ['patient', 'identifier', 'category'],
  Condition: ['patient', 'category', 'clinical-status'],
  MedicationRequest: ['patient', 'status'],
  AllergyIntolerance: ['patient'],
} as const;

export type SearchedType = keyof typeof searched;

const nobody = 'wetread-site-check-none';
const references = ['patient', 'basedon', 'based-on'];
const codes = ['status'];

function noneOf(name: string): string {
  if (references.includes(name)) return name === 'patient' ? nobody : `ServiceRequest/${nobody}`;
  return codes.includes(name) ? 'entered-in-error' : `urn:wetread:site-check|${nobody}`;
}

/** One search for each parameter, of one entry. A status that a resource may have by chance is asked for beside a patient that none has. */
export async function ignoredByFhir({ fhir }: CheckPorts): Promise<Said> {
  const ignored: string[] = [];
  const refused: string[] = [];
  for (const [type, names] of Object.entries(searched) as [SearchedType, readonly string[]][]) // the keys of `searched` are its type
    for (const name of names) {
      const params = [
        ...(codes.includes(name) ? [['patient', nobody] as const] : []),
        [name, noneOf(name)] as const,
        ['_count', '1'] as const,
      ];
      try {
        const { hits, warnings } = await fhir.search(type, params, { maxPages: 1 });
        const dropped = warnings.some(({ code, message }) => code === 'fhir-ignored-parameter' && message.includes(name));
        if (hits.length > 0 || dropped) ignored.push(`${type}.${name}`);
      } catch (error) {
        // An error is an answer here: the server does not pretend. What stops every search is another line of the check.
        if (!['fhir-refused', 'not-found'].includes(codeOf(error))) throw error;
        refused.push(`${type}.${name}`);
      }
    }
  const words = [
    ...(ignored.length === 0 ? [] : [`ignored without a word: ${ignored.join(', ')}`]),
    ...(refused.length === 0 ? [] : [`refused: ${refused.join(', ')}`]),
  ];
  if (words.length === 0) return { state: 'ok', found: 'no search parameter of ours is ignored or refused' };
  return {
    state: 'warning',
    found: words.join('; '),
    todo: 'switch these search parameters on; until then what they find is read more slowly, or is missing from the evidence',
  };
}

/** Study searches by values that no study has. */
export async function ignoredByPacs({ dicomweb }: CheckPorts): Promise<Said> {
  const uid = uidOf('site-check/none');
  const asked = [
    ['StudyInstanceUID', { studyUid: uid }],
    ['PatientID', { patientId: nobody }],
    ['AccessionNumber', { accession: 'WETREADNONE' }],
  ] as const;
  const ignored: string[] = [];
  for (const [name, query] of asked) {
    try {
      await dicomweb.searchStudies({ ...query, atMost: 1 });
    } catch (error) {
      if (!(error instanceof WetreadError) || error.code !== 'dicomweb-ignored-key') throw error;
      ignored.push(name);
    }
  }
  if (ignored.length === 0) return { state: 'ok', found: 'no search key of ours is ignored' };
  return {
    state: 'problem',
    found: `ignored without a word: ${ignored.join(', ')}`,
    todo: 'allow these keys in the search configuration of the archive: without them no study is found',
  };
}
