/**
 * The port on the stock onnxruntime-node binding.
 *
 * Its `run` blocks the event loop for its whole length and cannot be cancelled, so it belongs in a child process. Fetches are always named:
 * what is fetched is copied. Messages of the library may contain paths; they are cut out before anyone sees them.
 * Source: onnxruntime-node 1.30 (measured: growing past and present beat a fixed buffer on this binding).
 */
import { basename, dirname } from 'node:path';
import * as ort from 'onnxruntime-node';
import { WetreadError } from '#domain/errors.ts';
import type { OrtRuntime, OrtSession, OrtValue, Provider, TensorData } from './port.ts';

class StockValue implements OrtValue {
  readonly tensor: ort.Tensor;

  constructor(tensor: ort.Tensor) {
    this.tensor = tensor;
  }

  get dims(): readonly number[] {
    return this.tensor.dims;
  }

  read(): Float32Array {
    const { data } = this.tensor;
    if (!(data instanceof Float32Array)) throw new WetreadError('internal', `a tensor of type ${this.tensor.type} was read as f32`);
    return data;
  }
}

/** The library's words without folders and without places in its own source. */
function saidBy(error: unknown, folder: string): string {
  const text = error instanceof Error ? error.message : String(error);
  const own = text.replaceAll(/\/onnxruntime_src\/.*? was false\.\s*/gs, '');
  return own.replaceAll(folder, '').replaceAll(/\s+/g, ' ').trim().slice(0, 400);
}

function tensorOf(name: string, value: OrtValue): ort.Tensor {
  if (value instanceof StockValue) return value.tensor;
  throw new WetreadError('internal', `input ${name} was made by another runtime`);
}

class StockSession implements OrtSession {
  readonly #session: ort.InferenceSession;
  readonly #name: string;
  readonly #folder: string;

  constructor(session: ort.InferenceSession, path: string) {
    this.#session = session;
    this.#name = basename(path);
    this.#folder = dirname(path);
  }

  async run(feeds: Readonly<Record<string, OrtValue>>, fetches: readonly string[]): Promise<Readonly<Record<string, OrtValue>>> {
    const inputs: Record<string, ort.Tensor> = {};
    for (const [name, value] of Object.entries(feeds)) inputs[name] = tensorOf(name, value);
    let outputs: ort.InferenceSession.OnnxValueMapType;
    try {
      outputs = await this.#session.run(inputs, [...fetches]);
    } catch (cause) {
      throw new WetreadError('internal', `${this.#name} does not run: ${saidBy(cause, this.#folder)}`, { cause });
    }
    const values: Record<string, OrtValue> = {};
    for (const name of fetches) {
      const output = outputs[name];
      if (output === undefined) throw new WetreadError('internal', `${this.#name} gave no ${name}`);
      values[name] = new StockValue(output);
    }
    return values;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

export interface StockOptions {
  readonly provider: Provider;
  /** Threads of one operator; null = the library's choice (one per core). */
  readonly threads: number | null;
  /** Refuse graphs of which a part would run on the CPU instead of the provider. */
  readonly strict: boolean;
}

function sessionOptions(options: StockOptions): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: [options.provider],
    ...(options.threads === null ? {} : { intraOpNumThreads: options.threads }),
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    // Three sessions share a process and the machine: threads that spin for work take it from each other.
    extra: {
      session: {
        intra_op: { allow_spinning: '0' },
        ...(options.strict && options.provider !== 'cpu' ? { disable_cpu_ep_fallback: '1' } : {}),
      },
    },
  };
}

export function openStockRuntime(options: StockOptions): OrtRuntime {
  // Before the first session: the library writes errors, with paths, to stderr whatever is caught here.
  ort.env.logLevel = 'fatal';
  return {
    provider: options.provider,
    value(data: TensorData, dims: readonly number[]): OrtValue {
      if (data instanceof Float32Array) return new StockValue(new ort.Tensor('float32', data, dims));
      return new StockValue(data instanceof Int32Array ? new ort.Tensor('int32', data, dims) : new ort.Tensor('int64', data, dims));
    },
    async load(path: string): Promise<OrtSession> {
      try {
        return new StockSession(await ort.InferenceSession.create(path, sessionOptions(options)), path);
      } catch (cause) {
        const code = options.provider === 'cpu' ? 'bundle-invalid' : 'device-unavailable';
        throw new WetreadError(code, `${basename(path)} cannot be loaded on ${options.provider}: ${saidBy(cause, dirname(path))}`, {
          cause,
        });
      }
    },
  };
}
