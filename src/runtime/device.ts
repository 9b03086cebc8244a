/**
 * One engine for one bundle, in a child process that is started, watched and replaced.
 *
 * `auto` takes CUDA, else WebGPU, else CPU, each tried with known answers; it chooses at the start only and says why, so that no draft is
 * begun on one device and ended on another. A process that died or was silent too long is replaced at the next call; its prompts are lost.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { NullImage } from '#domain/answer.ts';
import { codeOf, WetreadError } from '#domain/errors.ts';
import type { AskReply, AskRequest, OpenReply } from './device-protocol.ts';
import { type EngineProcess, startEngineProcess } from './engine-process.ts';
import type { Provider } from './port.ts';
import { mayHaveGpu, missingFiles } from './provider-needs.ts';

export interface DeviceOptions {
  readonly device: 'auto' | Provider;
  readonly bundleDir: string;
  /** Threads of one operator; null = one per core. */
  readonly threads: number | null;
  /** Longest silence of a call on the loaded bundle, in ms, before the process is ended. A first token may take as long as the whole prompt. */
  readonly timeoutMs: number;
}

export interface DeviceInfo extends OpenReply {
  readonly provider: Provider;
  /** Providers that `auto` would have preferred, each with the reason why not. */
  readonly refused: readonly { readonly provider: Provider; readonly reason: string }[];
}

export interface Device {
  readonly info: DeviceInfo;
  /**
   * @throws engine-timeout, engine-died (the next call starts a new process), answer-empty, answer-repeats, prompt-too-long,
   * too-many-images, not-finite, bundle-digest when the bundle's files changed since the start
   */
  ask(request: AskRequest, onText?: (text: string) => void): Promise<AskReply>;
  /**
   * Log-probability (natural log) of each token of the prompt's answer, with the images where keep is false nulled in place.
   *
   * @throws engine-died, also when the prompt was lost with an earlier process; engine-timeout; not-found when the prompt was released
   */
  score(promptId: string, keep: readonly boolean[], nullImage: NullImage): Promise<readonly number[]>;
  /** Forgets a prompt; unknown ones are no error. */
  release(promptId: string): Promise<void>;
  /** Id of the running process, for logs and for whoever must stop it; null when there is none just now. */
  processId(): Promise<number | null>;
  /** Ends what it computes: its calls are engine-died, and the next call starts a new process. */
  interrupt(): Promise<void>;
  close(): Promise<void>;
}

/** Longest silence of a start: digests of a large bundle are read, and its weights are laid out, without a word. */
const START_TIMEOUT_MS = 600_000;

const preference: readonly Provider[] = ['cuda', 'webgpu', 'cpu'];

interface Opened {
  readonly engine: EngineProcess;
  readonly reply: OpenReply;
}

async function openOn(provider: Provider, options: DeviceOptions): Promise<Opened> {
  const engine = startEngineProcess();
  try {
    const request = { provider, bundleDir: resolve(options.bundleDir), threads: options.threads };
    return { engine, reply: await engine.call('open', request, START_TIMEOUT_MS) };
  } catch (error) {
    await engine.end();
    throw error;
  }
}

/** What speaks against a provider, as opposed to what is wrong with the bundle. */
function isProviderFault(error: unknown): error is WetreadError {
  return ['device-unavailable', 'engine-died', 'engine-timeout'].includes(codeOf(error));
}

async function choose(options: DeviceOptions): Promise<Opened & Pick<DeviceInfo, 'provider' | 'refused'>> {
  const candidates = options.device === 'auto' ? preference : [options.device];
  const refused: { provider: Provider; reason: string }[] = [];
  for (const provider of candidates) {
    const missing = missingFiles(provider);
    if (missing.length > 0) {
      refused.push({ provider, reason: `not installed: ${missing.join(', ')}` });
      continue;
    }
    if (options.device === 'auto' && provider === 'webgpu' && !mayHaveGpu()) {
      refused.push({ provider, reason: 'this machine shows no GPU, and a software driver is slower than the CPU provider' });
      continue;
    }
    try {
      return { ...(await openOn(provider, options)), provider, refused };
    } catch (error) {
      if (!isProviderFault(error)) throw error;
      refused.push({ provider, reason: error.message });
    }
  }
  const reasons = refused.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
  throw new WetreadError('device-unavailable', `the bundle runs on no device (${reasons})`, {
    hint: 'wetread doctor says what this machine can do',
  });
}

const replaced = { hint: 'start the service again: it reads the bundle that is there then, under its own digest' };

/** Names of the folder's files with what changes when one is written or replaced. */
async function fileStamps(folder: string): Promise<ReadonlyMap<string, string>> {
  const stamps = new Map<string, string>();
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const found = await stat(path).catch(() => null);
    if (found !== null) stamps.set(relative(folder, path), `${found.ino} ${found.size} ${found.mtimeMs}`);
  }
  return stamps;
}

class ProcessDevice implements Device {
  readonly info: DeviceInfo;
  readonly #options: DeviceOptions;
  readonly #files: ReadonlyMap<string, string>;
  #engine: Promise<EngineProcess>;
  #closed = false;

  constructor(info: DeviceInfo, options: DeviceOptions, engine: EngineProcess, files: ReadonlyMap<string, string>) {
    this.info = info;
    this.#options = options;
    this.#files = files;
    this.#engine = Promise.resolve(engine);
  }

  /** The running process, or a new one on the same provider. */
  async #running(): Promise<EngineProcess> {
    if (this.#closed) throw new WetreadError('engine-died', 'the engine was closed');
    const known = this.#engine;
    // A start that failed is tried again, too.
    const usable = await known.then(
      (engine) => engine.alive,
      () => false,
    );
    // Of several callers that found the process dead, the first replaces it.
    if (!usable && known === this.#engine) this.#engine = this.#restart();
    const engine = await this.#engine;
    if (!this.#closed) return engine;
    await engine.end();
    throw new WetreadError('engine-died', 'the engine was closed');
  }

  /** @throws bundle-digest when the folder holds another bundle by now: a draft is of the bundle that it names */
  async #restart(): Promise<EngineProcess> {
    const { engine, reply } = await openOn(this.info.provider, this.#options);
    const [found, expected] = [reply.bundle.digest, this.info.bundle.digest];
    if (found === expected) return engine;
    await engine.end();
    throw new WetreadError('bundle-digest', `the bundle has digest ${found.slice(0, 12)}, ${expected.slice(0, 12)} was started`, replaced);
  }

  /** What was computed while a file changed may be of neither bundle: the library maps weights, it does not copy them. */
  async #unchanged<Reply>(reply: Reply): Promise<Reply> {
    const now = await fileStamps(this.#options.bundleDir);
    const changed = [...this.#files].find(([name, stamp]) => now.get(name) !== stamp)?.[0];
    if (changed === undefined) return reply;
    throw new WetreadError('bundle-digest', `${changed} of the bundle changed while its engine runs`, replaced);
  }

  async ask(request: AskRequest, onText?: (text: string) => void): Promise<AskReply> {
    return this.#unchanged(await (await this.#running()).call('ask', request, this.#options.timeoutMs, onText));
  }

  async score(promptId: string, keep: readonly boolean[], nullImage: NullImage): Promise<readonly number[]> {
    return this.#unchanged(await (await this.#running()).call('score', { promptId, keep, nullImage }, this.#options.timeoutMs));
  }

  async release(promptId: string): Promise<void> {
    const engine = await this.#engine.catch(() => null);
    // A process that is gone has forgotten it already.
    if (engine?.alive === true) await engine.call('release', { promptId }, this.#options.timeoutMs);
  }

  async processId(): Promise<number | null> {
    const engine = await this.#engine.catch(() => null);
    return engine?.alive === true ? engine.pid : null;
  }

  async interrupt(): Promise<void> {
    const engine = await this.#engine.catch(() => null);
    await engine?.end();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.interrupt();
  }
}

/**
 * Starts an engine. Example: `const device = await startDevice({ device: 'auto', bundleDir, threads: null, timeoutMs: 120_000 })`.
 *
 * @throws device-unavailable with the reason of each provider that was tried; bundle-invalid, bundle-digest
 */
export async function startDevice(options: DeviceOptions): Promise<Device> {
  // Before the files are read: one that changes while they are is seen at the first answer.
  const files = await fileStamps(options.bundleDir);
  const { engine, reply, provider, refused } = await choose(options);
  return new ProcessDevice({ ...reply, provider, refused }, options, engine, files);
}
