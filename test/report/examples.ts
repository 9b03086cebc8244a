/**
 * Writes the examples in fhir-profiles/examples/ and cds-hooks/examples/ from the example draft: `node test/report/examples.ts`.
 *
 * A test holds the committed files and this maker together, so an example is always what the program writes. Afterwards
 * `npx biome check --write cds-hooks` sets their line breaks.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { BundleEntry } from '@medplum/fhirtypes';
import type { Draft } from '#domain/draft.ts';
import { released } from '#domain/draft.ts';
import { WetreadError } from '#domain/errors.ts';
import { conflictCard, draftCard, preparingCard, quotedCard, suggestionUuid, unsupportedCard } from '#report/card.ts';
import { draftTransaction, suggestionActions } from '#report/diagnostic-report.ts';
import { outcomeOf } from '#report/outcome.ts';
import { draftProvenance } from '#report/provenance.ts';
import { exampleDraft, exampleImages, writeOptions } from './example-draft.ts';

export const projectRoot = resolve(import.meta.dirname, '../..');

const role = 'http://hospital.example/roles|radiologist';
const link = { url: 'https://wetread.hospital.example/launch', type: 'smart', appContext: 'k3v0Zc1bq8' } as const;
const reader = { role, link };
const [firstImage] = exampleImages;
const stampedDraft: Draft = { ...exampleDraft, model: { ...exampleDraft.model, stamped: 'test' } };

/** As little as a draft can know: no order, encounter, prior, date, ImagingStudy or scoring, and a frame of a modality without a code. */
const bareDraft: Draft = {
  ...exampleDraft,
  subject: {
    ...exampleDraft.subject,
    study: { ...exampleDraft.subject.study, imagingStudy: null, date: null, time: null, description: null, modalities: ['OT'] },
  },
  priors: [],
  quoted: [],
  history: [],
  basedOn: [],
  encounter: null,
  reportCode: null,
  images: [{ ...firstImage, modality: 'OT', date: null, seriesNumber: null, instanceNumber: null, ref: { ...firstImage.ref, frame: 3 } }],
  statements: [
    {
      number: 1,
      section: 'findings',
      text: 'Nothing else is known.',
      dependence: 'not-attributed',
      citations: [],
      support: null,
      calibrated: false,
      holds: [],
    },
    {
      number: 2,
      section: 'findings',
      text: 'There is a line.',
      dependence: 'depends',
      citations: [{ image: 1, ref: { ...firstImage.ref, frame: 3 }, share: null }],
      support: 0.2,
      calibrated: false,
      holds: [],
    },
  ],
  attribution: { method: 'none', nulls: [], line: 'Images were not removed one by one for this draft; no sentence is attributed.' },
  model: { ...exampleDraft.model, manufacturer: null, license: null },
  leftOut: [],
  warnings: [],
};

/** Path relative to the project -> content of every example. */
export function examples(): ReadonlyMap<string, unknown> {
  return new Map([...fhirExamples(), ...hookExamples()]);
}

/** Each resource as a server keeps it: an id, and `Type/id` references. */
function fhirExamples(): readonly (readonly [string, unknown])[] {
  const stored = suggestionActions(exampleDraft, writeOptions, '2026-11-24T09:05:33Z').map((action) => action.resource);
  const counts = new Map<string, number>();
  const resources = stored.map((resource) => {
    const type = 'resourceType' in resource ? String(resource.resourceType) : 'unknown';
    const count = (counts.get(type) ?? 0) + 1;
    counts.set(type, count);
    return [`fhir-profiles/examples/${kebab(type)}-${count}.json`, resource] as const;
  });
  return [
    ...resources,
    ['fhir-profiles/examples/bundle-transaction.json', draftTransaction(exampleDraft, writeOptions)],
    [
      'fhir-profiles/examples/bundle-transaction-test-model.json',
      draftTransaction(stampedDraft, { ...writeOptions, imageRoot: null, organization: null }),
    ],
    [
      'fhir-profiles/examples/bundle-transaction-bare.json',
      draftTransaction(bareDraft, { ...writeOptions, imageRoot: null, organization: null }),
    ],
    ['fhir-profiles/examples/provenance-written.json', writtenProvenance()],
    [
      'fhir-profiles/examples/operation-outcome.json',
      outcomeOf(new WetreadError('prefetch-missing', 'prefetch: found no patient and no fhirServer, expected one of both')),
    ],
  ];
}

function writtenProvenance(): unknown {
  return draftProvenance(exampleDraft, {
    report: 'DiagnosticReport/1',
    statements: released(exampleDraft).map((statement) => `Observation/${statement.number}`),
    model: 'Device/model',
    service: 'Device/wetread',
    organization: null,
    recordedAt: '2026-11-24T09:05:33Z',
  });
}

function hookExamples(): readonly (readonly [string, unknown])[] {
  const all = { ...reader, seesStatements: true };
  const actions = suggestionActions(exampleDraft, writeOptions, '2026-11-24T09:05:31Z');
  const quoted = exampleDraft.quoted.map((report) => quotedCard(report, all));
  const ultrasound = { ...exampleDraft.subject.study, modalities: ['US'], description: 'Abdomen' };
  const feedback = { card: draftCard(exampleDraft, { ...all, actions: null }).uuid, outcomeTimestamp: '2026-11-24T10:05:31Z' };
  const answer = (name: string, cards: readonly unknown[]): readonly [string, unknown] => [`cds-hooks/examples/${name}.json`, { cards }];
  return [
    ['cds-hooks/examples/request.json', hookRequest()],
    answer('answer-ready', [draftCard(exampleDraft, { ...all, actions: null })]),
    answer('answer-ready-role-without-statements', [draftCard(exampleDraft, { ...reader, seesStatements: false, actions: null })]),
    answer('answer-ready-writer-suggestion', [draftCard(exampleDraft, { ...all, actions })]),
    answer('answer-ready-test-model', [draftCard(stampedDraft, { ...all, actions: null })]),
    answer('answer-preparing', [preparingCard(exampleDraft.key, exampleDraft.subject, reader)]),
    answer('answer-quoted', quoted),
    answer('answer-modality-unsupported', [unsupportedCard(ultrasound, reader)]),
    answer('answer-identity-conflict', [conflictCard(exampleDraft.subject.study, ['birth date', 'name'], { role, link: null })]),
    answer('answer-nothing', []),
    [
      'cds-hooks/examples/feedback-accepted.json',
      { feedback: [{ ...feedback, outcome: 'accepted', acceptedSuggestions: [{ id: suggestionUuid(exampleDraft.key, role) }] }] },
    ],
    [
      'cds-hooks/examples/feedback-overridden.json',
      {
        feedback: [
          {
            ...feedback,
            outcome: 'overridden',
            overrideReason: {
              reason: {
                system: 'https://wetread.example/fhir/CodeSystem/override-reason',
                code: 'wrong-content',
                display: 'The draft is wrong',
              },
            },
          },
        ],
      },
    ],
  ];
}

function hookRequest(): unknown {
  const order: BundleEntry = {
    resource: {
      resourceType: 'ServiceRequest',
      id: 'draft-order-1',
      status: 'draft',
      intent: 'order',
      category: [{ coding: [{ system: 'http://snomed.info/sct', code: '363679005', display: 'Imaging' }] }],
      code: { coding: [{ system: 'http://loinc.org', code: '36643-5', display: 'XR Chest 2 Views' }], text: 'Chest X-ray, two views' },
      subject: { reference: 'Patient/ada' },
      encounter: { reference: 'Encounter/ward-visit' },
      reasonCode: [{ text: 'Cough and shortness of breath' }],
    },
  };
  return {
    hook: 'order-sign',
    hookInstance: 'd1577c69-dfbe-44ad-ba6d-3e05e953b2ea',
    fhirServer: 'https://fhir.hospital.example/r4',
    context: {
      userId: 'Practitioner/lovelace',
      patientId: 'ada',
      encounterId: 'ward-visit',
      draftOrders: { resourceType: 'Bundle', type: 'collection', entry: [order] },
    },
    prefetch: {
      patient: {
        resourceType: 'Patient',
        id: 'ada',
        identifier: [{ system: 'urn:oid:2.25.77', value: 'WR-0001' }],
        name: [{ family: 'Phantom', given: ['Ada'] }],
        gender: 'female',
        birthDate: '1958-03-14',
      },
      problems: null,
    },
  };
}

function kebab(type: string): string {
  return type.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}

if (import.meta.main) {
  for (const [path, content] of examples()) {
    const file = join(projectRoot, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
  }
}
