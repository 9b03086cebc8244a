import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { writePart10 } from '#dicom/write.ts';
import type { Draft } from '#domain/draft.ts';
import { released } from '#domain/draft.ts';
import type { Statement } from '#domain/statement.ts';
import { parseUid } from '#domain/uid.ts';
import { statementObservation } from '#report/observation.ts';
import { srDocument, srInstanceUid, statementText } from '#report/sr.ts';
import type { SrHeader } from '#report/sr-header.ts';
import type { DataSet } from '#report/sr-tree.ts';
import { dependenceWithImages } from '#report/words.ts';
import { available, pixelmedJar } from '../setup/require.ts';
import { currentRef, exampleDraft, exampleHeader, priorRef } from './example-draft.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-sr-'));
afterAll(() => rmSync(folder, { recursive: true }));

function encoded(draft: Draft, header: SrHeader = exampleHeader): Uint8Array {
  const { dataset, sopClass, sopInstance } = srDocument(draft, header, '0.1.0');
  return writePart10(dataset, { sopClass, sopInstance, transferSyntax: '1.2.840.10008.1.2.1' });
}

function run(command: string, args: readonly string[], bytes: Uint8Array): { status: number | null; output: string } {
  const file = join(folder, 'report.dcm');
  writeFileSync(file, bytes);
  const result = spawnSync(command, [...args, file], { encoding: 'utf8' });
  return { status: result.status, output: `${result.stdout}${result.stderr}` };
}

function errorsOf(bytes: Uint8Array): readonly string[] {
  const { output } = run('dciodvfy', [], bytes);
  expect(output).toContain('ComprehensiveSR');
  return output.split('\n').filter((line) => line.startsWith('Error'));
}

/** Errors and warnings of PixelMed's validator, which alone knows templates and codes; its status says nothing. */
function pixelmedFaults(bytes: Uint8Array): readonly string[] {
  const limits = ['TotalOpLimit', 'ExprOpLimit', 'ExprGrpLimit'].map((name) => `-Djdk.xml.xpath${name}=0`);
  const { output } = run('java', [...limits, '-cp', pixelmedJar, 'com.pixelmed.validate.DicomSRValidator'], bytes);
  expect(output).toContain('IOD validation complete');
  return output.split('\n').filter((line) => /^(Error|Warning)/.test(line));
}

function itemsOf(dataset: DataSet, name: string): readonly DataSet[] {
  const value = dataset[name];
  return Array.isArray(value) ? value : [];
}

/** All content items below a data set, in the order in which they are read. */
function contentOf(dataset: DataSet): readonly DataSet[] {
  return itemsOf(dataset, 'ContentSequence').flatMap((item) => [item, ...contentOf(item)]);
}

function statementItems(draft: Draft): readonly DataSet[] {
  const { dataset } = srDocument(draft, exampleHeader, '0.1.0');
  const names = ['Finding', 'Previous Finding', 'Impression'];
  return contentOf(dataset).filter(
    (item) => names.includes(String(itemsOf(item, 'ConceptNameCodeSequence')[0]?.CodeMeaning)) && item.ValueType === 'TEXT',
  );
}

const foreign: Draft = {
  ...exampleDraft,
  statements: exampleDraft.statements.map((statement) => ({ ...statement, text: `Erguß „links“ 胸水 ${statement.text}` })),
};

const multiFrame: Draft = {
  ...exampleDraft,
  images: [1, 2].map((frame) => ({
    ...exampleImage(0),
    ref: { ...currentRef, sopClass: parseUid('1.2.840.10008.5.1.4.1.1.2.1'), frame },
  })),
  statements: [1, 2].map((frame) => ({
    ...exampleStatement(0),
    number: frame,
    citations: [{ image: frame, ref: { ...currentRef, sopClass: parseUid('1.2.840.10008.5.1.4.1.1.2.1'), frame }, share: 1 }],
  })),
};

function exampleImage(index: number): Draft['images'][number] {
  const image = exampleDraft.images[index];
  if (image === undefined) throw new Error(`the example has no image ${index}`);
  return image;
}

function exampleStatement(index: number): Statement {
  const statement = exampleDraft.statements[index];
  if (statement === undefined) throw new Error(`the example has no statement ${index}`);
  return statement;
}

const dirty: SrHeader = {
  ...exampleHeader,
  patientBirthDate: '3f1c9a0b',
  accessionNumber: 'a'.repeat(56),
  studyId: '12345678901234567',
  studyTime: '25:00',
  patientSex: 'female',
  referringPhysicianName: `${'x'.repeat(70)}^y`,
};

const superseding: Draft = {
  ...exampleDraft,
  supersedes: [
    { key: 'stored', generatedAt: '2026-11-24T08:00:00Z', written: ['fhir', 'pacs'] },
    { key: 'never-stored', generatedAt: '2026-11-24T07:00:00Z', written: [] },
  ],
};

/** Each takes Java some seconds, so the cases are the two that differ most. */
describe.skipIf(!available('pixelmed'))("PixelMed's validator finds no fault in", () => {
  test.each([
    ['a report whose study has dirty headers', exampleDraft, dirty],
    ['a draft that cites frames of one object and supersedes others', { ...multiFrame, supersedes: superseding.supersedes }, exampleHeader],
  ])('%s', { timeout: 120_000 }, (_, draft, header) => {
    expect(pixelmedFaults(encoded(draft, header))).toEqual([]);
  });
});

describe.skipIf(!available('dciodvfy'))('dciodvfy finds no error in', () => {
  const cases: readonly (readonly [string, Draft])[] = [
    ['the example', exampleDraft],
    ['a draft with text beyond Latin-1', foreign],
    ['a draft that cites frames of one object', multiFrame],
    ['a draft without any released statement', { ...exampleDraft, statements: [] }],
    [
      'a draft that answers no order and has no prior',
      {
        ...exampleDraft,
        basedOn: [],
        priors: [],
        images: exampleDraft.images.slice(0, 1),
        statements: exampleDraft.statements.slice(0, 1),
      },
    ],
    ['a draft that supersedes others', superseding],
    [
      'a stamped draft of a model without a maker',
      { ...exampleDraft, model: { ...exampleDraft.model, stamped: 'test', manufacturer: null } },
    ],
  ];
  test.each(cases)('%s', (_, draft) => {
    expect(errorsOf(encoded(draft))).toEqual([]);
  });

  test('a report whose study has dirty headers, since they are emptied', () => {
    const { warnings, dataset } = srDocument(exampleDraft, dirty, '0.1.0');
    expect(warnings).toHaveLength(6);
    expect(warnings.every((warning) => warning.code === 'sr-header-emptied')).toBe(true);
    expect(dataset).toMatchObject({
      PatientBirthDate: '',
      AccessionNumber: '',
      StudyID: '',
      StudyTime: '',
      PatientSex: '',
      ReferringPhysicianName: '',
      PatientID: 'WR-0001',
    });
    expect(errorsOf(encoded(exampleDraft, dirty))).toEqual([]);
  });

  test('a report of any headers and any words, since what does not fit is emptied', () => {
    const value = fc.option(
      fc.oneof(
        // One byte a character: dciodvfy counts bytes where PS3.5 6.2 counts characters.
        fc.string({ unit: 'binary-ascii', maxLength: 80 }),
        fc.string({ unit: fc.constantFrom('A', '^', '=', '\\', ' ', '\u0000', '\u001b', '1'), maxLength: 80 }),
        fc.constantFrom('20260230', '19580314', '081500', '2400', '0815', 'M', 'F', 'O', '+0100', '-0000', '+9900'),
      ),
    );
    const headers = fc.record({
      studyInstanceUid: fc.constant(exampleHeader.studyInstanceUid),
      patientName: value,
      patientId: value,
      issuerOfPatientId: value,
      patientBirthDate: value,
      patientSex: value,
      studyDate: value,
      studyTime: value,
      studyId: value,
      accessionNumber: value,
      referringPhysicianName: value,
      timezoneOffsetFromUtc: value,
    });
    fc.assert(
      fc.property(headers, fc.string({ unit: 'binary', maxLength: 200 }), (header, text) => {
        const statements = exampleDraft.statements.map((statement) => ({ ...statement, text: `x${text}` }));
        expect(errorsOf(encoded({ ...exampleDraft, statements, model: { ...exampleDraft.model, name: `m${text}` } }, header))).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  test('a report of a study that says nothing about its patient', () => {
    const empty: SrHeader = {
      studyInstanceUid: exampleHeader.studyInstanceUid,
      patientName: null,
      patientId: null,
      issuerOfPatientId: null,
      patientBirthDate: null,
      patientSex: null,
      studyDate: null,
      studyTime: null,
      studyId: null,
      accessionNumber: null,
      referringPhysicianName: null,
      timezoneOffsetFromUtc: null,
    };
    expect(srDocument(exampleDraft, empty, '0.1.0').warnings).toEqual([]);
    expect(errorsOf(encoded(exampleDraft, empty))).toEqual([]);
  });
});

describe.skipIf(!available('dcmtk'))('dsrdump', () => {
  test.each([
    ['the example', exampleDraft],
    ['a draft with text beyond Latin-1', foreign],
  ] as const)('reads %s, and each sentence is in it with the words about its images', (_, draft) => {
    const { status, output } = run('dsrdump', ['+U8', '+Pl'], encoded(draft));
    expect(status).toBe(0);
    for (const statement of released(draft)) {
      const sentence = statementObservation(draft, statement).valueString ?? 'no sentence';
      expect(output).toContain(`${sentence} [${dependenceWithImages(draft, statement)}]`);
    }
    expect(output).toContain('AI draft, not verified');
    expect(output).toContain('Dependence is not correctness');
    expect(output).not.toContain('8 mm');
    expect(output.match(/best illustration of finding|Best illustration of finding/g)).toHaveLength(5);
  });
});

test('each released statement stands there once, in order of section, with the images under it that FHIR cites', () => {
  const items = statementItems(exampleDraft);
  const order = [1, 3, 4, 2, 6];
  const statements = order.map((number) => exampleStatement(number - 1));
  expect(items.map((item) => item.TextValue)).toEqual(statements.map((statement) => statementText(exampleDraft, statement)));
  const cited = items.map((item) =>
    itemsOf(item, 'ContentSequence').map((image) => itemsOf(image, 'ReferencedSOPSequence')[0]?.ReferencedSOPInstanceUID),
  );
  expect(cited).toEqual(statements.map((statement) => statement.citations.map((citation) => citation.ref.instance)));
});

test('the text names series and instance of each image, for viewers that show no references', () => {
  expect(statementText(exampleDraft, exampleStatement(1))).toBe(
    'The effusion has increased since the prior film. [depends on images 1 and 2 (image 1: DX 2026-11-24, series 1, instance 1; image 2: DX 2026-08-02, series 1, instance 1, prior)]',
  );
  expect(statementText(exampleDraft, exampleStatement(3))).toBe('No pneumothorax. [cannot be tested by removal]');
});

test('a frame number is written for frames of a multi-frame object, and evidence names the object once', () => {
  const { dataset } = srDocument(multiFrame, exampleHeader, '0.1.0');
  const frames = contentOf(dataset)
    .filter((item) => item.ValueType === 'IMAGE')
    .map((item) => itemsOf(item, 'ReferencedSOPSequence')[0]?.ReferencedFrameNumber);
  expect(frames).toEqual([1, 2]);
  expect(dataset.CurrentRequestedProcedureEvidenceSequence).toEqual([
    {
      StudyInstanceUID: currentRef.study,
      ReferencedSeriesSequence: [
        {
          SeriesInstanceUID: currentRef.series,
          ReferencedSOPSequence: [{ ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.2.1', ReferencedSOPInstanceUID: currentRef.instance }],
        },
      ],
    },
  ]);
});

test('images of the drafted study are current evidence and those of a prior pertinent other evidence', () => {
  const { dataset } = srDocument(exampleDraft, exampleHeader, '0.1.0');
  expect(itemsOf(dataset, 'CurrentRequestedProcedureEvidenceSequence').map((item) => item.StudyInstanceUID)).toEqual([currentRef.study]);
  expect(itemsOf(dataset, 'PertinentOtherEvidenceSequence').map((item) => item.StudyInstanceUID)).toEqual([priorRef.study]);
});

test('the SR of each superseded draft that was stored is a predecessor, and no other', () => {
  const [item, ...more] = itemsOf(srDocument(superseding, exampleHeader, '0.1.0').dataset, 'PredecessorDocumentsSequence');
  expect(more).toEqual([]);
  expect(item).toMatchObject({
    StudyInstanceUID: currentRef.study,
    ReferencedSeriesSequence: [
      {
        SeriesInstanceUID: srDocument({ ...exampleDraft, key: 'stored' }, exampleHeader, '0.1.0').dataset.SeriesInstanceUID,
        ReferencedSOPSequence: [
          { ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.88.33', ReferencedSOPInstanceUID: srInstanceUid('stored') },
        ],
      },
    ],
  });
  expect(srDocument(exampleDraft, exampleHeader, '0.1.0').dataset).not.toHaveProperty('PredecessorDocumentsSequence');
});

test('it is partial, unverified, preliminary, and says that it is an AI draft', () => {
  expect(srDocument(exampleDraft, exampleHeader, '0.1.0').dataset).toMatchObject({
    CompletionFlag: 'PARTIAL',
    VerificationFlag: 'UNVERIFIED',
    PreliminaryFlag: 'PRELIMINARY',
    CompletionFlagDescription: 'AI draft, not verified',
  });
});

test('a retry makes the same bytes under the same UID', () => {
  expect(Buffer.compare(encoded(exampleDraft), encoded(exampleDraft))).toBe(0);
  expect(srDocument(exampleDraft, exampleHeader, '0.1.0').sopInstance).toBe(srInstanceUid(exampleDraft.key));
});

test('content date and time are in the zone that the study names', () => {
  const late: Draft = { ...exampleDraft, generatedAt: '2026-11-24T23:30:00Z' };
  const zoned = srDocument(late, { ...exampleHeader, timezoneOffsetFromUtc: '+0100' }, '0.1.0').dataset;
  expect(zoned).toMatchObject({ ContentDate: '20261125', ContentTime: '003000', TimezoneOffsetFromUTC: '+0100' });
  const plain = srDocument(late, exampleHeader, '0.1.0').dataset;
  expect(plain).toMatchObject({ ContentDate: '20261124', ContentTime: '233000' });
  expect(plain).not.toHaveProperty('TimezoneOffsetFromUTC');
});

test.each([
  ['a hash', '3f1c9a0b'],
  ['a leading zero', '2.25.01'],
  ['another study', '2.25.9'],
  ['nothing', null],
])('a header whose study UID is %s is study-uid-invalid', (_, uid) => {
  expect(() => srDocument(exampleDraft, { ...exampleHeader, studyInstanceUid: uid }, '0.1.0')).toThrow(
    expect.objectContaining({ code: 'study-uid-invalid' }),
  );
});

test('a citation of an image that the draft does not have is reference-unresolved', () => {
  const lost: Draft = { ...exampleDraft, images: exampleDraft.images.slice(0, 1) };
  expect(() => srDocument(lost, exampleHeader, '0.1.0')).toThrow(expect.objectContaining({ code: 'reference-unresolved' }));
});
