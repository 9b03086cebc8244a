/** A code with its system: FHIR Coding and a DICOM code sequence item carry the same three values. */
export interface Code {
  /** FHIR system URI, or null for a local code without one. */
  readonly system: string | null;
  readonly code: string;
  readonly display: string | null;
}

export const systems = {
  loinc: 'http://loinc.org',
  snomed: 'http://snomed.info/sct',
  dcm: 'http://dicom.nema.org/resources/ontology/DCM',
} as const;
