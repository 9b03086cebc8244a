/** Server of the review page: one session, one draft; every route checks the session's cookie, and what was seen is audited. */
import { join } from 'node:path';
import { type ErrorRequestHandler, type Request, Router } from 'express';
import type { Logger } from 'pino';
import { codeOf, statusOf, WetreadError } from '#domain/errors.ts';
import { audit } from '#work/audit.ts';
import { bundleStops } from '#work/bundle-stops.ts';
import { readDraft } from '#work/drafts.ts';
import { deliveriesOf } from '#work/outbox.ts';
import type { PictureCache } from '#work/pictures.ts';
import type { Store } from '#work/store.ts';
import { browserAssets } from './assets.ts';
import { cookieOf } from './cookies.ts';
import { pageDocument } from './page-document.ts';
import { sendRefusal } from './refusal-page.ts';
import type { ReviewSession, Sessions } from './sessions.ts';

export interface ReviewOptions {
  readonly sessions: Sessions;
  readonly store: Store;
  readonly pictures: PictureCache;
  /** Origins of EHRs that may show the page in a frame. */
  readonly frameAncestors: readonly string[];
  readonly log: Logger;
}

export function createReviewRouter(options: ReviewOptions): Router {
  const { sessions, store, pictures } = options;
  const router = Router();
  /** Sessions whose draft was shown: polling for deliveries is not a second look. */
  const seen = new WeakSet<ReviewSession>();
  const assets = browserAssets(join(import.meta.dirname, '../review'), '/assets/review');
  router.use(assets.router);

  const session = (request: Request<{ session: string }>): ReviewSession => {
    const found = sessions.find(request.params.session, cookieOf(request, 'wetread-review') ?? '');
    if (found === null)
      throw new WetreadError('session-unknown', 'this page has no session, or it ended', { hint: 'open the link on the card again' });
    return found;
  };
  const review = Router({ mergeParams: true });
  router.use('/review/:session', review);
  review.use((_request, response, next) => {
    response.set('Cache-Control', 'no-store').set('Referrer-Policy', 'no-referrer');
    next();
  });

  review.get('/', (request: Request<{ session: string }>, response) => {
    session(request);
    response
      .set('Content-Security-Policy', assets.policy({ frameAncestors: options.frameAncestors, connect: [], images: [] }))
      .type('html')
      .send(assets.page({ title: 'wetread: draft report', entry: 'page.ts', meta: {} }));
  });

  review.get('/draft.json', async (request: Request<{ session: string }>, response) => {
    const found = session(request);
    const { draftKey, user } = found;
    const state = await readDraft(store.query, draftKey);
    if (state === null) throw new WetreadError('draft-unknown', 'this draft was deleted by retention', { hint: 'sign the order again' });
    if (state.state === 'ready' && !seen.has(found)) {
      await audit(store.query, { actor: user ?? 'unknown', action: 'draft-seen', draftKey });
      seen.add(found);
    }
    response.json(pageDocument(state, await deliveriesOf(store.query, draftKey), await bundleStops(store.query)));
  });

  review.get('/images/:number.png', async (request: Request<{ session: string; number: string }>, response) => {
    const { draftKey } = session(request);
    const state = await readDraft(store.query, draftKey);
    const digest = state?.state === 'ready' ? (state.draft.images[Number(request.params.number) - 1]?.picture ?? null) : null;
    const bytes = digest === null ? null : await pictures.get(digest);
    if (bytes === null) throw new WetreadError('not-found', 'this picture is not kept any more');
    response.type('png').send(bytes);
  });

  review.use(refuse(options.log));
  return router;
}

function refuse(log: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    if (statusOf(error) >= 500)
      log.error({ code: codeOf(error), err: error instanceof WetreadError ? undefined : error }, 'review page failed');
    sendRefusal(response, error);
  };
}
