/** A private PostgreSQL for tests: own folder, free loopback port, ended by the caller. As root it runs as the user `postgres`, which initdb asks for. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PostgreSql {
  readonly url: string;
  /** Ends it as a loss of power would; its files stay. */
  halt(): void;
  /** Starts it again after `halt`, on the same port. */
  start(): void;
  /** Ends it and removes its files. */
  stop(): void;
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  return new Promise((found, refuse) => {
    const server = createServer();
    server.once('error', refuse);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === 'object' ? found(address.port) : refuse(new Error('no address'))));
    });
  });
}

/** @param fileKilobytes largest size of one of its files: what a full disk would do to it, but for the rest of the machine */
export async function startPostgreSql({ fileKilobytes }: { fileKilobytes?: number } = {}): Promise<PostgreSql> {
  const [version] = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a));
  const bin = join('/usr/lib/postgresql', version ?? '', 'bin');
  const folder = mkdtempSync(join(tmpdir(), 'wetread-pg-'));
  chmodSync(folder, 0o777);
  const data = join(folder, 'data');
  const port = await freePort();
  const run = (command: string) =>
    process.getuid?.() === 0
      ? execFileSync('su', ['postgres', '-c', command], { cwd: '/', stdio: 'pipe' })
      : execFileSync('sh', ['-c', command], { cwd: '/', stdio: 'pipe' });
  run(`${bin}/initdb -D ${data} -A trust -U wetread --no-sync`);
  const options = `-c listen_addresses=127.0.0.1 -c port=${port} -c unix_socket_directories= -c fsync=off`;
  const limit = fileKilobytes === undefined ? '' : `bash -c 'ulimit -f ${fileKilobytes} && exec "$@"' limited `;
  const start = () => void run(`${limit}${bin}/pg_ctl -w -D ${data} -l ${folder}/log -o "${options}" start`);
  const halt = () => {
    const command = `${bin}/pg_ctl -w -D ${data} -m immediate stop`;
    if (process.getuid?.() === 0) spawnSync('su', ['postgres', '-c', command], { cwd: '/' });
    else spawnSync('sh', ['-c', command], { cwd: '/' });
  };
  start();
  return {
    url: `postgres://wetread@127.0.0.1:${port}/postgres`,
    halt,
    start,
    stop: () => {
      halt();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
