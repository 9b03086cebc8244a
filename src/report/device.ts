/**
 * FHIR Devices: the model that wrote the draft, labelled as artificial intelligence, and the wetread service that ran it (its parent).
 *
 * A model is identified by the digest of its bundle: the same name with other weights is another Device.
 *
 * Source: FHIR R4 Device; HL7 AI Transparency on FHIR 1.0.0 ballot, AI-Device.
 */
import type { Device } from '@medplum/fhirtypes';
import type { Draft } from '#domain/draft.ts';
import { uuidOf } from '#domain/uid.ts';
import { codeSystem, extension, identifierSystem, profile } from './canonical.ts';
import { narrative } from './html.ts';
import { oneLine, stampNotice } from './words.ts';

export function modelUrn(draft: Draft): string {
  return `urn:uuid:${uuidOf(`model/${draft.model.digest}`)}`;
}

export function serviceUrn(serviceVersion: string): string {
  return `urn:uuid:${uuidOf(`service/${serviceVersion}`)}`;
}

export function modelDevice(draft: Draft, serviceVersion: string): Device {
  const { model } = draft;
  const name = oneLine(model.name);
  return {
    resourceType: 'Device',
    meta: { profile: [profile.model], ...stampTag(draft) },
    text: narrative([`Model ${name}, bundle ${model.bundle}`, ...(model.stamped === 'test' ? [stampNotice] : [])]),
    extension: [
      {
        url: extension.aiKind,
        valueCodeableConcept: { coding: [{ system: codeSystem.aiDeviceType, code: 'Vision-Language-Models' }] },
      },
    ],
    identifier: [{ system: identifierSystem.bundle, value: model.digest }],
    status: 'active',
    ...(model.manufacturer === null ? {} : { manufacturer: oneLine(model.manufacturer) }),
    deviceName: [{ name, type: 'model-name' }],
    type: { coding: [{ system: codeSystem.aiDeviceType, code: 'Artificial-Intelligence' }] },
    version: [
      { type: { text: 'bundle' }, value: oneLine(model.bundle) },
      { type: { text: 'bundle digest' }, value: model.digest },
      { type: { text: 'prompt' }, value: oneLine(model.promptVersion) },
    ],
    ...(model.license === null ? {} : { note: [{ text: `Licence of the weights: ${oneLine(model.license)}` }] }),
    parent: { reference: serviceUrn(serviceVersion) },
  };
}

export function serviceDevice(serviceVersion: string): Device {
  return {
    resourceType: 'Device',
    text: narrative([`wetread ${serviceVersion}`]),
    identifier: [{ system: identifierSystem.service, value: serviceVersion }],
    status: 'active',
    deviceName: [{ name: 'wetread', type: 'user-friendly-name' }],
    type: { text: 'Service that drafts imaging reports' },
    version: [{ type: { text: 'software' }, value: serviceVersion }],
  };
}

/** The visible stamp of a test bundle, as a tag; nothing for any other model. */
export function stampTag(draft: Draft): { tag?: { system: string; code: string; display: string }[] } {
  if (draft.model.stamped === null) return {};
  return { tag: [{ system: codeSystem.stamp, code: 'test', display: stampNotice }] };
}
