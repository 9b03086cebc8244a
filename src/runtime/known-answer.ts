/**
 * Whether a provider computes rightly what it is known to get wrong, tried at start on tiny graphs against plain arithmetic.
 *
 * WebGPU's GroupQueryAttention, for one, leaves `softcap` out and says nothing. A provider that fails an ability is used only for models that
 * do not need it. Each graph runs several times, on the cache of the run before.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeGraphs } from '#model/onnx/files.ts';
import { Graph } from '#model/onnx/graph.ts';
import { rotaryTable } from '#model/onnx/rotary.ts';
import { type Ability, abilities } from '#model/onnx/sizes.ts';
import { rows8Deviation } from './known-rows8.ts';
import type { OrtRuntime, OrtValue } from './port.ts';

const HEADS = 2;
const KV_HEADS = 1;
const HEAD_DIM = 16;
const WIDTH = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
/**
 * Rows of the calls on one cache: a prompt, a token, a short and a long continuation. From 32 rows on WebGPU takes another kernel, which was
 * seen to be wrong from the fifth row on a device whose subgroups have four lanes (SwiftShader).
 */
const CALLS = [40, 1, 5, 40] as const;
const ROWS = CALLS.reduce((sum: number, rows) => sum + rows, 0);
const WINDOW = 20;
const SOFTCAP = 0.5;
const TOLERANCE = 1e-3;
const rotary = { theta: 10_000, scaling: { type: 'none' } } as const;

interface Variant {
  readonly window: number | null;
  readonly softcap: number | null;
}

const variants = {
  attention: { window: null, softcap: null },
  window: { window: WINDOW, softcap: null },
  softcap: { window: null, softcap: SOFTCAP },
} satisfies Readonly<Partial<Record<Ability, Variant>>>;

/** Fixed numbers between -1.5 and 1.5; no two rows alike. */
function packedRows(): Float32Array {
  return Float32Array.from({ length: ROWS * WIDTH }, (_, i) => 1.5 * Math.sin(1 + i * 0.7 + (i % 7) * (i % 5)));
}

function graphOf(variant: Variant): Graph {
  const graph = new Graph('known-answer');
  const cache = [1, KV_HEADS, 'past', HEAD_DIM];
  const inputs = [
    graph.input('qkv', 'f32', [1, 'rows', WIDTH]),
    '',
    '',
    graph.input('past_key', 'f32', cache),
    graph.input('past_value', 'f32', cache),
    graph.input('seqlens_k', 'i32', [1]),
    graph.input('total', 'i32', []),
  ];
  for (const part of ['cos', 'sin'] as const) {
    const values = () => rotaryTable(part, ROWS, HEAD_DIM, HEAD_DIM, rotary);
    inputs.push(graph.weight(part, [ROWS, HEAD_DIM / 2], { kind: 'computed', values }));
  }
  graph.contrib('GroupQueryAttention', inputs, ['context', 'key', 'value'], {
    num_heads: { int: HEADS },
    kv_num_heads: { int: KV_HEADS },
    do_rotary: { int: 1 },
    scale: { float: 1 / Math.sqrt(HEAD_DIM) },
    ...(variant.window === null ? {} : { local_window_size: { int: variant.window } }),
    ...(variant.softcap === null ? {} : { softcap: { float: variant.softcap } }),
  });
  graph.output('context', 'f32', [1, 'rows', HEADS * HEAD_DIM]);
  for (const name of ['key', 'value']) graph.output(name, 'f32', [1, KV_HEADS, 'all', HEAD_DIM]);
  return graph;
}

/** HEAD_DIM values at `at`, turned by their position. */
function turned(rows: Float32Array, at: number, position: number): readonly number[] {
  const half = HEAD_DIM / 2;
  return Array.from({ length: HEAD_DIM }, (_, d) => {
    const angle = position / rotary.theta ** ((2 * (d % half)) / HEAD_DIM);
    const own = rows[at + d] ?? 0;
    const pair = rows[at + (d < half ? d + half : d - half)] ?? 0;
    return own * Math.cos(angle) + (d < half ? -pair : pair) * Math.sin(angle);
  });
}

/** The attention of all rows in plain arithmetic: [ROWS, HEADS * HEAD_DIM]. */
export function expectedContext(variant: Variant): Float64Array {
  const rows = packedRows();
  const context = new Float64Array(ROWS * HEADS * HEAD_DIM);
  const keyAt = HEADS * HEAD_DIM;
  for (let row = 0; row < ROWS; row++) {
    const first = variant.window === null ? 0 : Math.max(0, row - variant.window + 1);
    for (let head = 0; head < HEADS; head++) {
      const query = turned(rows, row * WIDTH + head * HEAD_DIM, row);
      const weights: number[] = [];
      for (let seen = first; seen <= row; seen++) {
        const key = turned(rows, seen * WIDTH + keyAt, seen);
        const score = query.reduce((sum, value, d) => sum + value * (key[d] ?? 0), 0) / Math.sqrt(HEAD_DIM);
        weights.push(Math.exp(variant.softcap === null ? score : variant.softcap * Math.tanh(score / variant.softcap)));
      }
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let d = 0; d < HEAD_DIM; d++) {
        const mixed = weights.reduce((sum, weight, i) => sum + weight * (rows[(first + i) * WIDTH + keyAt + HEAD_DIM + d] ?? 0), 0);
        context[(row * HEADS + head) * HEAD_DIM + d] = mixed / total;
      }
    }
  }
  return context;
}

/** Largest difference to plain arithmetic; NaN when the provider gave one. */
async function attentionDeviation(runtime: OrtRuntime, own: string, name: keyof typeof variants): Promise<number> {
  const variant = variants[name];
  await writeGraphs(own, 'known-answer.data', [{ file: 'known-answer.onnx', graph: graphOf(variant) }], () =>
    Promise.reject(new Error('a known-answer graph has no checkpoint')),
  );
  const session = await runtime.load(join(own, 'known-answer.onnx'));
  try {
    const all = packedRows();
    const found: number[] = [];
    let key: OrtValue = runtime.value(new Float32Array(0), [1, KV_HEADS, 0, HEAD_DIM]);
    let value = key;
    let from = 0;
    for (const rows of CALLS) {
      const to = from + rows;
      const feeds = {
        qkv: runtime.value(all.slice(from * WIDTH, to * WIDTH), [1, rows, WIDTH]),
        past_key: key,
        past_value: value,
        seqlens_k: runtime.value(Int32Array.of(to - 1), [1]),
        total: runtime.value(Int32Array.of(to), []),
      };
      const out = await session.run(feeds, ['context', 'key', 'value']);
      found.push(...(out.context?.read() ?? []));
      key = out.key ?? key;
      value = out.value ?? value;
      from = to;
    }
    const expected = expectedContext(variant);
    return Math.max(...expected.map((correct, i) => Math.abs((found[i] ?? Number.NaN) - correct)));
  } finally {
    await session.release();
  }
}

async function deviation(runtime: OrtRuntime, folder: string, name: Ability): Promise<number> {
  const own = join(folder, name);
  await mkdir(own);
  return await (name === 'rows8' ? rows8Deviation(runtime, own) : attentionDeviation(runtime, own, name));
}

/** What became of an ability: null = right, else what went wrong. */
export type KnownAnswers = Readonly<Record<Ability, string | null>>;

/** Tries every ability of a provider. Never throws for a provider that does not start: its words are the answer. */
export async function tryKnownAnswers(runtime: OrtRuntime): Promise<KnownAnswers> {
  const folder = await mkdtemp(join(tmpdir(), 'wetread-known-answer-'));
  const answers: Record<Ability, string | null> = { attention: null, window: null, softcap: null, rows8: null };
  try {
    for (const name of abilities) {
      try {
        const difference = await deviation(runtime, folder, name);
        // NaN compares false, so the test is for being right.
        if (!(difference <= TOLERANCE)) answers[name] = `computes ${name} wrongly: off by ${difference.toPrecision(2)}`;
      } catch (error) {
        answers[name] = error instanceof Error ? error.message : String(error);
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return answers;
}
