/**
 * A study of one SR that belongs to nobody, for trying out whether a PACS takes what wetread writes.
 *
 * UIDs and bytes follow from the site's address alone: tried twice, it is the same object, and one study stays behind, not many.
 */
import { writePart10 } from '#dicom/write.ts';
import { type Uid, uidOf } from '#domain/uid.ts';

const comprehensiveSr = '1.2.840.10008.5.1.4.1.1.88.33';
const explicitLittleEndian = '1.2.840.10008.1.2.1';
/** Of nobody, and old: it must not look like a patient's newest study. */
const date = '20000101';

function coded(value: string, scheme: string, meaning: string): readonly object[] {
  return [{ CodeValue: value, CodingSchemeDesignator: scheme, CodeMeaning: meaning }];
}

export interface TestStudy {
  readonly study: Uid;
  /** PatientID of nobody. */
  readonly patientId: string;
  readonly bytes: Uint8Array;
}

export function testStudy(publicUrl: string): TestStudy {
  const of = (what: string) => uidOf(`site-check/${what}/${publicUrl}`);
  const [study, instance, patientId] = [of('study'), of('instance'), 'WETREAD-SITE-CHECK'];
  const bytes = writePart10(
    {
      SpecificCharacterSet: 'ISO_IR 192',
      SOPClassUID: comprehensiveSr,
      SOPInstanceUID: instance,
      StudyInstanceUID: study,
      SeriesInstanceUID: of('series'),
      PatientName: 'WETREAD^SITE CHECK',
      PatientID: patientId,
      IssuerOfPatientID: 'WETREAD',
      PatientBirthDate: '',
      PatientSex: '',
      StudyDate: date,
      StudyTime: '000000',
      StudyID: 'CHECK',
      AccessionNumber: '',
      ReferringPhysicianName: '',
      StudyDescription: 'wetread site check, may be deleted',
      Modality: 'SR',
      SeriesNumber: 1,
      ReferencedPerformedProcedureStepSequence: [],
      Manufacturer: 'wetread',
      InstanceNumber: 1,
      ContentDate: date,
      ContentTime: '000000',
      CompletionFlag: 'PARTIAL',
      VerificationFlag: 'UNVERIFIED',
      PerformedProcedureCodeSequence: [],
      ValueType: 'CONTAINER',
      ConceptNameCodeSequence: coded('18748-4', 'LN', 'Diagnostic imaging study'),
      ContinuityOfContent: 'SEPARATE',
      ContentSequence: [
        {
          RelationshipType: 'CONTAINS',
          ValueType: 'TEXT',
          ConceptNameCodeSequence: coded('121106', 'DCM', 'Comment'),
          TextValue: 'Written by wetread to try out storing. It is about nobody and may be deleted.',
        },
      ],
    },
    { sopClass: comprehensiveSr, sopInstance: instance, transferSyntax: explicitLittleEndian },
  );
  return { study, patientId, bytes };
}
