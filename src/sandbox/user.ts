/** The person at the sandbox's EHR: a radiologist, so that a card may show a draft's statements. SNOMED CT 66862007 "Radiologist". */
import type { Bundle } from '@medplum/fhirtypes';

export const sandboxUserId = 'sandbox-radiologist';

/** Reference of the user whom a launch names. */
export const sandboxUser = `Practitioner/${sandboxUserId}`;

export const sandboxUserBundle: Bundle = {
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    {
      resource: {
        resourceType: 'Practitioner',
        id: sandboxUserId,
        active: true,
        name: [{ family: 'Sandbox', given: ['Robin'], prefix: ['Dr.'] }],
      },
      request: { method: 'PUT', url: sandboxUser },
    },
    {
      resource: {
        resourceType: 'PractitionerRole',
        id: sandboxUserId,
        active: true,
        practitioner: { reference: sandboxUser },
        code: [{ coding: [{ system: 'http://snomed.info/sct', code: '66862007', display: 'Radiologist' }] }],
      },
      request: { method: 'PUT', url: `PractitionerRole/${sandboxUserId}` },
    },
  ],
};
