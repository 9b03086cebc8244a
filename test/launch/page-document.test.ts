import { expect, test } from 'vitest';
import { pageDocument } from '#launch/page-document.ts';
import { exampleDraft } from '../report/example-draft.ts';

const stoppedAt = new Date('2026-11-25T08:30:00Z');
const delivery = { draftKey: 'k', target: 'fhir', state: 'pending', attempts: 0, code: null, message: null, result: null } as const;

test('a draft of a stopped bundle stands under the stamp WITHDRAWN with why, and its delivery is said to wait', () => {
  const draft = exampleDraft;
  const state = { state: 'ready', draft, isSuperseded: false } as const;
  const stop = { bundle: draft.model.name, reason: 'sides are mixed up', stoppedAt };
  const page = pageDocument(state, [delivery], [stop]);
  expect(page).toMatchObject({
    stamp: expect.stringMatching(/^WITHDRAWN\. .* was taken out of use at 2026-11-25 08:30 UTC: sides are mixed up/),
    deliveries: [{ words: 'waits, since its model was taken out of use' }],
  });
  const other = pageDocument(state, [delivery], [{ ...stop, bundle: 'another' }]);
  expect(other).toMatchObject({ stamp: null, deliveries: [{ words: 'is being delivered' }] });
});
