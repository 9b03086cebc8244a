import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Draft } from '#domain/draft.ts';
import { released } from '#domain/draft.ts';
import type { DraftCardOptions } from '#report/card.ts';
import { cardUuid, conflictCard, draftCard, preparingCard, quotedCard, serialised, suggestionUuid, unsupportedCard } from '#report/card.ts';
import { suggestionActions } from '#report/diagnostic-report.ts';
import { draftNotice } from '#report/words.ts';
import { exampleDraft, writeOptions } from './example-draft.ts';

const smart = { url: 'https://wetread.example/launch', type: 'smart', appContext: 'k3v0' } as const;
const reader = { role: 'radiologist', link: smart };
const ready: DraftCardOptions = { ...reader, seesStatements: true, actions: null };

function withText(text: string): Draft {
  const { study } = exampleDraft.subject;
  return {
    ...exampleDraft,
    subject: { score: 1, reasons: [text], study: { ...study, description: text, modalities: [text] } },
    priors: [],
    statements: exampleDraft.statements.map((statement) => ({ ...statement, text })),
    warnings: [{ code: 'x', message: text }],
  };
}

/** Every member below a value, with its path. */
function membersOf(value: unknown, path = '$'): readonly (readonly [string, unknown])[] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return [[path, value], ...Object.entries(value).flatMap(([name, member]) => membersOf(member, `${path}.${name}`))];
}

function emptyMembers(value: unknown): readonly string[] {
  return membersOf(value)
    .filter(
      ([, member]) =>
        member === null || member === undefined || member === '' || (typeof member === 'object' && Object.keys(member).length === 0),
    )
    .map(([path]) => path);
}

const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ unit: 'grapheme', maxLength: 400 }));

describe('every card', () => {
  test('has a summary of one line and fewer than 140 characters, whatever a study is called', () => {
    fc.assert(
      fc.property(anyText, fc.boolean(), (text, stamped) => {
        const draft = withText(text);
        const study = draft.subject.study;
        const stampedDraft: Draft = stamped ? { ...draft, model: { ...draft.model, stamped: 'test' } } : draft;
        const cards = [
          draftCard(stampedDraft, ready),
          preparingCard(draft.key, draft.subject, reader),
          quotedCard({ study, reference: 'DiagnosticReport/1', issued: null, impression: text }, { ...reader, seesStatements: true }),
          unsupportedCard(study, reader),
          conflictCard(study, [text], reader),
        ];
        for (const card of cards) {
          expect(card.summary.length).toBeLessThan(140);
          expect(card.summary.length).toBeGreaterThan(0);
          expect(card.summary).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
          expect(card.summary.isWellFormed()).toBe(true);
          expect(emptyMembers(card)).toEqual([]);
        }
      }),
    );
  });

  test('has no null and no empty member', () => {
    expect(
      emptyMembers(draftCard({ ...exampleDraft, statements: [], images: [], warnings: [], priors: [] }, { ...ready, link: null })),
    ).toEqual([]);
    expect(emptyMembers(draftCard(exampleDraft, { ...ready, actions: [] }))).toEqual([]);
  });
});

test('the serialiser drops empty members at any depth and nothing else', () => {
  fc.assert(
    fc.property(fc.object({ values: [fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.constant('')] }), (value) => {
      const once = serialised(value);
      expect(emptyMembers(once).filter((path) => path !== '$')).toEqual([]);
      expect(serialised(once)).toEqual(once);
      const kept = membersOf(value).filter(([, member]) => typeof member !== 'object' && member !== '' && member !== undefined);
      expect(membersOf(once).filter(([, member]) => typeof member !== 'object')).toHaveLength(kept.length);
    }),
  );
});

describe('the card of a draft', () => {
  test('says first that it is an AI draft, not verified, and about which study of when', () => {
    const card = draftCard(exampleDraft, ready);
    expect(card.summary).toBe('AI draft, not verified: draft report for DX of 2026-11-24 (Chest PA)');
    expect(card.detail).toMatch(/^\*\*AI draft, not verified\.\*\* DX of 2026-11-24/);
    expect(card.detail).toContain('chosen: same region (chest)');
    expect(card.indicator).toBe('info');
  });

  test('shows each released statement with its images, and no held one, to a role that may see them', () => {
    const { detail } = draftCard(exampleDraft, ready);
    expect(detail).toContain('- There is a small left pleural effusion. *(depends on image 1)*');
    expect(detail).toContain('*(depends on images 1 and 2)*');
    expect(detail).toContain('- No pneumothorax. *(cannot be tested by removal)*');
    expect(detail).toContain('*(depends on no image)*');
    expect(detail).toContain('image 2: DX 2026-08-02, series 1, instance 1, prior');
    expect(detail).toContain('1 sentence was held back by the guard (measurement-without-spacing).');
    expect(detail).toContain('Dependence is not correctness');
    expect(detail).not.toContain('8 mm');
  });

  test('shows no statement, warning or image to a role that may not see them', () => {
    const { detail } = draftCard(exampleDraft, { ...ready, seesStatements: false });
    for (const statement of exampleDraft.statements) expect(detail).not.toContain(statement.text);
    expect(detail).not.toContain('issuer');
    expect(detail).toContain(`${released(exampleDraft).length} statements`);
    expect(detail).toContain(draftNotice);
  });

  test('carries under the outbox one suggestion without actions, which feedback can name', () => {
    const { suggestions, selectionBehavior } = draftCard(exampleDraft, ready);
    expect(suggestions).toEqual([{ label: 'Accept the draft report', uuid: suggestionUuid(exampleDraft.key, 'radiologist') }]);
    expect(selectionBehavior).toBe('at-most-one');
  });

  test('carries as a suggestion create actions, each with a description, that refer to each other by type and id', () => {
    const actions = suggestionActions(exampleDraft, writeOptions, '2026-11-24T09:05:31Z');
    const { suggestions, selectionBehavior } = draftCard(exampleDraft, { ...ready, actions });
    expect(selectionBehavior).toBe('any');
    expect(suggestions?.[0]?.actions).toHaveLength(11);
    const ids = new Set(
      actions.map(({ resource }) => ('resourceType' in resource && 'id' in resource ? `${resource.resourceType}/${resource.id}` : 'none')),
    );
    const outside = membersOf(actions)
      .filter(([path, value]) => path.endsWith('.reference') && typeof value === 'string' && !ids.has(value))
      .map(([, value]) => value);
    expect([...new Set(outside)].sort()).toEqual([
      'Condition/heart-failure',
      'DiagnosticReport/chest-prior',
      'Encounter/ward-visit',
      'ImagingStudy/chest-prior',
      'ImagingStudy/chest-today',
      'Organization/radiology',
      'Patient/ada',
      'ServiceRequest/chest-order',
    ]);
    expect(JSON.stringify(actions)).not.toContain('"urn:uuid:00');
    expect(actions.every((action) => action.description !== '')).toBe(true);
  });

  test('keeps its uuid for one draft and role, and changes it with either', () => {
    const { uuid } = draftCard(exampleDraft, ready);
    expect(uuid).toBe(draftCard(exampleDraft, { ...ready, link: null }).uuid);
    expect(uuid).toBe(cardUuid(exampleDraft.key, 'radiologist'));
    expect(uuid).not.toBe(cardUuid(exampleDraft.key, 'nurse'));
    expect(uuid).not.toBe(draftCard({ ...exampleDraft, key: 'other' }, ready).uuid);
  });

  test('offers coded reasons to decline, each with a display', () => {
    const reasons = draftCard(exampleDraft, ready).overrideReasons ?? [];
    expect(reasons.length).toBeGreaterThan(2);
    expect(reasons.every((reason) => reason.display !== '' && reason.code !== '' && reason.system !== '')).toBe(true);
  });

  test('has appContext only on a smart link', () => {
    expect(draftCard(exampleDraft, ready).links?.[0]).toMatchObject({ type: 'smart', appContext: 'k3v0' });
    const absolute = draftCard(exampleDraft, { ...ready, link: { ...smart, type: 'absolute' } });
    expect(absolute.links?.[0]).toEqual({ label: 'Read the draft beside its images', url: smart.url, type: 'absolute' });
  });

  test('of a test model carries the stamp in summary and detail', () => {
    const card = draftCard({ ...exampleDraft, model: { ...exampleDraft.model, stamped: 'test' } }, ready);
    expect(card.summary).toContain('TEST MODEL');
    expect(card.detail).toMatch(/^\*\*TEST MODEL/);
  });
});

test('a study that no model reads gives a card without a suggestion', () => {
  const card = unsupportedCard({ ...exampleDraft.subject.study, modalities: ['US'] }, reader);
  expect(card.source.topic.code).toBe('modality-unsupported');
  expect(card.summary).toContain('US of 2026-11-24');
  expect(card).not.toHaveProperty('suggestions');
  expect(card).not.toHaveProperty('selectionBehavior');
});

test('an identity conflict names what differs and releases nothing of the study', () => {
  const text = JSON.stringify(conflictCard(exampleDraft.subject.study, ['birth date', 'name'], reader));
  expect(text).toContain('birth date, name');
  for (const secret of ['1958', 'Phantom', 'Ada', 'WR-0001', 'Chest PA', '2.25.1001', '2026-11-24']) expect(text).not.toContain(secret);
  expect(text).not.toContain('suggestions');
});

test('a quoted report shows its impression only to a role that may see statements', () => {
  const report = {
    study: exampleDraft.subject.study,
    reference: 'DiagnosticReport/7',
    issued: '2026-08-02T11:20:00Z',
    impression: 'Trace effusion.',
  };
  const seen = quotedCard(report, { ...reader, seesStatements: true });
  expect(seen.detail).toContain('Trace effusion.');
  expect(seen.summary).toContain('reported 2026-08-02');
  expect(seen).not.toHaveProperty('suggestions');
  expect(quotedCard(report, { ...reader, seesStatements: false }).detail).not.toContain('Trace');
});
