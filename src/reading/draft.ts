/**
 * The worker: one sealed request -> pixels -> prompt -> answer -> statements -> Draft.
 *
 * Everything that is dropped or degraded on the way becomes a warning of the draft. The draft is about the instances that its key names:
 * when the study changed while it was read, there is none.
 */

import { guard } from '#attribution/guard.ts';
import { renderPicture } from '#dicom/rendered.ts';
import type { Dicomweb } from '#dicomweb/client.ts';
import type { Code } from '#domain/code.ts';
import { codeOfRow, reportCodeOf } from '#domain/codes.ts';
import type { Draft, DraftImage } from '#domain/draft.ts';
import { codeOf, type Warning, WetreadError } from '#domain/errors.ts';
import type { Order } from '#domain/order.ts';
import type { Picture } from '#domain/picture.ts';
import { sameModality } from '#domain/relevance.ts';
import type { Statement } from '#domain/statement.ts';
import { imageKey, type Study } from '#domain/study.ts';
import type { FhirClient } from '#fhir/client.ts';
import { ownReference } from '#fhir/own-references.ts';
import { buildPrompt } from '#prompt/prompt.ts';
import type { PictureCache } from '#work/pictures.ts';
import { askAll, withQuestions } from './ask.ts';
import type { Reader } from './bundles.ts';
import { readInstances } from './evidence.ts';
import { type ImageRules, readImages } from './images.ts';
import type { Account, Memory } from './memory.ts';
import type { Request } from './snapshot.ts';
import { mostImages, promptsOf } from './task.ts';

export interface DraftTools {
  readonly pacs: Dicomweb;
  readonly fhir: FhirClient;
  readonly pictures: PictureCache;
  readonly memory: Memory;
  readonly identity: ImageRules['identity'];
  readonly now: () => Date;
  /** Milliseconds of a steady clock. */
  readonly steady: () => number;
}

/** @throws the coded reason why there is no draft */
export async function makeDraft(request: Request, reader: Reader, tools: DraftTools): Promise<Draft> {
  const memory = tools.memory.open();
  try {
    return await draftIn(memory, request, reader, tools);
  } finally {
    memory.close();
  }
}

async function draftIn(memory: Account, request: Request, reader: Reader, tools: DraftTools): Promise<Draft> {
  const { evidence } = request;
  const { manifest } = reader.bundle;
  const maxImages = mostImages(manifest, reader.task, reader.countTokens);
  const read = await readImages(evidence, tools.pacs, {
    memory,
    identity: tools.identity,
    modalities: manifest.intendedUse.modalities,
    maxImages,
    ctWindows: manifest.ctWindows,
    sliceRule: manifest.sliceRule,
  });
  await checkUnchanged(evidence.subject.study, manifest.intendedUse.modalities, tools.pacs);
  const prompts = promptsOf(reader.task).map(({ wording, question }) => {
    const limits = { maxImages, tokenBudget: wording.historyMaxTokens, countTokens: reader.countTokens };
    return { question, prompt: buildPrompt({ evidence, pictures: read.pictures, slices: read.slices, wording, limits }) };
  });
  const [first] = prompts;
  if (first === undefined) throw new WetreadError('internal', 'a draft with nothing to ask');
  // Questions differ in their words alone: images and history are those of the first prompt.
  const { prompt } = first;
  const asked = await reader.exclusive(() => askAll(reader, prompts, read.pictures, tools.steady));
  const shown = read.pictures.filter((picture) => prompt.images.some(({ ref }) => imageKey(ref) === imageKey(picture.ref)));
  const { study } = evidence.subject;
  const guarded = guard(asked.statements, {
    side: study.side ?? evidence.order.side,
    regions: study.regions.length > 0 ? study.regions : evidence.order.regions,
    sex: evidence.patient.identity.sex,
    priorGiven: prompt.images.some(({ prior }) => prior) || prompt.history.some(({ kind }) => kind === 'prior-impression'),
    spacingKnown: prompt.images.map(({ ref }) =>
      shown.some((picture) => imageKey(picture.ref) === imageKey(ref) && picture.spacingMm !== null),
    ),
    record: evidence.history.filter(({ kind }) => kind === 'procedure' || kind === 'problem').map(({ text }) => text),
  });
  const statements = withQuestions(guarded, asked);
  const basedOn = await confirmedOrders(request.basedOn, study, evidence.patient.id, tools.fhir);
  return {
    key: request.key,
    patient: evidence.patient,
    subject: evidence.subject,
    priors: evidence.priors.filter(({ study }) => prompt.images.some(({ ref }) => ref.study === study.uid)),
    quoted: evidence.quoted,
    basedOn: basedOn.references,
    encounter: evidence.order.encounter,
    reportCode: reportCodeOfStudy(evidence.order, study, request.basedOn.length > 0),
    images: await keepPictures(prompt.images, shown, tools.pictures),
    history: prompt.history,
    statements,
    attribution: asked.attribution,
    model: modelOf(reader),
    leftOut: evidence.leftOut,
    warnings: distinct([
      ...evidence.warnings,
      ...read.warnings,
      ...prompt.warnings,
      ...asked.warnings,
      ...basedOn.warnings,
      ...heldBack(statements),
    ]),
    supersedes: [],
    generatedAt: tools.now().toISOString(),
  };
}

/** @throws study-growing when the PACS lists other images than the draft's key names */
async function checkUnchanged(study: Study, modalities: readonly string[], pacs: Dicomweb): Promise<void> {
  const { study: now } = await pacs.describe(study.uid, 'instances');
  const [before, after] = [readInstances(study, modalities), now === null ? [] : readInstances(now, modalities)];
  if (before.join() !== after.join()) {
    throw new WetreadError('study-growing', `the study had ${before.length} images when it was asked for and has ${after.length} now`);
  }
}

/**
 * Orders that the FHIR server has and that are this study's: the id of a draft order is temporary, and another order may have the same.
 */
async function confirmedOrders(
  references: readonly string[],
  study: Study,
  patientId: string,
  fhir: FhirClient,
): Promise<{ references: string[]; warnings: Warning[] }> {
  const confirmed: string[] = [];
  const warnings: Warning[] = [];
  for (const reference of references) {
    const [, id] = reference.split('/');
    try {
      const order = await fhir.read('ServiceRequest', id ?? '');
      const ours = ownReference(order.subject?.reference ?? '', [fhir.base]) === `Patient/${patientId}`;
      const named =
        study.basedOn.includes(reference) || (order.identifier ?? []).some(({ value }) => value !== undefined && value === study.accession);
      if (ours && named) confirmed.push(reference);
    } catch (error) {
      if (codeOf(error) === 'not-found') continue;
      warnings.push({
        code: codeOf(error),
        message: 'Whether the order is on the FHIR server could not be read; the report does not name it.',
      });
    }
  }
  return { references: confirmed, warnings };
}

/** The order's report code when the study is the one ordered and of its modality; else the generic code is written (null). */
function reportCodeOfStudy(order: Order, study: Study, isOrdered: boolean): Code | null {
  if (!isOrdered) return null;
  const row = order.codes
    .flatMap((code) => reportCodeOf(code) ?? [])
    .find(({ modality }) => modality !== null && study.modalities.some((one) => sameModality(one, modality)));
  return row === undefined ? null : codeOfRow(row);
}

async function keepPictures(images: readonly DraftImage[], pictures: readonly Picture[], cache: PictureCache): Promise<DraftImage[]> {
  const kept: DraftImage[] = [];
  for (const image of images) {
    const picture = pictures.find(({ ref }) => imageKey(ref) === imageKey(image.ref));
    kept.push({ ...image, picture: picture === undefined ? null : await cache.put(await renderPicture(picture, 'image/png')) });
  }
  return kept;
}

function modelOf({ bundle, device, task }: Reader): Draft['model'] {
  const { manifest } = bundle;
  return {
    bundle: `${manifest.name} ${manifest.version}`,
    digest: bundle.digest,
    name: manifest.name,
    manufacturer: manifest.manufacturer,
    license: manifest.license.name,
    stamped: manifest.stamped,
    device: device.info.provider,
    promptVersion: task.wording.version,
  };
}

function heldBack(statements: readonly Statement[]): Warning[] {
  const held = statements.filter(({ holds }) => holds.length > 0);
  return held.length === 0
    ? []
    : [{ code: 'statements-held', message: `${held.length} of ${statements.length} sentences were held back by the guard.` }];
}

function distinct(warnings: readonly Warning[]): Warning[] {
  return [...new Map(warnings.map((warning) => [`${warning.code} ${warning.message}`, warning])).values()];
}
