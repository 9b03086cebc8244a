/**
 * A private Orthanc for tests: own folder, free port, DICOMweb plugin, Basic login, no DIMSE port, loopback only.
 *
 * Debian's Orthanc has no option to bind one address; `RemoteAccessAllowed: false` refuses everyone but this machine.
 *
 * Source: configuration.json of orthanc 1.10.1 and orthanc-dicomweb 1.7.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from '../postgresql/postgresql.ts';

export interface Orthanc {
  readonly origin: string;
  /** DICOMweb root without a trailing slash. */
  readonly root: string;
  readonly user: string;
  readonly password: string;
  /** Uploads files; gives the number that are stored now and the paths that Orthanc refused. */
  readonly load: (paths: readonly string[]) => Promise<{ stored: number; refused: readonly string[] }>;
  readonly upload: (bytes: Uint8Array) => Promise<number>;
  readonly stop: () => Promise<void>;
}

const user = 'wetread';
const password = 'test-only';
const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

function configuration(folder: string, port: number, more: object): string {
  return JSON.stringify({
    Name: 'wetread test',
    StorageDirectory: join(folder, 'storage'),
    IndexDirectory: join(folder, 'index'),
    HttpPort: port,
    RemoteAccessAllowed: false,
    AuthenticationEnabled: true,
    RegisteredUsers: { [user]: password },
    DicomServerEnabled: false,
    StableAge: 5,
    Plugins: ['/usr/share/orthanc/plugins/libOrthancDicomWeb.so'],
    DicomWeb: { Enable: true, Root: '/dicom-web/', EnableWado: false },
    ...more,
  });
}

async function answers(origin: string, child: ChildProcess, log: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (child.exitCode !== null) throw new Error(`Orthanc ended with ${child.exitCode}: ${readFileSync(log, 'utf8').slice(-2000)}`);
    const response = await fetch(`${origin}/system`, { headers: { authorization } }).catch(() => null);
    if (response?.ok === true) return;
    await wait(50);
  }
  throw new Error(`Orthanc does not answer on ${origin}: ${readFileSync(log, 'utf8').slice(-2000)}`);
}

/** Starts an Orthanc; `more` are settings on top of the defaults above. */
export async function startOrthanc(more: object = {}): Promise<Orthanc> {
  const folder = mkdtempSync(join(tmpdir(), 'wetread-orthanc-'));
  const port = await freePort();
  const [config, log] = [join(folder, 'orthanc.json'), join(folder, 'log')];
  writeFileSync(config, configuration(folder, port, more));
  writeFileSync(log, '');
  const child = spawn('Orthanc', [`--logfile=${log}`, config], { stdio: 'ignore', cwd: folder });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const origin = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await answers(origin, child, log);
  } catch (error) {
    await stop();
    throw error;
  }
  const upload = async (bytes: Uint8Array): Promise<number> => {
    const response = await fetch(`${origin}/instances`, { method: 'POST', body: new Uint8Array(bytes), headers: { authorization } });
    await response.arrayBuffer();
    return response.status;
  };
  return {
    origin,
    root: `${origin}/dicom-web`,
    user,
    password,
    upload,
    stop,
    async load(paths) {
      const refused: string[] = [];
      for (const path of paths) if ((await upload(readFileSync(path))) !== 200) refused.push(path);
      return { stored: paths.length - refused.length, refused };
    },
  };
}
