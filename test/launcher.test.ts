/** bin/wetread as a person and a service manager use it; the install itself is what CI does on a clean checkout. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const launcher = resolve(root, 'bin/wetread');

test('the launcher is executable and the lock names no registry', () => {
  expect(statSync(launcher).mode & 0o111).not.toBe(0);
  expect(readFileSync(resolve(root, 'package-lock.json'), 'utf8')).not.toContain('"resolved"');
});

test('an unknown command is one line with its code, exit 1, and no stack', () => {
  const result = spawnSync(launcher, ['frobnicate'], { encoding: 'utf8' });
  expect(result.status).toBe(1);
  expect(result.stderr).toContain('frobnicate');
  expect(result.stderr).not.toContain('    at ');
});

test('npm start --json: one line of addresses that all answer, a second start on the same data is data-locked, SIGTERM ends both with code 0', async () => {
  const data = mkdtempSync(join(tmpdir(), 'wetread-launcher-'));
  const flags = ['sandbox', '--port', '0', '--json', '--data', data];
  const child = spawn(launcher, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise<string>((ready) => child.stdout.once('data', (chunk: Buffer) => ready(chunk.toString('utf8'))));
  expect(line.trim().split('\n')).toHaveLength(1);
  const addresses: Record<string, string> = JSON.parse(line);
  expect(Object.keys(addresses).sort()).toEqual(['authorization', 'cds', 'data', 'dicomweb', 'ehr', 'fhir']);
  const services = await (await fetch(`${addresses.cds}/cds-services`)).json();
  expect(services).toMatchObject({ services: [{ id: 'wetread-order-sign', hook: 'order-sign' }] });
  for (const url of [
    addresses.ehr,
    `${addresses.fhir}/metadata`,
    `${addresses.dicomweb}/studies`,
    `${addresses.fhir}/.well-known/smart-configuration`,
  ]) {
    expect((await fetch(url ?? '')).status, url).toBe(200);
  }
  const second = spawnSync(launcher, flags, { encoding: 'utf8' });
  expect(second.status).toBe(1);
  expect(second.stderr).toContain('data-locked');
  const taken = spawnSync(launcher, ['sandbox', '--port', new URL(addresses.ehr ?? '').port, '--data', `${data}-other`], {
    encoding: 'utf8',
  });
  expect(taken.status).toBe(1);
  expect(taken.stderr).toContain('port-in-use');
  const ended = new Promise<number | null>((exit) => child.once('exit', (code) => exit(code)));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  for (const folder of [data, `${data}-other`]) rmSync(folder, { recursive: true, force: true });
});
