/**
 * The label that a resource was asserted by artificial intelligence. It is a security label, not a tag, and stays until a human signs.
 *
 * AIAST is newer than the code system that ships with FHIR 4.0.1: a strict server may refuse it, and one that drops it must be reported.
 *
 * Source: HL7 AI Transparency on FHIR 1.0.0 ballot; v3-ObservationValue.
 */
import type { Coding } from '@medplum/fhirtypes';
import { codeSystem } from './canonical.ts';

export const aiAsserted: Coding = {
  system: codeSystem.observationValue,
  code: 'AIAST',
  display: 'Artificial Intelligence asserted',
};

/** Members of `meta` of a resource that holds the model's words. */
export const aiLabel: { security: Coding[] } = { security: [aiAsserted] };
