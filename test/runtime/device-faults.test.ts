/** What the machine and the operator do to a running engine: memory that ends, files that change, another bundle in the same folder. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { makeRandomBundle } from '#model/random.ts';
import { openSiteBundles, startReaders } from '#reading/bundles.ts';
import { type Device, startDevice } from '#runtime/device.ts';
import { available } from '../setup/require.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-device-faults-'));
const pristine = join(folder, 'pristine');
const other = join(folder, 'other');
const parts: readonly PromptPart[] = [
  { kind: 'image', image: { width: 64, height: 64, channels: 1, pixels: new Uint8Array(64 * 64).fill(90) } },
  { kind: 'text', text: 'Write the findings and the impression.' },
];
const request = { parts, maxNewTokens: null };

beforeAll(async () => {
  const options = { modalities: ['DX'], maxImages: 2, citeUncalibrated: true };
  await makeRandomBundle({ dir: pristine, seed: 7, ...options });
  await makeRandomBundle({ dir: other, seed: 8, ...options });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs on a bundle folder of its own. */
async function on<Result>(name: string, use: (bundleDir: string, device: Device) => Promise<Result>): Promise<Result> {
  const bundleDir = join(folder, name);
  cpSync(pristine, bundleDir, { recursive: true });
  const device = await startDevice({ device: 'cpu', bundleDir, threads: 1, timeoutMs: 60_000 });
  try {
    return await use(bundleDir, device);
  } finally {
    await device.close();
  }
}

/** Ends the running process and waits until the device knows it. */
async function kill(device: Device): Promise<void> {
  process.kill((await device.processId()) ?? 0, 'SIGKILL');
  await expect(device.ask(request)).rejects.toMatchObject({ code: 'engine-died' });
}

test.skipIf(!available('linux'))('an engine that may have no more memory ends as engine-died, and the next call starts a new one', () =>
  on('memory', async (_, device) => {
    await device.ask(request);
    const pid = (await device.processId()) ?? 0;
    // A real limit on the running process: nothing more can be mapped than it has now.
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[0]);
    execFileSync('prlimit', ['--pid', String(pid), `--as=${pages * 4096}:${pages * 4096}`]);
    // A picture that cannot even arrive in so little.
    const side = 12_000;
    const large: PromptPart = { kind: 'image', image: { width: side, height: side, channels: 1, pixels: new Uint8Array(side * side) } };
    await expect(device.ask({ ...request, parts: [large, ...parts.slice(1)] })).rejects.toMatchObject({ code: 'engine-died' });
    expect((await device.ask(request)).answer.text).not.toBe('');
    expect(await device.processId()).not.toBe(pid);
  }),
);

test('a file of the bundle that is written while its engine runs: no answer is taken, bundle-digest', () =>
  on('written', async (bundleDir, device) => {
    await device.ask(request);
    const [largest = ''] = readdirSync(bundleDir).toSorted((a, b) => statSync(join(bundleDir, b)).size - statSync(join(bundleDir, a)).size);
    const path = join(bundleDir, largest);
    const bytes = readFileSync(path);
    bytes[bytes.length - 3] = 1;
    writeFileSync(path, bytes);
    await expect(device.ask(request)).rejects.toMatchObject({ code: 'bundle-digest', message: expect.stringContaining(largest) });
  }));

test('an engine that is started again on another bundle is bundle-digest, and works when the first is back', () =>
  on('replaced', async (bundleDir, device) => {
    const { text } = (await device.ask(request)).answer;
    renameSync(bundleDir, join(folder, 'aside'));
    cpSync(other, bundleDir, { recursive: true });
    await kill(device);
    const refusal = { code: 'bundle-digest', message: expect.stringContaining('was started') };
    await expect(device.ask(request)).rejects.toMatchObject(refusal);
    await expect(device.ask(request)).rejects.toMatchObject(refusal);
    rmSync(bundleDir, { recursive: true });
    renameSync(join(folder, 'aside'), bundleDir);
    expect((await device.ask(request)).answer.text).toBe(text);
  }));

test('a bundle that is replaced between the start of the service and that of its engine is bundle-digest', async () => {
  const path = join(folder, 'late');
  cpSync(pristine, path, { recursive: true });
  const bundles = await openSiteBundles({ environment: 'test', bundles: [{ path, device: 'cpu', threads: 1 }] });
  rmSync(path, { recursive: true });
  cpSync(other, path, { recursive: true });
  await expect(startReaders(bundles)).rejects.toMatchObject({ code: 'bundle-digest' });
});
