/**
 * The parent's side of one engine process: calls with a reply, a deadline that counts silence, and the end of the process as an error.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import type { CallName, Calls, ReplyMessage } from './device-protocol.ts';

/** Bytes of stderr that are kept for the reason of a failure. */
const KEPT_STDERR = 2000;

interface Waiting {
  readonly id: number;
  readonly onText: (text: string) => void;
  resolve(value: Calls[CallName]['reply']): void;
  reject(error: WetreadError): void;
  restartTimer(): void;
}

export interface EngineProcess {
  readonly alive: boolean;
  readonly pid: number | null;
  /**
   * One call at a time; the next one waits.
   *
   * @param timeoutMs longest silence (no reply, no text) before the process is killed
   * @throws engine-timeout after that, engine-died when the process ended, or the coded error of the process
   */
  call<Name extends CallName>(
    name: Name,
    request: Calls[Name]['request'],
    timeoutMs: number,
    onText?: (text: string) => void,
  ): Promise<Calls[Name]['reply']>;
  /** Ends the process and waits for its end. */
  end(): Promise<void>;
}

class ForkedEngine implements EngineProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #waiting: Waiting | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #calls = 0;
  #stderr = '';
  #fault: WetreadError | null = null;

  constructor(script: string, env: NodeJS.ProcessEnv) {
    // No inherited flags: a debugger's port or a test runner's loader is the parent's own.
    this.#child = fork(script, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [], env });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_STDERR);
    });
    // Only `device-process.ts` of the same version speaks on this channel, in the form of ReplyMessage.
    this.#child.on('message', (message) => this.#receive(message as ReplyMessage));
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (cause) =>
        this.#die(new WetreadError('engine-died', `the engine's process does not start: ${cause.message}`, { cause })),
      );
      this.#child.on('close', (code, signal) => {
        this.#die(new WetreadError('engine-died', `the engine's process ended (${signal ?? `exit code ${code}`})${this.#said()}`));
        resolve();
      });
      this.#child.on('error', () => resolve());
    });
  }

  get alive(): boolean {
    return this.#fault === null;
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  /** The last line that the process wrote to stderr, without folders. */
  #said(): string {
    const line = this.#stderr.trim().split('\n').at(-1) ?? '';
    return line === '' ? '' : `: ${line.replaceAll(/(\/[\w.@+-]+)+\//g, '').slice(0, 300)}`;
  }

  #die(fault: WetreadError): void {
    this.#fault ??= fault;
    this.#waiting?.reject(this.#fault);
    this.#waiting = null;
  }

  #receive(message: ReplyMessage): void {
    const waiting = this.#waiting;
    if (waiting === null || waiting.id !== message.id) return;
    if (message.kind === 'text') {
      waiting.restartTimer();
      waiting.onText(message.text);
      return;
    }
    this.#waiting = null;
    if (message.kind === 'value') waiting.resolve(message.value);
    else waiting.reject(new WetreadError(message.code, message.message, message.hint === null ? {} : { hint: message.hint }));
  }

  call<Name extends CallName>(
    name: Name,
    request: Calls[Name]['request'],
    timeoutMs: number,
    onText: (text: string) => void = () => undefined,
  ): Promise<Calls[Name]['reply']> {
    const result = this.#last.then(() => this.#send(name, request, timeoutMs, onText));
    this.#last = result.catch(() => undefined);
    return result;
  }

  #send<Name extends CallName>(
    name: Name,
    request: Calls[Name]['request'],
    timeoutMs: number,
    onText: (text: string) => void,
  ): Promise<Calls[Name]['reply']> {
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      if (this.#fault !== null) {
        reject(this.#fault);
        return;
      }
      const late = (): void => {
        this.#die(
          new WetreadError('engine-timeout', `the engine gave no sign of life for ${timeoutMs} ms during ${name}; its process was ended`),
        );
        this.#child.kill('SIGKILL');
      };
      let timer = setTimeout(late, timeoutMs);
      const done =
        <T>(act: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          act(value);
        };
      this.#waiting = {
        id,
        onText,
        // The process answers a call with the reply of that call.
        resolve: done((value) => resolve(value as Calls[Name]['reply'])),
        reject: done(reject),
        restartTimer: () => {
          clearTimeout(timer);
          timer = setTimeout(late, timeoutMs);
        },
      };
      this.#child.send({ id, call: name, request }, (error) => {
        if (error !== null)
          this.#die(new WetreadError('engine-died', `the engine's process does not listen: ${error.message}`, { cause: error }));
      });
    });
  }

  async end(): Promise<void> {
    this.#die(new WetreadError('engine-died', 'the engine was closed'));
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

export function startEngineProcess(
  env: NodeJS.ProcessEnv = process.env,
  script = join(import.meta.dirname, 'device-process.ts'),
): EngineProcess {
  return new ForkedEngine(script, env);
}
