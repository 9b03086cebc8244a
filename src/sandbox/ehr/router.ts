/**
 * The mock EHR: one page that a clinician of the sandbox hospital would see, and the launch that only an EHR can make.
 *
 * The page talks to FHIR, DICOMweb and the CDS service from the browser, as a real one would; nothing here knows wetread's insides.
 */
import { join } from 'node:path';
import express, { Router } from 'express';
import { z } from 'zod';
import { browserAssets } from '#launch/assets.ts';

export interface EhrOptions {
  readonly fhir: string;
  readonly dicomweb: string;
  readonly cds: string;
  /** `Practitioner/x` who is logged in. */
  readonly user: string;
  /** Patient id -> what this patient is there to show; empty for a person's own files. */
  readonly cases: Readonly<Record<string, string>>;
  /** Registers a SMART launch; gives the value of `launch`. */
  readonly createLaunch: (context: { readonly patient: string; readonly appContext: string | null; readonly user: string }) => string;
}

const launchRequest = z.object({ patient: z.string().min(1), url: z.url({ protocol: /^https?$/ }), appContext: z.string().nullable() });

export function createEhr(options: EhrOptions): Router {
  const router = Router();
  const assets = browserAssets(join(import.meta.dirname, 'page'), '/assets/ehr');
  const origin = (url: string) => new URL(url).origin;
  router.use(assets.router);
  router.get('/', (_request, response) => {
    const connect = [origin(options.fhir), origin(options.dicomweb), origin(options.cds)];
    response
      .set('Content-Security-Policy', assets.policy({ frameAncestors: [], connect, images: [origin(options.dicomweb)] }))
      .type('html')
      .send(
        assets.page({
          title: 'Sandbox hospital',
          entry: 'page.ts',
          meta: {
            fhir: options.fhir,
            dicomweb: options.dicomweb,
            cds: options.cds,
            user: options.user,
            cases: JSON.stringify(options.cases),
          },
        }),
      );
  });
  router.post('/launch', express.json(), (request, response) => {
    const asked = launchRequest.safeParse(request.body);
    if (!asked.success) {
      response.status(400).json({ message: 'expected patient, url and appContext' });
      return;
    }
    const { patient, url, appContext } = asked.data;
    const target = new URL(url);
    target.searchParams.set('iss', options.fhir);
    target.searchParams.set('launch', options.createLaunch({ patient, appContext, user: options.user }));
    response.json({ url: target.href });
  });
  return router;
}
