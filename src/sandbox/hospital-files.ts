/** The phantoms of the sandbox, written once into the data folder: films as DICOM, histories as one FHIR transaction, the truth beside them. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hospitalBundle, makeHospital } from '#phantom/hospital.ts';

export interface HospitalFiles {
  /** Day and content: another day, or another generator, is another hospital. */
  readonly name: string;
  readonly dicomFolder: string;
  readonly fhirFile: string;
  /** Patient id -> what this patient is there to show. */
  readonly cases: Readonly<Record<string, string>>;
}

/** Seed of the sandbox's patients, the same every day, so that README can name one; only the dates follow the day. */
const seed = 'sandbox';

/** Writes the hospital of the day below `folder`, or takes the same one of an earlier start. */
export async function writeHospital(folder: string, now: Date): Promise<HospitalFiles> {
  const day = now.toISOString().slice(0, 10);
  const hospital = makeHospital({ seed, now });
  const content = createHash('sha256').update(JSON.stringify(hospitalBundle(hospital)));
  for (const { bytes } of hospital.patients.flatMap((patient) => patient.files)) content.update(bytes);
  const name = `${day}-${content.digest('hex').slice(0, 8)}`;
  const place = join(folder, `hospital-${name}`);
  const files: HospitalFiles = {
    name,
    dicomFolder: join(place, 'dicom'),
    fhirFile: join(place, 'fhir.json'),
    cases: Object.fromEntries(hospital.patients.map(({ person, shows }) => [person.id, shows])),
  };
  if (existsSync(place)) return files;
  const half = `${place}.half`;
  await rm(half, { recursive: true, force: true });
  for (const { path, bytes } of hospital.patients.flatMap((patient) => patient.files)) {
    const target = join(half, 'dicom', path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes);
  }
  await writeFile(join(half, 'fhir.json'), JSON.stringify(hospitalBundle(hospital)));
  const truth = hospital.patients.flatMap(({ person, truth: one }) => (one === null ? [] : [{ patient: person.id, ...one }]));
  await writeFile(join(half, 'truth.json'), JSON.stringify(truth, null, 2));
  // The rename is last, so that a start that was interrupted is repeated.
  await rename(half, place);
  return files;
}
