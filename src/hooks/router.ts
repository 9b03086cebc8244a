/**
 * The CDS Hooks door: discovery, one service, its feedback.
 *
 * Every answer that is not 200 is an OperationOutcome with our code (CDS Hooks 3.0 ballot; harmless for 2.0 clients), and CORS headers
 * stand on errors too, which browsers need. Nothing of the request is logged but its kind.
 */
import cors from 'cors';
import express, { type ErrorRequestHandler, type Request, Router } from 'express';
import type { Logger } from 'pino';
import { codeOf, statusOf, WetreadError } from '#domain/errors.ts';
import type { Card } from '#report/card.ts';
import { outcomeOf } from '#report/outcome.ts';
import { type FeedbackRequest, type OrderSignRequest, parseFeedback, parseOrderSign } from './request.ts';

export interface Caller {
  /** Issuer of the client's JWT, or `loopback` where the site lets local callers in without one. */
  readonly issuer: string;
}

export interface HooksOptions {
  /** Contents of cds-hooks/order-sign.json. */
  readonly service: { readonly id: string; readonly hook: string };
  /** Origin as the EHR sees it, from the site file, never from the Host header: `aud` of the client's JWT is below it. */
  readonly publicUrl: string;
  readonly maxBodyBytes: number;
  /** @throws client-unauthorised, client-forbidden */
  readonly authenticate: (request: Request, audience: string) => Promise<Caller>;
  readonly answer: (request: OrderSignRequest, caller: Caller) => Promise<readonly Card[]>;
  readonly feedback: (request: FeedbackRequest, caller: Caller) => Promise<void>;
  readonly log: Logger;
}

export function createHooksRouter(options: HooksOptions): Router {
  const { service, publicUrl } = options;
  const router = Router();
  const base = '/cds-services';
  router.use(base, cors({ origin: true, methods: ['GET', 'POST', 'OPTIONS'], maxAge: 600 }));
  router.use(base, (request, _response, next) => {
    if (request.method === 'POST' && !request.is('application/json')) {
      throw new WetreadError('media-type', `found ${request.get('content-type') ?? 'no Content-Type'}, expected application/json`);
    }
    next();
  });
  router.use(base, express.json({ limit: options.maxBodyBytes }));

  router.get(base, async (request, response) => {
    await options.authenticate(request, `${publicUrl}${base}`);
    response.json({ services: [service] });
  });

  router.post(`${base}/:id`, async (request, response) => {
    known(request, service.id);
    const caller = await options.authenticate(request, `${publicUrl}${base}/${service.id}`);
    const cards = await options.answer(parseOrderSign(request.body), caller);
    response.json({ cards });
  });

  router.post(`${base}/:id/feedback`, async (request, response) => {
    known(request, service.id);
    const caller = await options.authenticate(request, `${publicUrl}${base}/${service.id}/feedback`);
    await options.feedback(parseFeedback(request.body), caller);
    response.status(200).json({});
  });

  router.use(base, refuse(options.log));
  return router;
}

function known(request: Request, id: string): void {
  if (request.params.id !== id) {
    throw new WetreadError('service-unknown', `there is no service of this id, expected ${id}`, { hint: 'read the ids from discovery' });
  }
}

/** express and body-parser errors carry `type` and `status`; they become our codes here. */
function coded(error: unknown, limit: string): unknown {
  if (typeof error !== 'object' || error === null || !('type' in error)) return error;
  if (error.type === 'entity.too.large') return new WetreadError('body-too-large', `the body is larger than ${limit}`);
  if (error.type === 'entity.parse.failed') return new WetreadError('request-malformed', 'the body is not JSON');
  if (error.type === 'encoding.unsupported' || error.type === 'charset.unsupported')
    return new WetreadError('media-type', 'the body is not UTF-8 JSON');
  return error;
}

function refuse(log: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const known = coded(error, 'the limit of this service');
    const status = statusOf(known);
    if (status >= 500) log.error({ code: codeOf(known), err: known instanceof WetreadError ? undefined : known }, 'hook call failed');
    else log.info({ code: codeOf(known) }, 'hook call refused');
    if (status === 503) response.set('Retry-After', '5');
    response
      .status(status)
      .type('application/fhir+json')
      .send(JSON.stringify(outcomeOf(known)));
  };
}
