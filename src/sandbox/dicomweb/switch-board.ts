/**
 * The switches over HTTP, for whoever plays a fault by hand: GET shows them, POST sets some, DELETE sets all back.
 *
 * On this machine only, like the whole sandbox, and outside the DICOMweb root; a page of another origin cannot send JSON here.
 */
import express, { type ErrorRequestHandler, Router } from 'express';
import { z } from 'zod';
import { noSwitches, type Switches, switchesForm } from './switches.ts';

const refuse: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent || !(error instanceof Error)) return next(error);
  const message = error instanceof z.ZodError ? z.prettifyError(error) : error.message;
  response.status(400).json({ status: 400, message });
};

/** Routes at the root of where this is mounted; `switches` is changed in place. */
export function switchBoard(switches: Switches): Router {
  const router = Router();
  router.get('/', (_request, response) => void response.json(switches));
  router.post('/', express.json(), (request, response) => {
    Object.assign(switches, switchesForm.parse({ ...switches, ...z.record(z.string(), z.unknown()).parse(request.body) }));
    response.json(switches);
  });
  router.delete('/', (_request, response) => void response.json(Object.assign(switches, noSwitches())));
  router.use(refuse);
  return router;
}
