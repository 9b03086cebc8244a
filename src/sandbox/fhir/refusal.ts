/**
 * An answer other than success of the sandbox's FHIR server, as an OperationOutcome.
 *
 * Not a WetreadError: the sandbox plays a hospital's server, whose errors wetread must understand from status and OperationOutcome alone.
 * Source: FHIR R4 http (status codes), OperationOutcome, value set issue-type.
 */
import type { OperationOutcome, OperationOutcomeIssue } from '@medplum/fhirtypes';

type IssueCode = OperationOutcomeIssue['code'];

export class FhirRefusal extends Error {
  override readonly name = 'FhirRefusal';
  readonly status: number;
  readonly issues: readonly OperationOutcomeIssue[];

  constructor(status: number, code: IssueCode, diagnostics: string, expression: readonly string[] = []) {
    super(diagnostics);
    this.status = status;
    this.issues = [{ severity: 'error', code, diagnostics, ...(expression.length === 0 ? {} : { expression: [...expression] }) }];
  }

  /** The same refusal with every issue kept (validation finds several). */
  static of(status: number, issues: readonly OperationOutcomeIssue[]): FhirRefusal {
    const [first] = issues;
    const refusal = new FhirRefusal(status, first?.code ?? 'processing', first?.diagnostics ?? 'refused');
    return Object.assign(refusal, { issues });
  }
}

export function outcomeOf(issues: readonly OperationOutcomeIssue[]): OperationOutcome {
  return { resourceType: 'OperationOutcome', issue: [...issues] };
}
