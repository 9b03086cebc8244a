/**
 * Any thrown value as FHIR OperationOutcome, for answers of CDS Hooks and FHIR doors.
 *
 * A WetreadError shows its message and hint; anything else is `internal` and shows nothing of itself, since a stack or a driver's message may
 * hold what a client must not read.
 *
 * Source: FHIR R4 OperationOutcome, issue-type; CDS Hooks 3.0 ballot (a body on every error).
 */
import type { OperationOutcome, OperationOutcomeIssue } from '@medplum/fhirtypes';
import { codeOf, statusOf, WetreadError } from '#domain/errors.ts';
import { codeSystem } from './canonical.ts';
import { narrative } from './html.ts';

/** issue-type of an HTTP status; what is not listed is `processing` (4xx) or `exception` (5xx). */
const issueTypes: Readonly<Record<number, OperationOutcomeIssue['code']>> = {
  400: 'invalid',
  401: 'login',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  412: 'required',
  413: 'too-long',
  415: 'not-supported',
  502: 'transient',
  503: 'transient',
  504: 'timeout',
};

export function outcomeOf(error: unknown): OperationOutcome {
  const status = statusOf(error);
  const known = error instanceof WetreadError;
  const text = known
    ? [error.message, error.hint].filter((part) => part !== null).join('. ')
    : 'An internal error; its details are in the log.';
  return {
    resourceType: 'OperationOutcome',
    text: narrative([text]),
    issue: [
      {
        severity: 'error',
        code: issueTypes[status] ?? (status < 500 ? 'processing' : 'exception'),
        details: { coding: [{ system: codeSystem.errors, code: codeOf(error) }], text },
        diagnostics: text,
      },
    ],
  };
}
