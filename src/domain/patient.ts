/** Who the images and the history belong to, as far as a source says it. Unknown is null, never an empty string. */
export interface Identity {
  /** FHIR identifiers, or PatientID with IssuerOfPatientID; `system` null = the source gives none. */
  readonly identifiers: readonly { readonly system: string | null; readonly value: string }[];
  /** YYYY, YYYY-MM or YYYY-MM-DD. */
  readonly birthDate: string | null;
  readonly name: { readonly family: string | null; readonly given: readonly string[] } | null;
  readonly sex: 'male' | 'female' | 'other' | null;
  /** Maiden, old and other names that the record knows; absent where a source has no such field. */
  readonly formerNames?: readonly { readonly family: string | null; readonly given: readonly string[] }[];
}

export interface Patient {
  /** Logical id on the FHIR server. */
  readonly id: string;
  readonly identity: Identity;
}
