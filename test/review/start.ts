/** The review page's server over a real embedded store and picture cache; drafts are put in as a worker would. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import pino from 'pino';
import type { BrowserContext } from 'playwright-core';
import sharp from 'sharp';
import type { Draft, DraftImage } from '#domain/draft.ts';
import { createReviewRouter } from '#launch/review-router.ts';
import { openSessions } from '#launch/sessions.ts';
import { listen } from '#src/listen.ts';
import { registerDraft, settleReady } from '#work/drafts.ts';
import { openPictureCache } from '#work/pictures.ts';
import { openStore, type Store } from '#work/store.ts';
import { exampleDraft } from '../report/example-draft.ts';

/** A grey picture with a bright disc, so that two pictures differ visibly. */
async function pictureFile({ width, height }: DraftImage, index: number): Promise<Buffer> {
  const disc = `<svg width="${width}" height="${height}"><rect width="100%" height="100%" fill="#333"/><circle cx="${120 + 90 * index}" cy="200" r="80" fill="#ccc"/></svg>`;
  return sharp(Buffer.from(disc)).greyscale().png().toBuffer();
}

export interface Session {
  readonly url: string;
  readonly cookie: string;
  /** Puts the session's cookie into a browser. */
  enter(context: BrowserContext): Promise<void>;
}

export interface ReviewServer {
  readonly origin: string;
  readonly store: Store;
  readonly log: readonly string[];
  /** Moves the sessions' clock. */
  pass(ms: number): void;
  /** Registers a draft that is still to be made. */
  queue(draft: Draft): Promise<void>;
  /** Stores a finished draft with pictures, its deliveries held. */
  finish(draft: Draft): Promise<Draft>;
  open(draftKey: string, user?: string | null): Session;
  close(): Promise<void>;
}

export async function startReview(frameAncestors: readonly string[] = []): Promise<ReviewServer> {
  const folder = await mkdtemp(join(tmpdir(), 'wetread-review-'));
  const store = await openStore({ kind: 'embedded', folder: join(folder, 'store') });
  const pictures = await openPictureCache(join(folder, 'pictures'), randomBytes(32));
  let passed = 0;
  const sessions = openSessions(() => new Date(Date.now() + passed));
  const log: string[] = [];
  const http = await listen('review', 0);
  const logger = pino({ base: null }, { write: (line: string) => void log.push(line) });
  http.serve(
    express()
      .disable('x-powered-by')
      .use(createReviewRouter({ sessions, store, pictures, frameAncestors, log: logger })),
  );
  const queue = async (draft: Draft) => {
    await registerDraft(store, {
      key: draft.key,
      patientId: draft.patient.id,
      studyUid: draft.subject.study.uid,
      snapshot: randomBytes(8),
    });
  };
  return {
    origin: http.origin,
    store,
    log,
    pass: (ms) => {
      passed += ms;
    },
    queue,
    finish: async (draft) => {
      await queue(draft);
      const images = await Promise.all(
        draft.images.map(async (image, index) => ({ ...image, picture: await pictures.put(await pictureFile(image, index)) })),
      );
      const whole = { ...draft, images };
      await settleReady(store, whole, 'held', ['fhir', 'pacs']);
      return whole;
    },
    open: (draftKey, user = 'Practitioner/robin') => {
      const session = sessions.open({ draftKey, patientId: exampleDraft.patient.id, user });
      const url = `${http.origin}/review/${session.id}/`;
      return {
        url,
        cookie: `wetread-review=${session.secret}`,
        enter: (context) => context.addCookies([{ name: 'wetread-review', value: session.secret, url }]),
      };
    },
    close: async () => {
      await http.close();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}
