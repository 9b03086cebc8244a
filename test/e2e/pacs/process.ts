/**
 * A program of this repository as a process of its own: started, waited for until it says that it is ready, stopped or killed.
 *
 * What it wrote is kept, so that a failure can show it.
 */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');
const keptCharacters = 200_000;

export interface StartedProcess {
  /** First group of `ready`. */
  readonly said: string;
  readonly pid: number;
  /** What it wrote on both outputs, the last part of it. */
  output(): string;
  /** SIGTERM, then waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>;
}

export interface StartOptions {
  /** Node's arguments; a relative program is below the repository. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Looked for in both outputs. */
  readonly ready: RegExp;
  readonly timeoutMs?: number;
}

/** @throws when it ends or the time passes before it is ready; its output is in the message */
export async function startProcess({ args, env = {}, ready, timeoutMs = 180_000 }: StartOptions): Promise<StartedProcess> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Nothing is left behind when the caller ends early.
  const abandon = () => void child.kill('SIGKILL');
  process.once('exit', abandon);
  child.once('exit', () => process.off('exit', abandon));
  const gone = new Promise<void>((end) => child.once('exit', () => end()));
  let written = '';
  const said = await new Promise<string>((found, refuse) => {
    const fail = (why: string) => refuse(new Error(`${args.join(' ')} ${why}:\n${written.slice(-4000)}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`was not ready after ${timeoutMs} ms`);
    }, timeoutMs);
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code) => {
      clearTimeout(timer);
      fail(`ended with ${code}`);
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => {
        written = `${written}${chunk}`.slice(-keptCharacters);
        const match = ready.exec(written);
        if (match === null) return;
        clearTimeout(timer);
        found(match[1] ?? '');
      });
    }
  });
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal);
    await gone;
  };
  return { said, pid: child.pid ?? 0, output: () => written, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}
