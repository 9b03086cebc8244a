/**
 * Reads a site file: form, rules between keys, secrets and paths.
 *
 * Every problem is reported at once, each as path, found, expected; a secret never appears in a message or in a log of the site object.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { inspect } from 'node:util';
import type { z } from 'zod';
import { type Warning, WetreadError } from '#domain/errors.ts';
import { ruleProblems, ruleWarnings } from './rules.ts';
import { type SiteFile, siteForm } from './schema.ts';

/** A secret's value, which neither JSON nor an inspected object shows. */
export interface Secret {
  readonly reveal: () => string;
}

export type BackendAuth = Extract<SiteFile['fhir']['auth'], { kind: 'backend' }> & { readonly key: Secret };
export type FhirAuth = { readonly kind: 'none' } | BackendAuth;
export type DicomwebAuth =
  | FhirAuth
  | { readonly kind: 'basic'; readonly user: string; readonly password: Secret }
  | { readonly kind: 'bearer'; readonly token: Secret };

/** The site as the program uses it: paths absolute, secrets read, certificates as PEM. */
export interface Site extends Omit<SiteFile, '$schema' | 'service' | 'fhir' | 'dicomweb' | 'store' | 'snapshotKey'> {
  readonly service: Omit<SiteFile['service'], 'metricsToken'> & { readonly metricsToken: Secret | null };
  readonly fhir: { readonly base: string; readonly auth: FhirAuth; readonly ca: string | null };
  readonly dicomweb: {
    readonly roots: { readonly qido: string; readonly wado: string; readonly stow: string };
    readonly publicRoot: string | null;
    readonly auth: DicomwebAuth;
    readonly ca: string | null;
  };
  readonly store: { readonly kind: 'postgresql'; readonly url: Secret } | { readonly kind: 'embedded' };
  /** 32 bytes. */
  readonly snapshotKey: { readonly bytes: () => Uint8Array };
  /** What the site should know at every start. */
  readonly warnings: readonly Warning[];
}

export interface ReadOptions {
  /** Environment that `{"env": ...}` reads; default process.env. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

function secretOf(value: string): Secret {
  return Object.defineProperties(
    { reveal: () => value },
    {
      toJSON: { value: () => '[secret]' },
      [inspect.custom]: { value: () => '[secret]' },
    },
  );
}

function words(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const key of path) value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  return value;
}

/** True where the file may hold a secret by mistake: its value is never repeated. */
function holdsSecret(path: readonly PropertyKey[]): boolean {
  return path.some((key) => /password|token$|snapshotKey|^url$|secret/i.test(String(key)));
}

function lineOf(issue: z.core.$ZodIssue, data: unknown): string {
  const path = issue.path.join('.') || 'the file';
  if (issue.code === 'unrecognized_keys')
    return `${path}: found unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}, see docs/site.md`;
  const value = valueAt(data, issue.path);
  if (holdsSecret(issue.path)) return `${path}: found ${typeof value}, expected {"env": "NAME"} or {"file": "path"}`;
  const expected = issue.message.replace(/^Invalid (input|option): expected /, '').replace(/, received .*$/, '');
  return `${path}: found ${words(value)}, expected ${expected.charAt(0).toLowerCase()}${expected.slice(1)}`;
}

function invalid(path: string, lines: readonly string[], cause?: unknown): WetreadError {
  const list = lines.length === 1 ? lines[0] : `${lines.length} problems\n  ${lines.join('\n  ')}`;
  return new WetreadError('site-invalid', `${path}: ${list}`, { cause, hint: 'docs/site.md explains every key' });
}

/** Reads secrets and files; problems are collected, so that one run names them all. */
function openReader(folder: string, env: Readonly<Record<string, string | undefined>>, problems: string[]) {
  const at = (path: string): string => resolve(folder, path);
  const file = (path: string, key: string): string => {
    try {
      return readFileSync(at(path), 'utf8').replace(/\r?\n$/, '');
    } catch (error) {
      problems.push(
        `${key}: the file ${JSON.stringify(path)} cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'error'})`,
      );
      return '';
    }
  };
  const secret = (source: { env: string } | { file: string }, key: string): Secret => {
    if ('file' in source) return secretOf(file(source.file, key));
    const value = env[source.env];
    if (value === undefined || value === '') problems.push(`${key}: the environment variable ${source.env} is not set`);
    return secretOf(value ?? '');
  };
  return { at, file, secret };
}

type Reader = ReturnType<typeof openReader>;

function authOf(auth: SiteFile['dicomweb']['auth'], key: string, reader: Reader): DicomwebAuth {
  if (auth.kind === 'none') return auth;
  if (auth.kind === 'basic') return { ...auth, password: reader.secret(auth.password, `${key}.password`) };
  if (auth.kind === 'bearer') return { ...auth, token: reader.secret(auth.token, `${key}.token`) };
  return { ...auth, keyFile: reader.at(auth.keyFile), key: secretOf(reader.file(auth.keyFile, `${key}.keyFile`)) };
}

function fhirAuthOf(auth: SiteFile['fhir']['auth'], reader: Reader): FhirAuth {
  if (auth.kind === 'none') return auth;
  return { ...auth, keyFile: reader.at(auth.keyFile), key: secretOf(reader.file(auth.keyFile, 'fhir.auth.keyFile')) };
}

function keyBytes(text: string, problems: string[]): Uint8Array {
  const trimmed = text.trim();
  const bytes = Buffer.from(trimmed, /^[0-9a-f]{64}$/i.test(trimmed) ? 'hex' : 'base64');
  if (bytes.length !== 32 && trimmed !== '')
    problems.push(`snapshotKey: found ${bytes.length} bytes, expected 32 as 64 hex digits or base64`);
  return new Uint8Array(bytes);
}

function plain(url: string): string {
  return url.replace(/\/+$/, '');
}

function resolved(file: SiteFile, reader: Reader, problems: string[]): Omit<Site, 'warnings'> {
  const { $schema: _, fhir, dicomweb, ...rest } = file;
  const { metricsToken } = file.service;
  const key = keyBytes(reader.secret(file.snapshotKey, 'snapshotKey').reveal(), problems);
  return {
    ...rest,
    service: {
      ...file.service,
      publicUrl: plain(file.service.publicUrl),
      metricsToken: metricsToken === undefined ? null : reader.secret(metricsToken, 'service.metricsToken'),
    },
    dataFolder: reader.at(file.dataFolder),
    fhir: {
      base: plain(fhir.base),
      auth: fhirAuthOf(fhir.auth, reader),
      ca: fhir.ca === undefined ? null : reader.file(fhir.ca, 'fhir.ca'),
    },
    dicomweb: {
      roots: {
        qido: plain(dicomweb.qidoRoot ?? dicomweb.root),
        wado: plain(dicomweb.wadoRoot ?? dicomweb.root),
        stow: plain(dicomweb.stowRoot ?? dicomweb.root),
      },
      publicRoot: dicomweb.publicRoot === undefined ? null : plain(dicomweb.publicRoot),
      auth: authOf(dicomweb.auth, 'dicomweb.auth', reader),
      ca: dicomweb.ca === undefined ? null : reader.file(dicomweb.ca, 'dicomweb.ca'),
    },
    store: file.store.kind === 'embedded' ? file.store : { kind: 'postgresql', url: reader.secret(file.store.url, 'store.url') },
    snapshotKey: { bytes: () => key },
    bundles: file.bundles.map((bundle) => ({ ...bundle, path: reader.at(bundle.path) })),
  };
}

/**
 * Checks a site that is at hand as data; relative paths are resolved against `folder`.
 * @throws site-invalid with every problem, each as path, found, expected
 */
export function parseSite(data: unknown, name: string, folder: string, { env = process.env }: ReadOptions = {}): Site {
  const parsed = siteForm.safeParse(data);
  if (!parsed.success)
    throw invalid(
      name,
      parsed.error.issues.map((issue) => lineOf(issue, data)),
    );
  const problems = [...ruleProblems(parsed.data)];
  const site = resolved(parsed.data, openReader(folder, env, problems), problems);
  if (problems.length > 0) throw invalid(name, problems);
  return { ...site, warnings: ruleWarnings(parsed.data) };
}

/** @throws site-invalid when the file is absent, no JSON, or wrong */
export function readSite(path: string, options: ReadOptions = {}): Site {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw invalid(path, ['the file cannot be read'], cause);
  }
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, [`the file is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`], cause);
  }
  return parseSite(data, path, dirname(resolve(path)), options);
}
