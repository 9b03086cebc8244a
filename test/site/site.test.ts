import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { codeOf } from '#domain/errors.ts';
import { siteForm, siteJsonSchema } from '#site/schema.ts';
import { parseSite, readSite, type Site } from '#site/site.ts';

const examplePath = resolve(import.meta.dirname, '../../src/site/example.json');
const env = { WETREAD_PACS_PASSWORD: 'pacs-secret', WETREAD_DATABASE_URL: 'postgres://u:db-secret@h/d' };
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wetread-site-'));
  mkdirSync(join(folder, 'keys'));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  writeFileSync(join(folder, 'keys/wetread-es384.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(folder, 'keys/snapshot.key'), `${'ab'.repeat(32)}\n`);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Json = Record<string, unknown>;

function example(): Json {
  return JSON.parse(readFileSync(examplePath, 'utf8'));
}

/** The example with the value at `path` replaced; undefined removes the key. */
function changed(path: string, value: unknown): Json {
  const data = example();
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at = data;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key] as Json; // every parent in the tests is an object or absent
  }
  if (value === undefined) delete at[last];
  else at[last] = value;
  return data;
}

function parse(data: unknown): Site {
  return parseSite(data, 'site.json', folder, { env });
}

function problem(data: unknown): string {
  try {
    parse(data);
    return 'no error';
  } catch (error) {
    expect(codeOf(error)).toBe('site-invalid');
    return String(error);
  }
}

describe('the example', () => {
  test('is read, with paths below its folder, secrets resolved and the stated defaults', () => {
    writeFileSync(join(folder, 'site.json'), readFileSync(examplePath));
    const site = readSite(join(folder, 'site.json'), { env });
    expect(site.snapshotKey.bytes()).toEqual(new Uint8Array(32).fill(0xab));
    expect(site.store.kind === 'postgresql' && site.store.url.reveal()).toBe(env.WETREAD_DATABASE_URL);
    expect(site.dataFolder).toBe(resolve(folder, '../data'));
    expect(site.dicomweb.roots.stow).toBe('https://pacs.hospital.example/dicom-web');
    expect(site).toMatchObject({
      writer: 'outbox',
      writeOn: 'accepted',
      pixelLane: 'service',
      hooks: { deadlineMs: 500, requireJwt: true, allowAnonymousLoopback: false },
      retention: { picturesHours: 24, draftsDays: null },
      warnings: [],
    });
  });

  test('shows no secret as JSON or inspected', () => {
    const shown = `${JSON.stringify(parse(example()))}${inspect(parse(example()), { depth: 10 })}`;
    for (const secret of ['pacs-secret', 'db-secret', 'PRIVATE KEY', 'abababab']) expect(shown).not.toContain(secret);
  });
});

test('the file of the guide in docs/site.md is a site', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/site.md'), 'utf8');
  const blocks = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map((match) => JSON.parse(match[1] ?? ''));
  const [guide] = blocks.filter((block) => 'environment' in block);
  expect(parse(guide).dicomweb.roots.qido).toBe('http://127.0.0.1:8042/dicom-web');
});

describe('a wrong file is site-invalid and says path, found and expected', () => {
  test.each([
    ['a missing key', 'fhir.base', undefined, /fhir\.base: found nothing, expected/],
    ['a wrong type', 'service.port', 'x', /service\.port: found "x", expected number/],
    ['a port out of range', 'service.port', 70000, /service\.port: found 70000, expected/],
    ['a base that is no URL', 'fhir.base', 'fhir.example/r4', /fhir\.base: found "fhir\.example\/r4", expected .*URL/i],
    ['a base of another scheme', 'fhir.base', 'ftp://x/r4', /fhir\.base: found "ftp:/],
    ['an unknown key', 'fhir.bse', 'x', /fhir: found unknown key "bse"/],
    ['an unknown environment', 'environment', 'prod', /environment: found "prod", expected .*"production"/],
    ['an unknown kind of auth', 'dicomweb.auth', { kind: 'kerberos' }, /dicomweb\.auth/],
    ['no bundle', 'bundles', [], /bundles: found \[\], expected/],
    [
      'a secret that is not set',
      'dicomweb.auth.password',
      { env: 'NOT_SET' },
      /dicomweb\.auth\.password: the environment variable NOT_SET is not set/,
    ],
    ['a secret file that is absent', 'snapshotKey', { file: 'keys/none' }, /snapshotKey: the file "keys\/none" cannot be read \(ENOENT\)/],
    ['a key of another length', 'snapshotKey', { env: 'WETREAD_PACS_PASSWORD' }, /snapshotKey: found \d+ bytes, expected 32/],
    ['a client without keys', 'hooks.clients', [{ issuer: 'https://ehr.example' }], /hooks\.clients\.0: found neither jwksUrl nor jku/],
    ['no client although JWTs are required', 'hooks.clients', [], /hooks\.clients: found none/],
    ['http with a credential', 'dicomweb.root', 'http://pacs.hospital.example/dicom-web', /dicomweb\.root: found http with a credential/],
    ['two origins with one credential', 'dicomweb.wadoRoot', 'https://other.example/wado', /several origins/],
    [
      'an issuer mapped twice',
      'patients.issuers',
      [
        { issuer: 'A', system: 's' },
        { issuer: 'A', system: 't' },
      ],
      /issuer "A" twice/,
    ],
    [
      'a system mapped twice',
      'patients.issuers',
      [
        { issuer: 'A', system: 's' },
        { issuer: 'B', system: 's' },
      ],
      /system "s" twice/,
    ],
  ])('%s', (_, path, value, expected) => {
    expect(problem(changed(path, value))).toMatch(expected);
  });

  test('a secret written into the file is not repeated in the message', () => {
    const text = problem(changed('dicomweb.auth.password', 'hunter2'));
    expect(text).toMatch(/dicomweb\.auth\.password: found string, expected \{"env": "NAME"\}/);
    expect(text).not.toContain('hunter2');
    expect(problem(changed('snapshotKey', 'hunter2'))).not.toContain('hunter2');
    expect(problem(changed('store', { kind: 'postgresql', url: 'postgres://u:hunter2@h/d' }))).not.toContain('hunter2');
  });

  test('every problem is named at once', () => {
    const data = changed('service.port', 'x');
    data.environment = 'prod';
    expect(problem(data)).toMatch(/2 problems[\s\S]*environment[\s\S]*service\.port/);
  });

  test.each([
    ['absent', null],
    ['no JSON', '{"a":'],
    ['an array', '[]'],
    ['null', 'null'],
  ])('a file that is %s', (name, text) => {
    const path = join(folder, `${name.replace(' ', '-')}.json`);
    if (text !== null) writeFileSync(path, text);
    expect(() => readSite(path, { env })).toThrow(expect.objectContaining({ code: 'site-invalid' }));
  });

  test('any change to one key of the example gives a site or a site-invalid, nothing else', () => {
    const paths = [
      'environment',
      'service',
      'fhir.auth',
      'dicomweb',
      'hooks.clients',
      'store',
      'bundles',
      'limits',
      'retention',
      'launch',
      'patients',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        const text = problem(changed(path, value));
        expect(typeof text).toBe('string');
      }),
    );
  });
});

describe('production', () => {
  const production = (path: string, value: unknown) => ({ ...changed(path, value), environment: 'production' });

  test.each([
    ['anonymous calls from loopback', 'hooks.allowAnonymousLoopback', true, /allowAnonymousLoopback/],
    ['http to the outside', 'service.publicUrl', 'http://wetread.example', /service\.publicUrl/],
    [
      "the public sandbox's issuer",
      'hooks.clients',
      [{ issuer: 'https://sandbox.cds-hooks.org', jwksUrl: 'https://x.example/k' }],
      /private key is public/,
    ],
  ])('refuses %s', (_, path, value, expected) => {
    expect(problem(production(path, value))).toMatch(expected);
    expect(problem(changed(path, value))).toBe('no error');
  });

  test.each([
    ['an embedded store', 'store', { kind: 'embedded' }, 'site-embedded-store'],
    ['hooks without JWT', 'hooks.requireJwt', false, 'site-anonymous-hooks'],
    ['a PACS without login', 'dicomweb.auth', { kind: 'none' }, 'site-pacs-open'],
    ['an open FHIR server', 'fhir.auth', { kind: 'none' }, 'site-fhir-open'],
  ])('says at every start: %s', (_, path, value, code) => {
    expect(parse(production(path, value)).warnings.map((one) => one.code)).toEqual([code]);
    expect(parse(changed(path, value)).warnings).toEqual([]);
  });
});

describe('the JSON Schema', () => {
  test('names every key of the form and needs no default', () => {
    const schema = z
      .object({ properties: z.record(z.string(), z.unknown()), required: z.array(z.string()), additionalProperties: z.boolean() })
      .parse(siteJsonSchema());
    expect(Object.keys(schema.properties).sort()).toEqual(Object.keys(siteForm.shape).sort());
    expect(schema.additionalProperties).toBe(false);
    expect(schema.required).not.toContain('hooks');
    expect(schema.required).toContain('fhir');
  });

  test('docs/site.md explains every key, and names no other', () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/site.md'), 'utf8');
    const rows = new Set([...page.matchAll(/^\| `([A-Za-z.[\]]+)` \|/gm)].map((match) => match[1]));
    const keys = new Set(keysOf(siteJsonSchema(), ''));
    expect([...keys].filter((key) => !rows.has(key))).toEqual([]);
    expect([...rows].filter((key) => key !== undefined && !keys.has(key))).toEqual([]);
  });
});

const node = z.looseObject({
  properties: z.record(z.string(), z.unknown()).optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
});

/** Paths of a JSON Schema's leaves: `fhir.auth.kind`, `bundles[].path`; a secret and a variant count once. */
function keysOf(schema: unknown, path: string): string[] {
  const { properties, items, anyOf, oneOf } = node.parse(schema);
  const variants = [...(anyOf ?? []), ...(oneOf ?? [])];
  if (properties !== undefined && !('env' in properties) && !('file' in properties)) {
    return Object.entries(properties).flatMap(([key, value]) =>
      key === '$schema' ? [] : keysOf(value, path === '' ? key : `${path}.${key}`),
    );
  }
  if (items !== undefined && node.parse(items).properties !== undefined) return keysOf(items, `${path}[]`);
  if (variants.some((variant) => node.parse(variant).properties !== undefined)) return variants.flatMap((variant) => keysOf(variant, path));
  return [path];
}
