/**
 * Every error that wetread shows has a code of this list; HTTP answers, cards, the command line and the log render the same code.
 *
 * docs/errors.md explains each code; a test holds the page and this list together in both directions.
 * `status` is the HTTP status where the error answers a request of ours (PS3.18, CDS Hooks 2.0, FHIR R4 http).
 */
export const errorCodes = {
  // doors
  'request-malformed': 400,
  'hook-mismatch': 400,
  'prefetch-missing': 412,
  'client-unauthorised': 401,
  'client-forbidden': 403,
  'service-unknown': 404,
  'not-found': 404,
  'body-too-large': 413,
  'media-type': 415,
  stopping: 503,
  internal: 500,
  // site and start
  'site-invalid': 500,
  'data-locked': 500,
  'disk-full': 500,
  'port-in-use': 500,
  usage: 500,
  // net
  'net-origin-refused': 502,
  'net-redirect-refused': 502,
  'net-timeout': 504,
  'net-too-large': 502,
  'net-unreachable': 502,
  // fhir
  'fhir-unauthorised': 502,
  'fhir-bad-answer': 502,
  'fhir-refused': 502,
  'fhir-conflict': 409,
  // dicomweb
  'dicomweb-unauthorised': 502,
  'dicomweb-unexpected-type': 502,
  'dicomweb-bad-json': 502,
  'dicomweb-truncated': 502,
  'dicomweb-refused': 502,
  'dicomweb-missing-instances': 502,
  'dicomweb-ignored-key': 502,
  'dicomweb-store-failed': 502,
  // dicom
  'dicom-not-part10': 422,
  'dicom-truncated': 422,
  'dicom-malformed': 422,
  'dicom-too-large': 422,
  'dicom-uid-invalid': 422,
  'transfer-syntax-unsupported': 422,
  'pixel-damaged': 422,
  'pixel-unsupported': 422,
  'pixel-missing': 422,
  'series-duplicate-slice': 422,
  'series-missing-slice': 422,
  'series-irregular': 422,
  // gather
  'identity-conflict': 409,
  'identity-insufficient': 409,
  'modality-unsupported': 422,
  'study-mixed-patients': 409,
  'study-growing': 409,
  'nothing-relevant': 404,
  // model
  'checkpoint-unreadable': 422,
  'checkpoint-hostile': 422,
  'checkpoint-tensors': 422,
  'architecture-unsupported': 422,
  'tokenizer-unsupported': 422,
  'import-option-missing': 422,
  'bundle-invalid': 422,
  'bundle-digest': 422,
  'bundle-stamped-test': 422,
  'bundle-stopped': 422,
  'prompt-too-long': 422,
  'too-many-images': 422,
  // runtime
  'device-unavailable': 500,
  'engine-died': 500,
  'engine-timeout': 500,
  'not-finite': 500,
  'answer-empty': 422,
  'answer-repeats': 422,
  'answer-too-long': 422,
  // report and work
  'reference-unresolved': 500,
  'study-uid-invalid': 422,
  'draft-unknown': 404,
  'job-poisoned': 500,
  'delivery-conflict': 409,
  'delivery-failed': 502,
  'store-unavailable': 503,
  // launch
  'launch-refused': 400,
  'launch-patient-mismatch': 403,
  'session-unknown': 401,
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** The one error class. `message` says what was found, what was expected and where; `hint` says what to do. */
export class WetreadError extends Error {
  override readonly name = 'WetreadError';
  readonly code: ErrorCode;
  readonly hint: string | null;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? null;
  }
}

/** HTTP status of any thrown value; what is not ours is `internal`. */
export function statusOf(error: unknown): number {
  return error instanceof WetreadError ? errorCodes[error.code] : errorCodes.internal;
}

/** Code of any thrown value. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof WetreadError ? error.code : 'internal';
}

/** Something dropped, guessed or degraded that the reader of the draft must see. `code` is stable, `message` one sentence. */
export interface Warning {
  readonly code: string;
  readonly message: string;
}
