/** The doors of a service: CDS Hooks, our public keys, the SMART launch and the review page. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Express, RequestHandler } from 'express';
import { authenticator } from '#hooks/authenticate.ts';
import { keySetLimits, readKeySet } from '#hooks/key-set.ts';
import { type Caller, createHooksRouter } from '#hooks/router.ts';
import { launchReach } from '#launch/reach.ts';
import { createReviewRouter } from '#launch/review-router.ts';
import { createLaunchRouter } from '#launch/router.ts';
import { openSessions } from '#launch/sessions.ts';
import { openNeighbour } from '#net/neighbour.ts';
import { answerOrderSign } from '#reading/answer.ts';
import { roleReader } from '#reading/roles.ts';
import { audit } from '#work/audit.ts';
import { recordFeedback } from '#work/cards.ts';
import { resolveContext, useJti } from '#work/contexts.ts';
import { newestKey } from '#work/superseding.ts';
import type { Metrics } from './metrics.ts';
import type { Parts } from './parts.ts';

const orderSign: { id: string; hook: string } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../cds-hooks/order-sign.json'), 'utf8'),
);
const reviewScope = 'launch openid fhirUser patient/Patient.r';

/** A day at the hospital is the day of this machine's clock. */
function dayOf(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Adds every door to the app; `stack` closes what they opened. */
export function openDoors(app: Express, parts: Parts, stack: AsyncDisposableStack): void {
  const keys = { keys: parts.lanes.publicKeys };
  app.get('/.well-known/jwks.json', (_request, response) => void response.set('Cache-Control', 'max-age=300').json(keys));
  app.use('/cds-services', timed(parts.metrics));
  app.use(hooksDoor(parts, stack));
  const { launch } = parts.site;
  if (launch !== undefined) addReview(app, launch, parts, stack);
}

/** Time from the first byte of a call to the last of its answer. */
function timed({ hooks }: Metrics): RequestHandler {
  return (request, response, next) => {
    if (request.method === 'POST') {
      const end = hooks.startTimer();
      response.once('finish', () => end({ status: String(response.statusCode) }));
    }
    next();
  };
}

function addReview(app: Express, launch: NonNullable<Parts['site']['launch']>, parts: Parts, stack: AsyncDisposableStack): void {
  const { site, store, pictures, log, now } = parts;
  const reach = stack.adopt(launchReach(launch.issuers), (opened) => opened.close());
  const sessions = openSessions(now);
  app.use(
    createLaunchRouter({
      publicUrl: site.service.publicUrl,
      clientId: launch.clientId,
      scope: reviewScope,
      issuers: launch.issuers.map((issuer) => issuer.replace(/\/$/, '')),
      sessions,
      readJson: reach.readJson,
      fetch: reach.fetch,
      resolveContext: async (token) => {
        const found = await resolveContext(store.query, token);
        return found === null ? null : { ...found, draftKey: await newestKey(store.query, found.draftKey) };
      },
      onRefused: ({ draftKey, user }) => audit(store.query, { actor: user ?? 'unknown', action: 'access-refused', draftKey }),
      now,
      log,
    }),
  );
  app.use(createReviewRouter({ sessions, store, pictures, frameAncestors: launch.frameAncestors, log }));
}

function hooksDoor(parts: Parts, stack: AsyncDisposableStack): RequestHandler {
  const { site, log, now, store, lanes, bundles, jobs, sealKey, write, metrics } = parts;
  const keySetUrls = site.hooks.clients.flatMap(({ jwksUrl, jku }) => [...(jwksUrl === undefined ? [] : [jwksUrl]), ...jku]);
  const keySets = stack.adopt(openNeighbour({ name: 'key set of a CDS client', origins: keySetUrls, ...keySetLimits }), (neighbour) =>
    neighbour.close(),
  );
  const limitsOf = (caller: Caller) => {
    const client = site.hooks.clients.find(({ issuer }) => issuer === caller.issuer);
    return { deadlineMs: client?.deadlineMs ?? site.hooks.deadlineMs, fhirBases: client?.fhirBases ?? [] };
  };
  const answering = {
    lanes,
    bundles,
    store,
    jobs,
    sealKey,
    patients: site.patients,
    statementsFor: site.cards.statementsFor,
    rolesOf: roleReader(lanes.fhir, now),
    writer: site.writer,
    write,
    log,
    launchUrl: site.launch === undefined ? null : `${site.service.publicUrl}/launch`,
    now,
    today: () => dayOf(now()),
  };
  return createHooksRouter({
    service: orderSign,
    publicUrl: site.service.publicUrl,
    maxBodyBytes: site.limits.hookBodyBytes,
    authenticate: authenticator({
      hooks: site.hooks,
      fetchKeySet: (target) => readKeySet(keySets, target),
      useJti: (issuer, jti, expiresAt) => useJti(store.query, issuer, jti, expiresAt),
      now,
    }),
    answer: async (request, caller) => {
      const cards = await answerOrderSign(request, limitsOf(caller), answering);
      for (const { source } of cards) metrics.cards.inc({ topic: source.topic?.code ?? 'none' });
      return cards;
    },
    feedback: async ({ feedback }, caller) => {
      for (const entry of feedback) {
        const draftKey = await recordFeedback(store, {
          card: entry.card,
          outcome: entry.outcome,
          at: entry.outcomeTimestamp,
          reason: entry.overrideReason,
        });
        if (draftKey !== null)
          await audit(store.query, { actor: caller.issuer, action: 'feedback', draftKey, detail: { outcome: entry.outcome } });
      }
    },
    log,
  });
}
