/** A DICOMweb server of the sandbox on a free port over a temporary folder, and small instances to put into it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import supertest, { type Response } from 'supertest';
import { writePart10 } from '#dicom/write.ts';
import { type Archive, openArchive } from '#sandbox/dicomweb/archive.ts';
import { renderFrame } from '#sandbox/dicomweb/rendered.ts';
import { dicomwebRouter } from '#sandbox/dicomweb/router.ts';
import { switchBoard } from '#sandbox/dicomweb/switch-board.ts';
import { noSwitches, type Switches } from '#sandbox/dicomweb/switches.ts';
import { listen } from '#src/listen.ts';

export interface TestPacs {
  readonly base: string;
  readonly archive: Archive;
  readonly http: ReturnType<typeof supertest>;
  readonly folder: string;
  readonly switches: Switches;
  close(): Promise<void>;
}

const sopClass = '1.2.840.10008.5.1.4.1.1.1.1';

/** A 4 x 4 film with 16-bit pixels 0..15, `more` over its attributes. */
export function film(instance: string, more: Readonly<Record<string, unknown>> = {}): Uint8Array {
  const pixels = new Uint16Array(Array.from({ length: 16 }, (_, index) => index));
  const dataset = {
    SpecificCharacterSet: 'ISO_IR 192',
    SOPClassUID: sopClass,
    SOPInstanceUID: instance,
    StudyInstanceUID: '1.2.3',
    SeriesInstanceUID: '1.2.3.1',
    PatientName: 'Doe^Ann',
    PatientID: 'A1',
    PatientBirthDate: '19700101',
    PatientSex: 'F',
    StudyDate: '20260301',
    StudyTime: '101500',
    StudyID: 'S1',
    AccessionNumber: 'ACC1',
    ReferringPhysicianName: '',
    Modality: 'DX',
    SeriesNumber: 1,
    InstanceNumber: 1,
    BodyPartExamined: 'CHEST',
    Rows: 4,
    Columns: 4,
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    BitsAllocated: 16,
    BitsStored: 12,
    HighBit: 11,
    PixelRepresentation: 0,
    PixelData: pixels.buffer,
    _vrMap: { PixelData: 'OW' },
    ...more,
  };
  return writePart10(dataset, { sopClass, sopInstance: instance, transferSyntax: '1.2.840.10008.1.2.1' });
}

/** `files` lie in a folder that is only read; `tokens` are active. */
export async function startPacs(files: Readonly<Record<string, Uint8Array>>, tokens: readonly string[] = []): Promise<TestPacs> {
  const folder = mkdtempSync(join(tmpdir(), 'wetread-pacs-'));
  mkdirSync(join(folder, 'given', 'below'), { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, 'given', name), bytes);
  const server = await listen('DICOMweb', 0);
  const base = `${server.origin}/dicomweb`;
  const archive = await openArchive([join(folder, 'given')], join(folder, 'stored'));
  const switches = noSwitches();
  const router = dicomwebRouter({ archive, base, render: renderFrame, isActive: async (token) => tokens.includes(token), switches });
  server.serve(express().use('/dicomweb', router).use('/faults', switchBoard(switches)));
  return {
    base,
    archive,
    http: supertest(base),
    folder,
    switches,
    async close() {
      await server.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Collects an answer's body as bytes whatever its type, for supertest's `parse`. */
export function binary(response: Response, done: (error: Error | null, body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.on('end', () => done(null, Buffer.concat(chunks)));
}
