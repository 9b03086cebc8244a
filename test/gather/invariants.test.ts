import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseUid } from '#domain/uid.ts';
import { ask, imagingStudy, report, series, study } from './fixtures.ts';

/** A hospital with up to eight studies of every kind: region, modality, date, whose, named by FHIR, reported. */
const one = fc.record({
  bodyPart: fc.constantFrom('CHEST', 'ABDOMEN', 'KNEE', null),
  modality: fc.constantFrom('DX', 'CR', 'CT', 'US', 'SR'),
  date: fc.constantFrom('2026-11-24', '2026-11-23', '2024-01-01', null),
  time: fc.constantFrom('07:00:00', '08:00:00', null),
  birthDate: fc.constantFrom('1960-05-01', '1960', '1999-09-09', null),
  named: fc.boolean(),
  status: fc.constantFrom(null, 'final', 'amended', 'preliminary', 'entered-in-error'),
});

const hospitals = fc.array(one, { maxLength: 8 }).map((all) => ({
  studies: all.map(({ bodyPart, modality, date, time, birthDate }, at) =>
    study(`1.2.${at + 1}`, {
      date,
      time,
      description: null,
      modalities: [modality],
      identity: { identifiers: [{ system: null, value: '4711' }], birthDate, name: null, sex: null },
      series: [series({ uid: parseUid(`1.2.${at + 1}.1`), modality, bodyPart })],
    }),
  ),
  imagingStudies: all.flatMap(({ named }, at) => (named ? [imagingStudy(`i${at + 1}`, `1.2.${at + 1}`)] : [])),
  reports: all.flatMap(({ status }, at) =>
    status === null ? [] : [report(`r${at + 1}`, { status, imagingStudy: [{ identifier: { value: `urn:oid:1.2.${at + 1}` } }] })],
  ),
}));

test('in any hospital: nothing reported is drafted, nobody else is used, every study is accounted for, and the order of answers is nothing', async () => {
  const kinds = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(hospitals, async (hospital) => {
      const gathered = await ask(hospital);
      kinds.set(gathered.kind, (kinds.get(gathered.kind) ?? 0) + 1);
      const stranger = new Set<string>(
        hospital.studies.filter(({ identity }) => identity.birthDate === '1999-09-09').map(({ uid }) => uid),
      );
      const conflicts = gathered.conflicts.map((refused) => refused.study.uid);
      for (const uid of conflicts) expect(stranger).toContain(uid);
      if (gathered.kind === 'draft') {
        const { subject, priors, quoted, leftOut } = gathered.evidence;
        expect(subject.study.report?.final ?? false).toBe(false);
        const used = [subject.study, ...priors.map((prior) => prior.study), ...quoted.map((each) => each.study)];
        for (const { uid } of used) expect(stranger).not.toContain(uid);
        for (const prior of priors) expect(`${prior.study.date}` <= `${subject.study.date}`).toBe(true);
        expect(new Set([...used.map(({ uid }) => uid), ...conflicts]).size + leftOut.length).toBeGreaterThanOrEqual(
          hospital.studies.length,
        );
      } else if (gathered.kind === 'quoted') {
        expect(gathered.quoted.every((each) => each.study.report?.final)).toBe(true);
      }
      const backwards = {
        studies: hospital.studies.toReversed(),
        imagingStudies: hospital.imagingStudies.toReversed(),
        reports: hospital.reports.toReversed(),
      };
      const again = await ask(backwards);
      const essence = (result: typeof gathered) =>
        result.kind === 'draft' ? [result.kind, result.evidence.subject, result.evidence.priors] : [result.kind];
      expect(essence(again)).toEqual(essence(gathered));
    }),
    { numRuns: 400 },
  );
  expect(kinds.size, 'every kind of result was seen').toBe(5);
});
