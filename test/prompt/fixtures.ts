/** Pictures and evidence small enough to be read in a test. */
import type { Evidence, RankedStudy } from '#domain/evidence.ts';
import type { Picture } from '#domain/picture.ts';
import type { Instance, Series, Study } from '#domain/study.ts';
import { parseUid } from '#domain/uid.ts';
import { order, patient, series, study } from '../gather/fixtures.ts';

export function instances(count: number, of: string, fields: Partial<Instance> = {}): readonly Instance[] {
  return Array.from({ length: count }, (_, at) => ({
    uid: parseUid(`${of}.${at + 1}`),
    sopClass: parseUid('1.2.840.10008.5.1.4.1.1.1.1'),
    number: at + 1,
    frames: 1,
    ...fields,
  }));
}

export function withSeries(uid: string, all: readonly Partial<Series>[], fields: Partial<Study> = {}): Study {
  const made = all.map((one, at) =>
    series({ uid: parseUid(`${uid}.${at + 1}`), number: at + 1, instances: instances(1, `${uid}.${at + 1}`), ...one }),
  );
  return study(uid, { series: made, regions: ['chest'], ...fields });
}

export function ranked(one: Study): RankedStudy {
  return { study: one, score: 1, reasons: [] };
}

export function evidence(subject: Study, priors: readonly Study[] = [], fields: Partial<Evidence> = {}): Evidence {
  return {
    patient,
    order,
    subject: ranked(subject),
    priors: priors.map(ranked),
    quoted: [],
    history: [],
    leftOut: [],
    warnings: [],
    ...fields,
  };
}

export function picture(of: string, number: number, fields: Partial<Picture> = {}): Picture {
  return {
    ref: {
      study: parseUid(of),
      series: parseUid(`${of}.1`),
      instance: parseUid(`${of}.1.${number}`),
      sopClass: parseUid('1.2.840.10008.5.1.4.1.1.1.1'),
      frame: null,
    },
    modality: 'DX',
    width: 2,
    height: 1,
    channels: 1,
    pixels: new Uint8Array([number, 0]),
    window: null,
    spacingMm: null,
    view: 'PA',
    side: null,
    bodyPart: 'CHEST',
    date: '2026-11-24',
    seriesNumber: 1,
    instanceNumber: number,
    warnings: [],
    ...fields,
  };
}
