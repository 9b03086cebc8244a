/** The resource types that the sandbox's FHIR server stores. Anything else is refused by name (404). */
export const servedTypes = [
  'AllergyIntolerance',
  'Binary',
  'CarePlan',
  'CareTeam',
  'CodeSystem',
  'Condition',
  'Device',
  'DiagnosticReport',
  'DocumentReference',
  'Encounter',
  'Endpoint',
  'Goal',
  'ImagingStudy',
  'Immunization',
  'Location',
  'Media',
  'Medication',
  'MedicationRequest',
  'Observation',
  'Organization',
  'Patient',
  'Practitioner',
  'PractitionerRole',
  'Procedure',
  'Provenance',
  'ServiceRequest',
  'StructureDefinition',
  'Task',
  'ValueSet',
] as const;

export type ServedType = (typeof servedTypes)[number];

export function isServed(type: string): type is ServedType {
  return (servedTypes as readonly string[]).includes(type);
}
