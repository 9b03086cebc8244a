/**
 * FHIR Provenance of a draft: the model wrote it, the service put it together, from these sources.
 *
 * Provenance has no identifier, so no conditional create: the outbox writes it only when the DiagnosticReport's answer was 201.
 * The prompt is patient data and stays out; its version stands on the Device.
 *
 * Source: FHIR R4 Provenance; HL7 AI Transparency on FHIR 1.0.0 ballot, AI-Provenance.
 */
import type { Provenance, Reference } from '@medplum/fhirtypes';
import type { Draft } from '#domain/draft.ts';
import { codeSystem, profile } from './canonical.ts';
import { narrative } from './html.ts';
import { studyReference } from './media.ts';
import { aiAsserted, aiLabel } from './security.ts';
import { draftNotice } from './words.ts';

/** References (`Type/id`, or `urn:uuid:` inside one bundle) of what was written. */
export interface Written {
  readonly report: string;
  readonly statements: readonly string[];
  readonly model: string;
  readonly service: string;
  /** `Organization/x` that runs the service, null = not configured. */
  readonly organization: string | null;
  /** Instant (RFC 3339) of the write. */
  readonly recordedAt: string;
}

export function draftProvenance(draft: Draft, written: Written): Provenance {
  return {
    resourceType: 'Provenance',
    meta: { profile: [profile.provenance], ...aiLabel },
    text: narrative([draftNotice, `Written by the model ${draft.model.name} at ${draft.generatedAt}`]),
    target: [written.report, ...written.statements].map((reference) => ({ reference })),
    occurredDateTime: draft.generatedAt,
    recorded: written.recordedAt,
    reason: [{ coding: [aiAsserted] }],
    activity: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-DataOperation', code: 'CREATE', display: 'create' }] },
    agent: [
      {
        type: participant('author', 'Author'),
        role: [{ coding: [{ system: codeSystem.aiDeviceType, code: 'Artificial-Intelligence' }] }],
        who: { reference: written.model },
      },
      {
        type: participant('assembler', 'Assembler'),
        who: { reference: written.service },
        ...(written.organization === null ? {} : { onBehalfOf: { reference: written.organization } }),
      },
    ],
    entity: sources(draft).map((what) => ({ role: 'source' as const, what })),
  };
}

function participant(code: string, display: string): { coding: { system: string; code: string; display: string }[] } {
  return { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/provenance-participant-type', code, display }] };
}

/** Studies drafted and compared with, orders answered, reports quoted, and every history item that came from a resource; each once. */
function sources(draft: Draft): Reference[] {
  const references = [...draft.basedOn, ...draft.quoted.map((quoted) => quoted.reference), ...draft.history.map((item) => item.source)];
  const unique = [...new Set(references)].filter((reference) => /^[A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64}$/.test(reference));
  return [...[draft.subject, ...draft.priors].map((ranked) => studyReference(ranked.study)), ...unique.map((reference) => ({ reference }))];
}
