/**
 * The URLs under which wetread's profiles, extensions, code systems and identifiers are known, in one place.
 *
 * A canonical URL is a name, not an address: `.example` is reserved (RFC 2606), so nobody else can ever own it. It must never change:
 * readers of old drafts find our elements by it.
 */
const base = 'https://wetread.example/fhir';

export const profile = {
  report: `${base}/StructureDefinition/draft-report`,
  statement: `${base}/StructureDefinition/draft-statement`,
  image: `${base}/StructureDefinition/evidence-image`,
  model: `${base}/StructureDefinition/model-device`,
  provenance: `${base}/StructureDefinition/draft-provenance`,
} as const;

export const extension = {
  draftKey: `${base}/StructureDefinition/draft-key`,
  bundleDigest: `${base}/StructureDefinition/bundle-digest`,
  imageEvidence: `${base}/StructureDefinition/image-evidence`,
  imageLocation: `${base}/StructureDefinition/image-location`,
  attribution: `${base}/StructureDefinition/attribution-method`,
  /** IHE RAD IMR 1.1.0: studies compared with; `imagingStudy` holds the studies reported on. */
  associatedStudy: 'https://profiles.ihe.net/RAD/IMR/StructureDefinition/associatedStudy',
  /** FHIR R4, of core: the report replaces another, which may have been about less material. */
  replaces: 'http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces',
  /** HL7 AI Transparency on FHIR 1.0.0 ballot. */
  aiKind: 'http://hl7.org/fhir/uv/aitransparency/StructureDefinition/aitransparency.AIKind',
} as const;

export const codeSystem = {
  dependence: `${base}/CodeSystem/dependence`,
  component: `${base}/CodeSystem/statement-component`,
  method: `${base}/CodeSystem/attribution-method`,
  stamp: `${base}/CodeSystem/stamp`,
  card: `${base}/CodeSystem/card`,
  override: `${base}/CodeSystem/override-reason`,
  errors: `${base}/CodeSystem/error`,
  aiDeviceType: 'http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS',
  observationValue: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue',
} as const;

/** Systems of identifiers that we give. */
export const identifierSystem = {
  /** Value: SOP Instance UID, `#frame` behind it for a frame of a multi-frame object. */
  image: `${base}/identifier/image`,
  /** Value: sha256 (hex) of a model bundle. */
  bundle: `${base}/identifier/bundle`,
  /** Value: version of the wetread service. */
  service: `${base}/identifier/service`,
  uri: 'urn:ietf:rfc:3986',
  dicom: 'urn:dicom:uid',
} as const;
