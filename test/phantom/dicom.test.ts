import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { displayGrey } from '#dicom/display.ts';
import { pictureOf } from '#dicom/picture.ts';
import { readPart10 } from '#dicom/read.ts';
import { writeFilm, writeUltrasound } from '#phantom/dicom.ts';
import { renderFilm } from '#phantom/film.ts';
import { makePerson } from '#phantom/person.ts';
import { presentationOf } from '#phantom/presentation.ts';
import { randomOf } from '#phantom/random.ts';
import { currentLesions, makeStudy } from '#phantom/study.ts';
import { renderUltrasound } from '#phantom/ultrasound.ts';
import { available } from '../setup/require.ts';

const header = {
  name: 'dicom test',
  person: makePerson(randomOf('dicom test'), 'dicom test', 6, new Date('2026-11-24T12:00:00Z')),
  date: '2026-11-24',
  time: '08:01:02',
  accession: 'A1000002',
  description: 'XR chest PA',
  referrer: 'Ward^Three',
};

function filmOf(seed: string, size: number) {
  const study = makeStudy(seed);
  return renderFilm({ anatomy: study.anatomy, lesions: currentLesions(study), seed, size });
}

/** A seed whose film is stored in this polarity. */
function seedOf(photometric: 'MONOCHROME1' | 'MONOCHROME2'): string {
  const film = filmOf('any', 32);
  const seed = Array.from({ length: 200 }, (_, number) => `seed ${number}`).find(
    (one) => presentationOf(film, one).photometric === photometric,
  );
  if (seed === undefined) throw new Error(`no seed of 200 gives ${photometric}`);
  return seed;
}

describe('a synthetic film as DICOM', () => {
  it('gives the same bytes twice', () => {
    const film = filmOf('bytes', 64);
    expect(writeFilm(header, film, 'bytes')).toEqual(writeFilm(header, film, 'bytes'));
  });

  for (const photometric of ['MONOCHROME1', 'MONOCHROME2'] as const) {
    it(`${photometric}: the pixel pipeline shows the very pixels that training sees`, async () => {
      const seed = seedOf(photometric);
      const film = filmOf(seed, 96);
      const { stored, display } = presentationOf(film, seed);
      const picture = await pictureOf(readPart10(writeFilm(header, film, seed)), { frame: null });
      expect(Buffer.from(picture.pixels).equals(Buffer.from(displayGrey(stored, display)))).toBe(true);
      expect(picture).toMatchObject({ modality: 'DX', view: 'PA', bodyPart: 'CHEST', date: '2026-11-24', channels: 1 });
    });
  }
});

describe.skipIf(!available('dciodvfy'))('dciodvfy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wetread-phantom-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const errorsOf = (bytes: Uint8Array): readonly string[] => {
    const path = join(folder, 'file.dcm');
    writeFileSync(path, bytes);
    const { stdout, stderr } = spawnSync('dciodvfy', [path], { encoding: 'utf8' });
    const lines = `${stdout}\n${stderr}`.split('\n');
    // The checker names the object that it recognised: without that line it has not looked.
    expect(lines.some((line) => /^(?:DXImageForPresentation|USImage)/.test(line))).toBe(true);
    return lines.filter((line) => line.startsWith('Error'));
  };

  it('finds no error in films of either polarity', () => {
    for (const photometric of ['MONOCHROME1', 'MONOCHROME2'] as const) {
      const seed = seedOf(photometric);
      expect(errorsOf(writeFilm(header, filmOf(seed, 64), seed))).toEqual([]);
    }
  });

  it('finds no error in an ultrasound image', () => {
    expect(errorsOf(writeUltrasound(header, renderUltrasound('us', 64, 48)))).toEqual([]);
  });
});
