/**
 * `wetread sandbox`: the embedded hospital, its EHR page, and the service beside it, on this machine only.
 *
 * The service gets an ordinary site of environment `sandbox` and knows nothing of where it runs: it has its own account at the
 * authorization server, and the EHR launches its page as a SMART app.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import express from 'express';
import type { Logger } from 'pino';
import { readBackendKey } from '#fhir/backend-token.ts';
import { patientIssuer, patientSystem } from '#phantom/person.ts';
import { serve } from '#service/serve.ts';
import type { SiteInput } from '#site/schema.ts';
import { parseSite } from '#site/site.ts';
import { listen } from '#src/listen.ts';
import { ensurePhantomBundle } from './bundle.ts';
import { createEhr } from './ehr/router.ts';
import { writeHospital } from './hospital-files.ts';
import { ownFiles } from './own-files.ts';
import { startSandbox } from './sandbox.ts';
import { sandboxUser } from './user.ts';

export interface RunOptions {
  readonly dataDir: string;
  /** First of five ports in a row (EHR, FHIR, DICOMweb, CDS service, authorization server); 0 = free ones. */
  readonly port: number;
  /** A person's own files instead of the phantoms; null = the phantoms. */
  readonly own: { readonly dicom: string; readonly fhir: string } | null;
  readonly log: Logger;
  readonly now: () => Date;
  /** What takes long, in words. */
  readonly progress: (what: string) => void;
}

export interface Running {
  readonly addresses: {
    readonly ehr: string;
    readonly fhir: string;
    readonly dicomweb: string;
    readonly cds: string;
    readonly authorization: string;
    readonly data: string;
  };
  /** Files that could not be used, each with the reason. */
  readonly leftOut: readonly string[];
  close(): Promise<void>;
}

const clientId = 'wetread-service';
const appId = 'wetread-review';
/** SNOMED CT "Radiologist": the sandbox's user. */
const radiologist = '66862007';

/** A secret of the sandbox: made at the first start, then kept. */
async function kept(path: string, make: () => string): Promise<string> {
  if (!existsSync(path)) {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    await writeFile(path, make(), { mode: 0o600 });
  }
  return readFile(path, 'utf8');
}

function newPem(): string {
  return generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Starts everything. @throws port-in-use, data-locked, and what the service throws; nothing is left running then */
export async function runSandbox(options: RunOptions): Promise<Running> {
  const { dataDir, port, log, now, progress } = options;
  await using stack = new AsyncDisposableStack();
  const at = (offset: number) => (port === 0 ? 0 : port + offset);
  const ehrHttp = stack.adopt(await listen('EHR page', at(0)), (opened) => opened.close());
  const cdsHttp = stack.adopt(await listen('CDS service', at(3)), (opened) => opened.close());
  progress('preparing the patients');
  const hospital = options.own === null ? await writeHospital(dataDir, now()) : null;
  const own = options.own === null ? null : await ownFiles(options.own);
  // What was stored for other files must not be seen beside these.
  const world = createHash('sha256')
    .update(own === null ? 'phantoms' : JSON.stringify(options.own))
    .digest('hex')
    .slice(0, 12);
  const sandbox = stack.adopt(
    await startSandbox({
      dataDir: join(dataDir, `sandbox-${world}`),
      ports: { fhir: at(1), dicomweb: at(2), authorization: at(4) },
      dicomFolders: [own?.dicomFolder ?? hospital?.dicomFolder ?? ''],
      fhirBundles: [own?.fhirFolder ?? hospital?.fhirFile ?? ''],
      now,
    }),
    (opened) => opened.close(),
  );
  const pem = await kept(join(dataDir, 'keys', 'service.pem'), newPem);
  const snapshotKey = await kept(join(dataDir, 'keys', 'snapshot.key'), () => randomBytes(32).toString('hex'));
  const { publicJwk } = await readBackendKey(pem, 'ES384', null);
  sandbox.smart.registerService({ clientId, keys: { jwks: { keys: [publicJwk] } } });
  sandbox.smart.registerApp({ clientId: appId, redirectUris: [`${cdsHttp.origin}/launch/callback`] });
  progress('preparing the model');
  const bundle = await ensurePhantomBundle(dataDir, progress);
  const site = parseSite(
    siteOf(sandbox, cdsHttp.origin, bundle, own === null ? { issuer: patientIssuer, system: patientSystem } : own.issuer),
    'the sandbox',
    dataDir,
    { env: { SNAPSHOT_KEY: snapshotKey } },
  );
  progress('starting the service');
  const service = await serve({ ...site, dataFolder: join(dataDir, `service-${world}`) }, { role: 'all', listening: cdsHttp, log, now });
  stack.defer(() => service.close());
  ehrHttp.serve(
    express()
      .disable('x-powered-by')
      .use(
        createEhr({
          fhir: sandbox.fhir,
          dicomweb: sandbox.dicomweb,
          cds: cdsHttp.origin,
          user: sandboxUser,
          cases: hospital?.cases ?? {},
          createLaunch: ({ patient, appContext, user }) => sandbox.smart.createLaunch({ patient, appContext, user, encounter: null }),
        }),
      ),
  );
  const refused = [
    ...sandbox.bundles.flatMap(({ path, refused: reason }) => (reason === null ? [] : [`${path}: ${reason}`])),
    ...sandbox.refusedFiles.map(({ path, reason }) => `${path}: ${reason}`),
  ];
  const opened = stack.move();
  return {
    addresses: {
      ehr: ehrHttp.origin,
      fhir: sandbox.fhir,
      dicomweb: sandbox.dicomweb,
      cds: cdsHttp.origin,
      authorization: sandbox.authorization,
      data: dataDir,
    },
    leftOut: refused,
    close: () => opened.disposeAsync(),
  };
}

function siteOf(
  sandbox: { readonly fhir: string; readonly dicomweb: string },
  publicUrl: string,
  bundle: string,
  issuer: { readonly issuer: string; readonly system: string } | null,
): SiteInput {
  return {
    environment: 'sandbox',
    service: { publicUrl, port: 0 },
    dataFolder: '.',
    fhir: {
      base: sandbox.fhir,
      auth: { kind: 'backend', clientId, keyFile: 'keys/service.pem', alg: 'ES384', scopes: ['system/*.cruds'] },
    },
    dicomweb: { root: sandbox.dicomweb, publicRoot: sandbox.dicomweb, auth: { kind: 'none' } },
    patients: issuer === null ? {} : { defaultIssuer: issuer.issuer, issuers: [issuer] },
    // A laptop that has just started everything is slower than a hospital; the first card must not be missed for that.
    hooks: { requireJwt: false, allowAnonymousLoopback: true, deadlineMs: 2000 },
    cards: { statementsFor: [radiologist] },
    launch: { clientId: appId, issuers: [sandbox.fhir] },
    store: { kind: 'embedded' },
    snapshotKey: { env: 'SNAPSHOT_KEY' },
    bundles: [{ path: bundle, device: 'auto' }],
    limits: {},
  };
}
