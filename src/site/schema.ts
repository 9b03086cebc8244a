/**
 * The form of the site file: one JSON file that says what this hospital has and what wetread may do.
 *
 * It has no transforms, so that its JSON Schema is the whole truth; secrets and paths are resolved by site.ts. A default is given only
 * where it is safe, and every default stands in docs/site.md. Secrets are never written into the file: they are named.
 */
import { z } from 'zod';

const httpUrl = z.url({ protocol: /^https?$/ });
const path = z.string().min(1);
const milliseconds = z.int().min(1).max(3_600_000);

/** Where a secret is: an environment variable or a file. */
const secret = z
  .union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: path })])
  .describe('A secret by name: {"env": "NAME"} or {"file": "path"}. The file is read without its last line break.');

const backend = z
  .strictObject({
    kind: z.literal('backend'),
    clientId: z.string().min(1),
    keyFile: path.describe('Private key: PKCS#8 PEM or private JWK, relative to the site file.'),
    alg: z.enum(['ES384', 'RS384']).describe('Must fit the key: P-384 or RSA.'),
    kid: z.string().min(1).optional().describe("Key id in the JWKS; default: the JWK's own, else its RFC 7638 thumbprint."),
    tokenUrl: httpUrl.optional().describe('Default: token_endpoint of {base}/.well-known/smart-configuration.'),
    scopes: z.array(z.string().min(1)).min(1),
  })
  .describe('SMART backend services: client_credentials with private_key_jwt.');

const none = z.strictObject({ kind: z.literal('none') });
const basic = z.strictObject({ kind: z.literal('basic'), user: z.string().min(1), password: secret });
const bearer = z.strictObject({ kind: z.literal('bearer'), token: secret });

const connection = {
  ca: path.optional().describe('PEM file of a private certificate authority.'),
  allowPlainHttp: z
    .boolean()
    .default(false)
    .describe('Allows a credential over http to another machine. Everyone on that network can read it.'),
};

const fhir = z.strictObject({
  base: httpUrl.describe('FHIR R4 base URL.'),
  auth: z
    .discriminatedUnion('kind', [none, backend])
    .describe("The worker's and the outbox's own lane; the hooks use the request's token first."),
  ...connection,
});

const dicomweb = z.strictObject({
  root: httpUrl.describe('DICOMweb root: QIDO-RS, WADO-RS and STOW-RS below it.'),
  qidoRoot: httpUrl.optional().describe('Root of QIDO-RS when it differs.'),
  wadoRoot: httpUrl.optional().describe('Root of WADO-RS when it differs.'),
  stowRoot: httpUrl.optional().describe('Root of STOW-RS when it differs.'),
  publicRoot: httpUrl
    .optional()
    .describe("Root that a reader's browser reaches, for links in FHIR. Without it links lead to wetread's own page."),
  auth: z.discriminatedUnion('kind', [none, basic, bearer, backend]),
  ...connection,
});

const patients = z
  .strictObject({
    defaultIssuer: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe("Issuer of the PACS's PatientIDs where headers give none. null = unknown."),
    issuers: z
      .array(z.strictObject({ issuer: z.string().min(1), system: z.string().min(1) }))
      .default([])
      .describe('IssuerOfPatientID in DICOM <-> identifier system in FHIR: the same numbers under two names.'),
  })
  .prefault({});

const hookClient = z.strictObject({
  issuer: z.string().min(1).describe('`iss` of its JWT.'),
  jwksUrl: httpUrl.optional().describe('Its key set, agreed beforehand.'),
  jku: z.array(httpUrl).default([]).describe('Values of the jku header that are believed.'),
  algorithms: z
    .array(z.enum(['ES384', 'RS384', 'ES256', 'RS256']))
    .min(1)
    .default(['ES384', 'RS384']),
  audience: z.array(z.string().min(1)).default([]).describe('Accepted `aud` beyond our own endpoint URL (some EHRs have it typed in).'),
  fhirBases: z
    .array(httpUrl)
    .default([])
    .describe('Other addresses of fhir.base that this client may name in `fhirServer` and in references.'),
  deadlineMs: milliseconds.optional().describe('Instead of hooks.deadlineMs.'),
});

const hooks = z
  .strictObject({
    deadlineMs: milliseconds.default(500).describe('The answer is given within this time, with or without a draft.'),
    requireJwt: z.boolean().default(true).describe('false = calls without a client JWT are accepted.'),
    allowAnonymousLoopback: z.boolean().default(false).describe('Calls from this machine need no JWT. Refused in production.'),
    clients: z.array(hookClient).default([]),
  })
  .prefault({});

const store = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('postgresql'), url: secret.describe('postgres://user:password@host/database') }),
  z.strictObject({ kind: z.literal('embedded') }).describe('Inside the data folder; for sandbox and tests: it does not sync to disk.'),
]);

const bundleEntry = z.strictObject({
  path: path.describe('Folder with bundle.json.'),
  device: z.enum(['auto', 'cpu', 'webgpu', 'cuda']).default('auto'),
  threads: z.int().min(1).max(256).optional().describe('Default: the cores of the machine.'),
});

const retention = z
  .strictObject({
    picturesHours: z
      .int()
      .min(0)
      .max(8760)
      .default(24)
      .describe('Encrypted pictures of the review page; 0 = removed as soon as the draft is delivered.'),
    draftsDays: z.int().min(1).max(36_500).nullable().default(null).describe('Drafts in the store; null = kept.'),
  })
  .prefault({});

const limits = z
  .strictObject({
    fhirAnswerBytes: z
      .int()
      .min(1)
      .default(16 * 1024 * 1024)
      .describe('One page of a search or one resource.'),
    fhirTotalMs: milliseconds.default(30_000),
    instanceBytes: z
      .int()
      .min(1)
      .default(512 * 1024 * 1024)
      .describe('One DICOM instance.'),
    seriesBytes: z
      .int()
      .min(1)
      .default(4 * 1024 * 1024 * 1024)
      .describe('One answer of the PACS.'),
    pixelBytes: z
      .int()
      .min(1)
      .default(2 * 1024 * 1024 * 1024)
      .describe('Instances and decoded pixels that one worker holds at once; a single study may take five eighths of it.'),
    pacsTotalMs: milliseconds.default(600_000).describe('One answer of the PACS, body included.'),
    idleMs: milliseconds.default(15_000).describe('Silence after which an answer is given up.'),
    hookBodyBytes: z
      .int()
      .min(1)
      .default(4 * 1024 * 1024)
      .describe('Body of a hook call.'),
  })
  .prefault({});

const launch = z.strictObject({
  clientId: z.string().min(1).describe('Public SMART client registered at the EHR.'),
  issuers: z.array(httpUrl).min(1).describe('FHIR bases that may launch us.'),
  frameAncestors: z.array(httpUrl).default([]).describe('Origins whose pages may show ours in a frame.'),
});

export const siteForm = z.strictObject({
  $schema: z.string().optional(),
  environment: z
    .enum(['production', 'test', 'sandbox'])
    .describe('`test` and `sandbox` load bundles that are stamped test; `production` does not.'),
  service: z.strictObject({
    publicUrl: httpUrl.describe('Our address as EHR and browsers see it: links, audiences and redirects are made from it.'),
    host: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
    port: z.int().min(0).max(65_535).describe('0 = a free port.'),
    metricsToken: secret.optional().describe('Bearer token of /metrics; without it only this machine may read them.'),
  }),
  dataFolder: path.describe(
    'Pictures and the embedded store. Processes of one site share it; with the embedded store there is one process.',
  ),
  fhir,
  dicomweb,
  patients,
  hooks,
  cards: z
    .strictObject({
      statementsFor: z
        .array(z.string().min(1))
        .default([])
        .describe('Role codes that see statements on the card; others see that a draft exists.'),
    })
    .prefault({}),
  writer: z.enum(['outbox', 'suggestion']).default('outbox').describe('Who writes the report: we, or the EHR from the card.'),
  writeOn: z.enum(['accepted', 'ready']).default('accepted').describe('When the outbox writes the DiagnosticReport.'),
  pixelLane: z.literal('service').default('service').describe("Whose credentials fetch pixels: the worker's own."),
  launch: launch.optional().describe('SMART launch of the review page; without it cards carry no link.'),
  store,
  snapshotKey: secret.describe('32 random bytes as 64 hex digits or base64: encrypts snapshots and pictures.'),
  bundles: z.array(bundleEntry).min(1),
  retention,
  limits,
});

/** The site file as written. */
export type SiteInput = z.input<typeof siteForm>;
/** With defaults, secrets still by name. */
export type SiteFile = z.output<typeof siteForm>;

/** JSON Schema (2020-12) of the site file, for editors. */
export function siteJsonSchema(): object {
  return z.toJSONSchema(siteForm, { io: 'input' });
}
