/**
 * One prompt from the shell: its answer as it is written, and on request what each statement depends on.
 *
 * Everything that can be refused without the model is refused before it is loaded. The answer goes to `write`; what was guessed, left out or is
 * outside the intended use to `warn`; with --json all goes to `json`, once.
 */
import { writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Answer } from '#domain/answer.ts';
import { type Warning, WetreadError } from '#domain/errors.ts';
import { requestLine } from '#domain/expert-request.ts';
import { sameModality } from '#domain/relevance.ts';
import { askedTask, askedTexts, type Question } from '#model/ask.ts';
import { openBundle } from '#model/bundle.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import type { Part } from '#model/encoded.ts';
import { takesVolumes } from '#model/families/encode.ts';
import { askedPrompt } from '#prompt/asked.ts';
import { type Device, startDevice } from '#runtime/device.ts';
import type { AskReply } from '#runtime/device-protocol.ts';
import { tasksText } from './ask-text.ts';
import { type AttributionReport, attributionReport, sheetOf } from './attribution-report.ts';
import { type Loaded, type LoadedImage, loadImages } from './pictures.ts';
import { hasFonts } from './sheet.ts';
import type { Window } from './source.ts';

export interface AskFlags {
  readonly bundle: string;
  readonly task?: string;
  readonly text?: string;
  readonly option: readonly string[];
  readonly results?: string;
  readonly image?: readonly string[];
  readonly frame: readonly number[];
  readonly slices?: number;
  readonly window?: Window;
  readonly attribute?: boolean;
  readonly sheet?: string;
  readonly device: 'auto' | 'cpu' | 'webgpu' | 'cuda';
  readonly threads?: number;
  readonly maxNewTokens?: number;
  readonly json?: boolean;
}

export interface AskPorts {
  readonly write: (text: string) => void;
  /** One line. */
  readonly warn: (line: string) => void;
  /** A line that the next one replaces; empty = it ends. */
  readonly progress: (line: string) => void;
  readonly json: (value: unknown) => void;
}

/** Longest silence of the engine: the first token of a large model on a slow machine. */
const silenceMs = 1_800_000;

/** What the files are, against what the bundle is for. The service refuses such a study; here the person who asks decides. */
function useWarnings({ name, intendedUse }: Manifest, modalities: readonly string[]): readonly Warning[] {
  const outside = modalities.filter((modality) => !intendedUse.modalities.some((one) => sameModality(one, modality)));
  const meant = intendedUse.modalities.length === 0 ? 'declares no modality' : `is meant for ${intendedUse.modalities.join(', ')}`;
  return outside.map((modality) => ({
    code: 'modality-unsupported',
    message: `${name} ${meant}; an image is ${modality}, outside its intended use. The service would refuse it.`,
  }));
}

function questionOf({ task, text, option, results }: AskFlags): Question {
  return { task: task ?? null, text: text ?? null, options: option, results: results ?? null };
}

/** The prompt's texts and images in their places. @throws not-found, request-malformed, too-many-images */
function partsOf(manifest: Manifest, question: Question, images: readonly LoadedImage[]): readonly Part[] {
  const shown = (index: number): Part[] => images.slice(index, index + 1).map(({ part }) => part);
  if (question.task === null) {
    const [first = '', ...others] = askedTexts(manifest, question, images.length);
    const parts: Part[] = [{ kind: 'text', text: first }, ...others.flatMap((text, at): Part[] => [...shown(at), { kind: 'text', text }])];
    return parts.filter((part) => part.kind !== 'text' || part.text !== '');
  }
  const { text, fillIn } = askedTask(manifest, question.task, question);
  const pieces = askedPrompt(text, fillIn, images, manifest.wording ?? {});
  return pieces.flatMap((piece): Part[] => (piece.kind === 'text' ? [piece] : shown(piece.picture)));
}

interface Prepared extends Loaded {
  readonly parts: readonly Part[];
}

async function prepare(manifest: Manifest, flags: AskFlags): Promise<Prepared> {
  const question = questionOf(flags);
  // A question that cannot be asked is refused before images are read.
  if (question.task !== null) askedTask(manifest, question.task, question);
  else if (question.text?.trim() === '') askedTexts(manifest, question, 0);
  const paths = (flags.image ?? []).map((path) => resolve(path));
  const loaded = await loadImages(paths, {
    window: flags.window ?? null,
    ctWindows: manifest.ctWindows,
    sliceRule: manifest.sliceRule,
    frames: flags.frame,
    slices: flags.slices ?? null,
    takesVolumes: takesVolumes(manifest),
    maxImages: manifest.limits.maxImages,
  });
  const warnings = [...loaded.warnings, ...useWarnings(manifest, loaded.modalities)];
  return { ...loaded, warnings, parts: partsOf(manifest, question, loaded.images) };
}

function answerWarnings({ stop, tokens, note, requests = [] }: Answer): readonly Warning[] {
  const cut = { code: 'answer-too-long', message: `The answer was cut after ${tokens.length} tokens.` };
  return [
    ...(note === undefined ? [] : [{ code: 'answer-note', message: note }]),
    ...(stop === 'length' && note === undefined ? [cut] : []),
    ...requests.map((request) => ({ code: 'expert-asked', message: requestLine(request) })),
  ];
}

function sayAll(warnings: readonly Warning[], { json }: AskFlags, { warn }: AskPorts): void {
  if (json !== true) for (const { code, message } of warnings) warn(`${code}: ${message}`);
}

/** The answer, each part of it as it comes. */
async function answered(device: Device, parts: readonly Part[], flags: AskFlags, ports: AskPorts): Promise<AskReply> {
  const write = flags.json === true ? () => undefined : ports.write;
  const request = { parts, maxNewTokens: flags.maxNewTokens ?? null, ...(flags.task === undefined ? {} : { task: flags.task }) };
  let told = '';
  const reply = await device.ask(request, (text) => {
    told += text;
    write(text);
  });
  const { text } = reply.answer;
  // What the last token made readable was not told yet.
  write(text.startsWith(told) ? `${text.slice(told.length)}\n` : `\n${text}\n`);
  return reply;
}

/** Where no name is given, the sheet goes to the current folder, never into the one of the images. */
function sheetPath({ sheet, image = [] }: AskFlags): string {
  return resolve(sheet ?? `${basename(image[0] ?? 'ask')}.attribution.png`);
}

async function attributed(
  manifest: Manifest,
  device: Device,
  reply: AskReply,
  images: readonly LoadedImage[],
  flags: AskFlags,
  ports: AskPorts,
): Promise<AttributionReport & { readonly sheet: string | null }> {
  const { progress } = ports;
  const report = await attributionReport({
    manifest,
    answer: reply.answer,
    images,
    device: device.info.provider,
    scorer: (keep, nullImage) => device.score(reply.promptId, keep, nullImage),
    progress: (done, of) => progress(`which images it depends on: ${done} of ${of}`),
  });
  progress('');
  if (flags.json !== true) ports.write(`\n${report.text}\n`);
  if (images.length === 0) return { ...report, sheet: null };
  const message = 'This machine has no font: the words of the contact sheet are boxes.';
  const warnings = [...report.warnings, ...((await hasFonts()) ? [] : [{ code: 'sheet-without-fonts', message }])];
  sayAll(warnings, flags, ports);
  const path = sheetPath(flags);
  await writeFile(path, await sheetOf(manifest, images, report)).catch((cause: unknown) => {
    throw new WetreadError('usage', `the contact sheet cannot be written to ${path}`, { cause, hint: 'give another file with --sheet' });
  });
  if (flags.json !== true) ports.write(`\nContact sheet: ${path}\n`);
  return { ...report, warnings, sheet: path };
}

/** @throws bundle-*, not-found, request-malformed, too-many-images, device-unavailable, and what readers and engine throw */
export async function runAsk(flags: AskFlags, ports: AskPorts): Promise<void> {
  const dir = resolve(flags.bundle);
  // The engine checks the digests when it opens the bundle.
  const { manifest } = await openBundle(dir, { digests: 'sizes' });
  if (flags.task === undefined && flags.text === undefined) {
    if (flags.json === true) ports.json(manifest.tasks);
    else ports.write(`${tasksText(manifest)}\n`);
    return;
  }
  const prepared = await prepare(manifest, flags);
  const { images, parts } = prepared;
  sayAll(prepared.warnings, flags, ports);
  const device = await startDevice({ device: flags.device, bundleDir: dir, threads: flags.threads ?? null, timeoutMs: silenceMs });
  try {
    const reply = await answered(device, parts, flags, ports);
    const about = answerWarnings(reply.answer);
    sayAll(about, flags, ports);
    const isAttributed = flags.attribute === true || flags.sheet !== undefined;
    const report = isAttributed ? await attributed(manifest, device, reply, images, flags, ports) : null;
    if (flags.json !== true) return;
    const { bundle, provider } = device.info;
    ports.json({
      bundle,
      device: provider,
      task: flags.task ?? null,
      prompt: reply.promptText,
      images: images.map(({ file, place, facts }, index) => ({ number: index + 1, file, place, modality: facts?.modality ?? null })),
      answer: reply.answer,
      warnings: [...prepared.warnings, ...about, ...(report?.warnings ?? [])],
      attribution: report === null ? null : { ...report.attribution, statements: report.rows, sheet: report.sheet },
    });
  } finally {
    await device.close();
  }
}
