import { describe, expect, test } from 'vitest';
import { ask, draft, imagingStudy, order, report, series, study } from './fixtures.ts';

const today = study('1.2.1');
const prior = study('1.2.2', { date: '2026-03-02' });
const reportOfPrior = report('r1', {
  imagingStudy: [{ reference: 'ImagingStudy/i2' }],
  conclusion: 'No acute disease.',
  issued: '2026-03-02T10:00:00Z',
});
const priorInFhir = imagingStudy('i2', '1.2.2');

describe('the study that is drafted', () => {
  test('is the unreported one; the reported one is quoted, is the prior and gives its impression to the history', async () => {
    const { evidence, bundle, basedOn } = await draft({ studies: [prior, today], imagingStudies: [priorInFhir], reports: [reportOfPrior] });
    expect(bundle).toBe('cxr');
    expect(basedOn).toEqual([]);
    expect(evidence.subject.study.uid).toBe('1.2.1');
    expect(evidence.subject.reasons).toEqual(['same region (chest)', 'same modality (DX)', 'of today']);
    expect(evidence.priors.map(({ study: one }) => one.uid)).toEqual(['1.2.2']);
    expect(evidence.quoted).toMatchObject([{ reference: 'DiagnosticReport/r1', impression: 'No acute disease.' }]);
    expect(evidence.history.map(({ kind, text }) => [kind, text])).toEqual([
      ['reason', 'cough for two weeks'],
      ['prior-impression', 'No acute disease.'],
    ]);
  });
  test('is never a reported one', async () => {
    const gathered = await ask({ studies: [prior], imagingStudies: [priorInFhir], reports: [reportOfPrior] });
    expect(gathered).toMatchObject({ kind: 'quoted', quoted: [{ reference: 'DiagnosticReport/r1' }] });
  });
  test.each(['final', 'amended', 'corrected', 'appended'])('a report that is %s counts', async (status) => {
    const reports = [report('r1', { status, imagingStudy: [{ reference: 'ImagingStudy/i2' }] })];
    expect((await ask({ studies: [prior], imagingStudies: [priorInFhir], reports })).kind).toBe('quoted');
  });
  test.each(['entered-in-error', 'cancelled', 'registered'])('a report that is %s does not', async (status) => {
    const reports = [report('r1', { status, imagingStudy: [{ reference: 'ImagingStudy/i2' }] })];
    const { evidence } = await draft({ studies: [prior], imagingStudies: [priorInFhir], reports });
    expect(evidence.warnings).toEqual([]);
  });
  test('a preliminary report of a human does not keep it from being drafted, and is said', async () => {
    const reports = [report('r1', { status: 'preliminary', imagingStudy: [{ reference: 'ImagingStudy/i2' }] })];
    const { evidence } = await draft({ studies: [prior], imagingStudies: [priorInFhir], reports });
    expect(evidence.warnings).toMatchObject([{ code: 'preliminary-report' }]);
  });
  test('our own earlier draft is no report, but a human who made it final is', async () => {
    const extension = [{ url: 'https://wetread.example/fhir/StructureDefinition/draft-key', valueString: 'k' }];
    const own = (status: string) => [report('r1', { status, extension, imagingStudy: [{ reference: 'ImagingStudy/i2' }] })];
    const { evidence } = await draft({ studies: [prior], imagingStudies: [priorInFhir], reports: own('partial') });
    expect(evidence.warnings).toEqual([]);
    expect((await ask({ studies: [prior], imagingStudies: [priorInFhir], reports: own('final') })).kind).toBe('quoted');
  });
  test("is the order's own before a better ranked one", async () => {
    const own = study('1.2.3', { date: '2020-01-01', accession: 'A77' });
    const accession = { system: null, value: 'A77' };
    const signed = await draft({ studies: [today, own] }, { order: { ...order, accession } });
    expect(signed.evidence.subject.study.uid).toBe('1.2.3');
    expect(signed.basedOn).toEqual(['ServiceRequest/o1']);
  });
  test('carries the orders that its ImagingStudy is based on', async () => {
    const elsewhere = { reference: 'https://elsewhere.example/fhir/ServiceRequest/o8' };
    const named = imagingStudy('i1', '1.2.1', { basedOn: [{ reference: 'ServiceRequest/o9' }, elsewhere] });
    expect((await draft({ studies: [today], imagingStudies: [named] })).basedOn).toEqual(['ServiceRequest/o9']);
  });
  test('of two of a day is the later; the other is listed', async () => {
    const later = study('1.2.9', { time: '09:00:00' });
    const { evidence } = await draft({ studies: [today, later] });
    expect(evidence.subject.study.uid).toBe('1.2.9');
    expect(evidence.leftOut).toContainEqual({
      what: 'DX Chest of 2026-11-24',
      reason: 'not reported either; this draft is about another study',
    });
    expect(evidence.priors.map(({ study: one }) => one.uid)).toEqual(['1.2.1']);
  });
  test('a study newer than the subject is no prior', async () => {
    const old = study('1.2.5', { date: '2026-11-20' });
    const reported = {
      imagingStudies: [imagingStudy('i1', '1.2.1')],
      reports: [report('r', { imagingStudy: [{ reference: 'ImagingStudy/i1' }] })],
    };
    const { evidence } = await draft({ studies: [old, today], ...reported });
    expect(evidence.subject.study.uid).toBe('1.2.5');
    expect(evidence.priors).toEqual([]);
    expect(evidence.quoted).toHaveLength(1);
  });
});

describe('reports are joined', () => {
  const reported = async (fields: object, changes: object = {}, named: object = {}) =>
    (
      await ask({
        studies: [study('1.2.2', { date: '2026-03-02', ...changes })],
        imagingStudies: [imagingStudy('i2', '1.2.2', named)],
        reports: [report('r1', fields)],
      })
    ).kind;
  const acsn = { type: { coding: [{ code: 'ACSN' }] }, value: 'A5' };

  test('by imagingStudy', async () =>
    expect(await reported({ imagingStudy: [{ reference: 'ImagingStudy/i2/_history/3' }] })).toBe('quoted'));
  test('not by a study of another server that has the same id', async () =>
    expect(await reported({ imagingStudy: [{ reference: 'https://elsewhere.example/fhir/ImagingStudy/i2' }] })).toBe('draft'));
  test('by Study Instance UID', async () =>
    expect(await reported({ imagingStudy: [{ identifier: { value: 'urn:oid:1.2.2' } }] })).toBe('quoted'));
  test('by basedOn', async () => {
    const basedOn = [{ reference: 'ServiceRequest/o5' }];
    expect(await reported({ basedOn }, {}, { basedOn })).toBe('quoted');
  });
  test('by accession number', async () => {
    expect(await reported({ identifier: [acsn] }, { accession: 'A5' })).toBe('quoted');
    expect(await reported({ basedOn: [{ identifier: acsn }] }, { accession: 'A5' })).toBe('quoted');
  });
  const chest = { code: { coding: [{ system: 'http://loinc.org', code: '36643-5' }] }, effectiveDateTime: '2026-03-02T09:00:00+01:00' };
  test('by day, modality and region where nothing else is said', async () => expect(await reported(chest)).toBe('quoted'));
  test('not by day when the region is another', async () => {
    expect(await reported({ ...chest, code: { text: 'XR knee left' } })).toBe('draft');
  });
  test('not by day when the report names another study', async () => {
    expect(await reported({ ...chest, imagingStudy: [{ reference: 'ImagingStudy/other' }] })).toBe('draft');
  });
  test('a report of another patient is put aside and said', async () => {
    for (const reference of ['Patient/p2', 'https://elsewhere.example/fhir/Patient/p1', 'tenant/Patient/p1', '#p1']) {
      const gathered = await draft({ studies: [today], reports: [report('r9', { subject: { reference }, ...chest })] });
      expect(gathered.evidence.warnings, reference).toMatchObject([{ code: 'resource-of-another-patient' }]);
    }
  });
});

describe('studies are joined', () => {
  test('by UID with and without urn:oid:, under either system', async () => {
    const synthetic = imagingStudy('i1', '1.2.1', { identifier: [{ system: 'urn:ietf:rfc:3986', value: 'urn:oid:1.2.1' }] });
    expect((await draft({ studies: [today], imagingStudies: [synthetic] })).evidence.subject.study.imagingStudy).toBe('ImagingStudy/i1');
    const bare = imagingStudy('i1', '1.2.1', { identifier: [{ system: 'urn:dicom:uid', value: '1.2.1' }] });
    expect((await draft({ studies: [today], imagingStudies: [bare] })).evidence.subject.study.imagingStudy).toBe('ImagingStudy/i1');
  });
  test('one that only FHIR knows is listed', async () => {
    const gathered = await ask({ imagingStudies: [imagingStudy('i1', '1.2.1')] });
    expect(gathered).toMatchObject({ kind: 'nothing', leftOut: [{ what: 'ImagingStudy/i1', reason: 'the PACS has no images of it' }] });
  });
  test.each(['cancelled', 'entered-in-error'])(
    'one that FHIR calls %s is not used, unless another ImagingStudy names it',
    async (status) => {
      const withdrawn = imagingStudy('i1', '1.2.1', { status });
      expect(await ask({ studies: [today], imagingStudies: [withdrawn] })).toMatchObject({
        kind: 'nothing',
        leftOut: [
          { what: 'ImagingStudy/i1', reason: `its status is ${status}` },
          { what: 'study of 2026-11-24', reason: `its ImagingStudy is ${status}` },
        ],
      });
      await draft({ studies: [today], imagingStudies: [withdrawn, imagingStudy('i2', '1.2.1')] });
    },
  );
  test('one that the order names, or whose report it names, is relevant whatever its region', async () => {
    const knee = study('1.2.3', { description: 'Knee', date: '2020-01-01', series: [series({ bodyPart: 'KNEE' })] });
    const reports = [report('r3', { imagingStudy: [{ identifier: { value: 'urn:oid:1.2.3' } }] })];
    const named = async (supportingInfo: readonly string[]) =>
      (
        await draft(
          { studies: [today, knee], imagingStudies: [imagingStudy('i3', '1.2.3')], reports },
          { order: { ...order, supportingInfo } },
        )
      ).evidence.quoted;
    expect(await named([])).toHaveLength(0);
    expect(await named(['https://elsewhere.example/fhir/ImagingStudy/i3'])).toHaveLength(0);
    for (const reference of ['ImagingStudy/i3', 'urn:oid:1.2.3', 'DiagnosticReport/r3']) {
      expect(await named([reference]), reference).toHaveLength(1);
    }
  });
  test('the region comes from ImagingStudy where the header is silent', async () => {
    const silent = study('1.2.1', { description: null, series: [series({ bodyPart: null })] });
    const named = imagingStudy('i1', '1.2.1', {
      series: [{ uid: '1.2.1.1', bodySite: { system: 'http://snomed.info/sct', code: '51185008' } }],
    });
    expect((await draft({ studies: [silent], imagingStudies: [named] })).evidence.subject.study.regions).toEqual(['chest']);
  });
  test('a study that says no region is drafted for the order with a warning, or not at all when the order is of another region', async () => {
    const silent = study('1.2.1', { description: 'e+1', series: [series({ bodyPart: null })] });
    expect((await draft({ studies: [silent] })).evidence.warnings).toMatchObject([{ code: 'region-unknown' }]);
    const knee = { ...order, codes: [], text: 'XR knee', regions: ['knee'] };
    expect((await ask({ studies: [silent] }, { order: knee })).kind).toBe('unsupported-modality');
  });
  test('two regions are both kept and said', async () => {
    const odd = study('1.2.1', { description: 'Chest', series: [series({ bodyPart: 'HEAD' })] });
    const { evidence } = await draft({ studies: [odd] });
    expect(evidence.subject.study.regions).toEqual(['head', 'chest']);
    expect(evidence.warnings).toMatchObject([{ code: 'study-region-disagrees' }]);
  });
});

describe('nothing is drafted', () => {
  test('for an unread study that no bundle reads', async () => {
    const gathered = await ask({ studies: [study('1.2.1', { modalities: ['US'], series: [series({ modality: 'US' })] })] });
    expect(gathered).toMatchObject({ kind: 'unsupported-modality', code: 'modality-unsupported' });
  });
  test('for a film of a region that no bundle reads', async () => {
    const knee = study('1.2.1', { description: 'Knee', series: [series({ bodyPart: 'KNEE' })] });
    const gathered = await ask({ studies: [knee] }, { order: { ...order, codes: [], regions: ['knee'] } });
    expect(gathered.kind).toBe('unsupported-modality');
  });
  test('without a study, without a reason to', async () => {
    expect(await ask({})).toMatchObject({ kind: 'nothing', code: 'nothing-relevant', message: 'No study of this patient was found.' });
  });
  test('for another region only, with the reason', async () => {
    const gathered = await ask({ studies: [study('1.2.1', { description: 'Knee', series: [series({ bodyPart: 'KNEE' })] })] });
    expect(gathered).toMatchObject({ kind: 'nothing', leftOut: [{ what: 'DX Knee of 2026-11-24', reason: 'other region (knee)' }] });
  });
  test('an unsupported unread study beside a readable one is said on the draft', async () => {
    const us = study('1.2.8', { modalities: ['US'], series: [series({ modality: 'US' })] });
    expect((await draft({ studies: [today, us] })).evidence.warnings).toMatchObject([{ code: 'modality-unsupported' }]);
  });
});

describe('the identity gate', () => {
  const stranger = study('1.2.1', { identity: { ...today.identity, birthDate: '1961-01-01' } });
  test('a conflict releases nothing and says where it lies', async () => {
    const gathered = await ask({ studies: [stranger, prior] });
    expect(gathered).toMatchObject({ kind: 'identity-conflict', code: 'identity-conflict' });
    expect('message' in gathered && gathered.message).toContain('birth date');
    expect(JSON.stringify('message' in gathered && gathered.message)).not.toContain('1961');
  });
  test('a conflict below the subject is a warning, and the study is nowhere else', async () => {
    const old = study('1.2.2', { date: '2015-01-01', identity: stranger.identity });
    const { evidence, conflicts } = await draft({ studies: [today, old] });
    expect(evidence.warnings).toMatchObject([{ code: 'identity-conflict' }]);
    expect(conflicts.map((one) => one.study.uid)).toEqual(['1.2.2']);
    expect([...evidence.priors, ...evidence.quoted]).toEqual([]);
  });
  test('a conflict of a reported study stays visible when nothing else is left', async () => {
    const reports = [report('r1', { imagingStudy: [{ identifier: { value: 'urn:oid:1.2.1' } }] })];
    expect((await ask({ studies: [stranger], reports })).kind).toBe('identity-conflict');
  });
  test('a PatientID alone is not enough, and the code says so', async () => {
    const bare = study('1.2.1', { identity: { ...today.identity, birthDate: null } });
    expect(await ask({ studies: [bare] })).toMatchObject({ kind: 'nothing', code: 'identity-insufficient' });
    await draft({ studies: [bare], imagingStudies: [imagingStudy('i1', '1.2.1')] });
    const accession = { system: null, value: 'A1' };
    await draft({ studies: [{ ...bare, accession: 'A1' }] }, { order: { ...order, accession } });
  });
  test('the ImagingStudy of another patient is no witness', async () => {
    const bare = study('1.2.1', { identity: { ...today.identity, birthDate: null } });
    const foreign = imagingStudy('i1', '1.2.1', { subject: { reference: 'Patient/p2' } });
    expect(await ask({ studies: [bare], imagingStudies: [foreign] })).toMatchObject({ code: 'identity-insufficient' });
  });
});

test('the PACS is asked for the identifiers, the UIDs that FHIR names and the accession number', async () => {
  let query: unknown = null;
  const read = async () => ({ resources: [imagingStudy('i1', '1.2.1')], warnings: [] });
  const none = async () => ({ resources: [], warnings: [] });
  const pacsStudies = async (asked: unknown) => {
    query = asked;
    return { studies: [], warnings: [{ code: 'x', message: 'from the PACS' }] };
  };
  const gathered = await ask(
    {},
    {
      order: { ...order, accession: { system: null, value: 'A1' } },
      ports: { imagingStudies: read, reports: none, history: none, pacsStudies },
    },
  );
  expect(query).toMatchObject({ studyUids: ['1.2.1'], accessions: ['A1'] });
  expect(gathered).toMatchObject({ warnings: [{ code: 'x' }] });
});

test('a failing port is not an empty hospital', async () => {
  const fails = async () => Promise.reject(new Error('unreachable'));
  const none = async () => ({ resources: [], warnings: [] });
  const ports = { imagingStudies: none, reports: none, history: none, pacsStudies: fails };
  await expect(ask({}, { ports })).rejects.toThrow('unreachable');
});
