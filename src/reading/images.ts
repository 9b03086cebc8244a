/**
 * From evidence to pictures: which instances are fetched, that they are the patient's, in which order slices lie, and what they show.
 *
 * A series of slices, frames among them, is put into geometric order from its headers before any is chosen; a duplicate or missing slice
 * refuses it. Every
 * header passes the identity gate again, since a study may hold another patient's instance.
 */

import { identityOf } from '#dicom/facts.ts';
import { pictureOf } from '#dicom/picture.ts';
import { describePixels } from '#dicom/pixel-description.ts';
import { type DicomFile, readPart10, uidsOf } from '#dicom/read.ts';
import { arrangeSeries, type Place, placesOf } from '#dicom/volume.ts';
import type { Dicomweb } from '#dicomweb/client.ts';
import type { CtWindows } from '#domain/ct-windows.ts';
import { type Warning, WetreadError } from '#domain/errors.ts';
import type { Evidence, RankedStudy } from '#domain/evidence.ts';
import { checkIdentity, type GateContext } from '#domain/identity.ts';
import type { Picture } from '#domain/picture.ts';
import { isCrossSectional } from '#domain/relevance.ts';
import { imageKey, type Series, type Slice, type Study } from '#domain/study.ts';
import type { Uid } from '#domain/uid.ts';
import { type PlannedImage, planImages, type SliceRule } from '#prompt/plan.ts';
import type { Account } from './memory.ts';

export interface ImageRules {
  readonly identity: Pick<GateContext, 'defaultIssuer' | 'issuers'>;
  readonly modalities: readonly string[];
  readonly maxImages: number;
  /** What this job holds of instances and pixels; the caller closes it when the pictures are no longer needed. */
  readonly memory: Account;
  /** How the bundle wants CT shown; absent = in grey. */
  readonly ctWindows?: CtWindows | undefined;
  /** Which slices are shown of more than there are places; absent = the middles. */
  readonly sliceRule?: SliceRule | undefined;
}

export interface ReadImages {
  readonly pictures: readonly Picture[];
  readonly slices: ReadonlyMap<string, NonNullable<PlannedImage['slice']>>;
  readonly warnings: readonly Warning[];
}

/** @throws identity-conflict, study-mixed-patients, dicomweb-missing-instances, series-*, pixel-missing, what decoding throws */
export async function readImages(evidence: Evidence, pacs: Dicomweb, rules: ImageRules): Promise<ReadImages> {
  const warnings: Warning[] = [];
  const first = planImages(evidence, rules.modalities, rules.maxImages, rules.sliceRule);
  // Also of one image, since archives leave out how many frames an object has.
  const sliced = new Set(first.images.map(({ ref }) => ref.series).filter((uid) => isCrossSectional(seriesOf(evidence, uid).modality)));
  const arranged = await arrangeStudies(evidence, sliced, pacs, rules, warnings);
  const plan = sliced.size === 0 ? first : planImages(arranged, rules.modalities, rules.maxImages, rules.sliceRule);
  if (plan.images.length === 0) throw new WetreadError('pixel-missing', 'found no image in the study that a model here reads');
  warnings.push(...plan.warnings);
  const pictures: Picture[] = [];
  for (const [series, planned] of bySeries(plan.images)) {
    const study = planned[0]?.ref.study;
    if (study === undefined) continue;
    const files = new Map<Uid, DicomFile>();
    let heldFiles = 0;
    for await (const { file, held } of fetchFiles(
      pacs,
      study,
      seriesOf(arranged, series),
      planned.map(({ ref }) => ref.instance),
      rules.memory,
      warnings,
    )) {
      checkOwner(file, evidence, rules);
      files.set(uidsOf(file.header).instance, file);
      heldFiles += held;
    }
    for (const image of planned) {
      const file = files.get(image.ref.instance);
      if (file === undefined) throw missing(1, planned.length);
      const decoded = decodedBytes(file);
      await rules.memory.hold(decoded, 'the pixels of an image');
      const picture = await pictureOf(file, { frame: image.ref.frame, ctWindows: rules.ctWindows });
      rules.memory.free(decoded - picture.pixels.length);
      if (picture.ref.frame !== image.ref.frame) {
        const message = `Only frame ${picture.ref.frame} of an object is shown: the PACS does not list how many it has.`;
        warnings.push({ code: 'images-dropped', message });
      }
      pictures.push(picture);
    }
    rules.memory.free(heldFiles);
  }
  const slices = new Map(plan.images.flatMap(({ ref, slice }) => (slice === null ? [] : [[imageKey(ref), slice] as const])));
  return { pictures, slices, warnings };
}

function bySeries(images: readonly PlannedImage[]): Map<Uid, PlannedImage[]> {
  const groups = new Map<Uid, PlannedImage[]>();
  for (const image of images) groups.set(image.ref.series, [...(groups.get(image.ref.series) ?? []), image]);
  return groups;
}

function seriesOf(evidence: Evidence, uid: Uid): Series {
  const all = [evidence.subject, ...evidence.priors].flatMap(({ study }) => study.series);
  const found = all.find((series) => series.uid === uid);
  if (found === undefined) throw new WetreadError('internal', 'a planned series is not among the evidence');
  return found;
}

/** Bytes that decoding a frame takes: its values, 4 bytes each at most, and the picture made of them. */
function decodedBytes({ header }: DicomFile): number {
  const { rows, columns, samples } = describePixels(header);
  return rows * columns * samples * 5;
}

function missing(count: number, of: number): WetreadError {
  return new WetreadError('dicomweb-missing-instances', `${count} of ${of} instances that the PACS lists could not be fetched`);
}

/** Each file with the bytes that are held for it; whoever drops the file frees them. */
async function* fetchFiles(
  pacs: Dicomweb,
  study: Uid,
  series: Series,
  instances: readonly Uid[],
  memory: Account,
  warnings: Warning[],
): AsyncGenerator<{ readonly file: DicomFile; readonly held: number }> {
  const wanted = [...new Set(instances)];
  let received = 0;
  for await (const { bytes } of pacs.retrieve(study, series, wanted, { onWarning: (warning) => warnings.push(warning) })) {
    received += 1;
    await memory.hold(bytes.length, 'an instance');
    yield { file: readPart10(bytes), held: bytes.length };
  }
  if (received < wanted.length) throw missing(wanted.length - received, wanted.length);
}

/** The evidence with the order of the slices of the named series. */
async function arrangeStudies(
  evidence: Evidence,
  sliced: ReadonlySet<Uid>,
  pacs: Dicomweb,
  rules: ImageRules,
  warnings: Warning[],
): Promise<Evidence> {
  const arrange = async (ranked: RankedStudy): Promise<RankedStudy> => {
    const series: Series[] = [];
    for (const one of ranked.study.series) {
      series.push(sliced.has(one.uid) ? await arrangeOne(ranked.study, one, evidence, pacs, rules, warnings) : one);
    }
    return { ...ranked, study: { ...ranked.study, series } };
  };
  if (sliced.size === 0) return evidence;
  return { ...evidence, subject: await arrange(evidence.subject), priors: await Promise.all(evidence.priors.map(arrange)) };
}

async function arrangeOne(
  study: Study,
  series: Series,
  evidence: Evidence,
  pacs: Dicomweb,
  rules: ImageRules,
  warnings: Warning[],
): Promise<Series> {
  const slices: (Slice & { readonly place: Place })[] = [];
  const uids = series.instances.map(({ uid }) => uid);
  for await (const { file, held } of fetchFiles(pacs, study.uid, series, uids, rules.memory, warnings)) {
    checkOwner(file, evidence, rules);
    rules.memory.free(held);
    const { instance } = uidsOf(file.header);
    const places = placesOf(file.header);
    slices.push(...places.map((place, at) => ({ instance, frame: places.length > 1 ? at + 1 : null, place })));
  }
  const { order, volume, refusal } = arrangeSeries(slices.map(({ place }) => place));
  if (refusal !== null && refusal.code !== 'series-irregular') throw refusal;
  if (refusal !== null) {
    warnings.push({ code: refusal.code, message: `${refusal.message}; the slices are shown as single images, not as a volume.` });
  }
  warnings.push(...(volume?.warnings ?? []));
  return {
    ...series,
    order: order.flatMap((index) => {
      const slice = slices[index];
      return slice === undefined ? [] : [{ instance: slice.instance, frame: slice.frame }];
    }),
  };
}

/** @throws identity-conflict when the header contradicts the record; study-mixed-patients when it names another patient than its study */
function checkOwner(file: DicomFile, evidence: Evidence, rules: ImageRules): void {
  const header = identityOf(file.header);
  const { study: uid } = uidsOf(file.header);
  const study = [evidence.subject, ...evidence.priors].find((ranked) => ranked.study.uid === uid)?.study;
  if (study === undefined)
    throw new WetreadError('study-mixed-patients', 'an instance names another study than the one it was fetched from');
  // The study passed the gate with what the archive says of it; each of its instances must say the same or nothing.
  const context = { ...rules.identity, namedByImagingStudy: true, accessionMatches: false };
  const verdict = checkIdentity(evidence.patient.identity, header, context);
  if (verdict.verdict === 'conflict') throw new WetreadError('identity-conflict', `an instance of the study: ${verdict.message}`);
  const [listed] = study.identity.identifiers;
  const [own] = header.identifiers;
  if (listed !== undefined && own !== undefined && listed.value !== own.value) {
    throw new WetreadError('study-mixed-patients', 'an instance carries another PatientID than its study', {
      hint: 'correct the archive; nothing is released',
    });
  }
}
