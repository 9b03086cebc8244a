/** The person at the sandbox's EHR: a radiologist, so that a card may show a draft's statements. SNOMED CT 66862007 "Radiologist". */
import type { Bundle } from '@medplum/fhirtypes';

export const sandboxUser = 'Practitioner/sandbox-radiologist';

export const sandboxUserBundle: Bundle = {
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    {
      resource: {
        resourceType: 'Practitioner',
        id: 'sandbox-radiologist',
        active: true,
        name: [{ family: 'Sandbox', given: ['Robin'], prefix: ['Dr.'] }],
      },
      request: { method: 'PUT', url: sandboxUser },
    },
    {
      resource: {
        resourceType: 'PractitionerRole',
        id: 'sandbox-radiologist',
        active: true,
        practitioner: { reference: sandboxUser },
        code: [{ coding: [{ system: 'http://snomed.info/sct', code: '66862007', display: 'Radiologist' }] }],
      },
      request: { method: 'PUT', url: 'PractitionerRole/sandbox-radiologist' },
    },
  ],
};
