/** Mapper and language model in plain arithmetic, from the authors' tensors by their names: what the imported graphs must give. */
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { hidden, type Kind, layers, loraRank, virtualRows } from './checkpoint.ts';

type Rows = number[][];

const heads = 4;
const width = hidden / heads;
const loraAlpha = 32;

export interface Flags {
  /** scale_attn_by_inverse_layer_idx. */
  readonly inverse?: boolean;
}

const geluTanh = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** The error function by its series, and 1 where it has converged to it. */
function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; n < 120; n++) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
const gelu = (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2));

export class Plain {
  readonly #tensors: ReadonlyMap<string, NamedTensor>;
  readonly #kind: Kind;
  readonly #flags: Flags;

  constructor(tensors: readonly NamedTensor[], kind: Kind, flags: Flags) {
    this.#tensors = new Map(tensors.map((tensor) => [tensor.name.replace('.base_layer.', '.'), tensor]));
    this.#kind = kind;
    this.#flags = flags;
  }

  #has(name: string): boolean {
    return this.#tensors.has(name);
  }

  #rows(name: string): Rows {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new Error(`no tensor ${name}`);
    const columns = tensor.shape.length === 1 ? tensor.values.length : tensor.values.length / (tensor.shape[0] ?? 1);
    return Array.from({ length: tensor.values.length / columns }, (_, row) => [...tensor.values.slice(row * columns, (row + 1) * columns)]);
  }

  #vector(name: string): number[] {
    return this.#rows(name)[0] ?? [];
  }

  /** [out][in] of a layer, its LoRA pair added; `conv`: it lies as [in, out]. */
  #matrix(name: string, conv: boolean): Rows {
    const stored = this.#rows(`${name}.weight`);
    const matrix = conv ? (stored[0] ?? []).map((_, out) => stored.map((row) => row[out] ?? 0)) : stored;
    if (!this.#has(`${name}.lora_A.default.weight`)) return matrix;
    const [a, b] = [this.#rows(`${name}.lora_A.default.weight`), this.#rows(`${name}.lora_B.default.weight`)];
    return matrix.map((row, out) =>
      row.map(
        (value, into) => value + a.reduce((sum, down, r) => sum + (b[out]?.[r] ?? 0) * (down[into] ?? 0), 0) * (loraAlpha / loraRank),
      ),
    );
  }

  #linear(x: Rows, name: string, { conv = false, bias = true } = {}): Rows {
    const matrix = this.#matrix(name, conv);
    const offset = bias ? this.#vector(`${name}.bias`) : [];
    return x.map((row) => matrix.map((weights, out) => weights.reduce((sum, weight, i) => sum + weight * (row[i] ?? 0), offset[out] ?? 0)));
  }

  #norm(x: Rows, name: string): Rows {
    const [scale, offset] = [this.#vector(`${name}.weight`), this.#vector(`${name}.bias`)];
    return x.map((row) => {
      const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
      return row.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (scale[i] ?? 0) + (offset[i] ?? 0));
    });
  }

  /** One embedding -> the rows of the slot. */
  mapped(vision: readonly number[]): Rows {
    const at = 'clip_project.';
    if (this.#kind.mapper === 'mlp') {
      let x: Rows = [[...vision]];
      for (const layer of [0, 3, 6]) x = this.#linear(layer === 0 ? x : x.map((row) => row.map(Math.tanh)), `${at}model.${layer}`);
      return cut(x[0] ?? [], hidden);
    }
    const [wide = []] = this.#linear([[...vision]], `${at}linear`);
    const learned = this.#rows(`${at}prefix_const`);
    let x = [...cut(wide, hidden), ...learned];
    for (const n of [0, 1]) {
      const block = `${at}transformer.layers.${n}.`;
      const normed = this.#norm(x, `${block}norm1`);
      const q = this.#linear(normed, `${block}attn.to_queries`, { bias: false });
      const both = this.#linear(normed, `${block}attn.to_keys_values`, { bias: false });
      const [k, v] = [both.map((row) => row.slice(0, hidden)), both.map((row) => row.slice(hidden))];
      const context = attend(q, k, v, 8, 1 / Math.sqrt(hidden / 8), null);
      x = added(x, this.#linear(context, `${block}attn.project`));
      const up = this.#linear(this.#norm(x, `${block}norm2`), `${block}mlp.fc1`).map((row) => row.map((value) => Math.max(0, value)));
      x = added(x, this.#linear(up, `${block}mlp.fc2`));
    }
    return x.slice(-learned.length);
  }

  /** Rows of token ids. */
  tokens(ids: readonly number[]): Rows {
    const table = this.#rows(this.#name('transformer.wte.weight', 'biogpt.embed_tokens.weight'));
    return ids.map((id) => table[id] ?? []);
  }

  #name(gpt2: string, biogpt: string): string {
    const { model, tuning } = this.#kind;
    const root = tuning === 'frozen' ? 'gpt.' : tuning.startsWith('lora') ? 'gpt.base_model.model.' : 'gpt.base_model.';
    return root + (model === 'gpt2' ? gpt2 : biogpt);
  }

  /** Rows in front of the prompt, and keys and values in front of each layer's. */
  #learned(): { readonly front: Rows; readonly cache: Rows } {
    const { tuning } = this.#kind;
    if (tuning !== 'prefix' && tuning !== 'prompt' && tuning !== 'p-tuning') return { front: [], cache: [] };
    const table = this.#rows('gpt.prompt_encoder.default.embedding.weight');
    if (tuning === 'prefix') return { front: [], cache: table };
    if (tuning === 'prompt') return { front: table, cache: [] };
    const positive = (x: Rows) => x.map((row) => row.map((value) => Math.max(0, value)));
    const at = 'gpt.prompt_encoder.default.mlp_head.';
    return { front: this.#linear(positive(this.#linear(positive(this.#linear(table, `${at}0`)), `${at}2`)), `${at}4`), cache: [] };
  }

  /** Logits of every row of a prompt. */
  logits(prompt: Rows): Rows {
    const isGpt2 = this.#kind.model === 'gpt2';
    const { front, cache } = this.#learned();
    const positions = this.#rows(this.#name('transformer.wpe.weight', 'biogpt.embed_positions.weight'));
    const from = (isGpt2 ? 0 : 2) + cache.length;
    let x = [...front, ...prompt].map((row, at) => row.map((value, i) => value + (positions[from + at]?.[i] ?? Number.NaN)));
    for (let n = 0; n < layers; n++) {
      const block = this.#name(`transformer.h.${n}.`, `biogpt.layers.${n}.`);
      const normed = this.#norm(x, `${block}${isGpt2 ? 'ln_1' : 'self_attn_layer_norm'}`);
      const [q, k, v] = this.#queries(normed, block);
      const learned = (part: number) => cache.map((row) => row.slice((2 * n + part) * hidden, (2 * n + part + 1) * hidden));
      const scale = 1 / Math.sqrt(width) / (this.#flags.inverse === true ? n + 1 : 1);
      const context = attend(q, [...learned(0), ...k], [...learned(1), ...v], heads, scale, cache.length);
      x = added(x, this.#linear(context, `${block}${isGpt2 ? 'attn.c_proj' : 'self_attn.out_proj'}`, { conv: isGpt2 }));
      const second = this.#norm(x, `${block}${isGpt2 ? 'ln_2' : 'final_layer_norm'}`);
      const up = this.#linear(second, `${block}${isGpt2 ? 'mlp.c_fc' : 'fc1'}`, { conv: isGpt2 });
      const active = up.map((row) => row.map(isGpt2 ? geluTanh : gelu));
      x = added(x, this.#linear(active, `${block}${isGpt2 ? 'mlp.c_proj' : 'fc2'}`, { conv: isGpt2 }));
    }
    const last = this.#norm(x, this.#name('transformer.ln_f', 'biogpt.layer_norm'));
    return this.#linear(last, this.#name('lm_head', 'output_projection'), { bias: false });
  }

  #queries(x: Rows, block: string): readonly [Rows, Rows, Rows] {
    if (this.#kind.model === 'biogpt') {
      const part = (letter: string) => this.#linear(x, `${block}self_attn.${letter}_proj`);
      return [part('q'), part('k'), part('v')];
    }
    const packed = this.#linear(x, `${block}attn.c_attn`, { conv: true });
    const part = (at: number) => packed.map((row) => row.slice(at * hidden, (at + 1) * hidden));
    return [part(0), part(1), part(2)];
  }
}

const cut = (values: readonly number[], size: number): Rows =>
  Array.from({ length: values.length / size }, (_, row) => values.slice(row * size, (row + 1) * size));

const added = (a: Rows, b: Rows): Rows => a.map((row, at) => row.map((value, i) => value + (b[at]?.[i] ?? Number.NaN)));

/** Row i sees the first `ahead` + i + 1 keys; null = all. */
function attend(q: Rows, k: Rows, v: Rows, count: number, scale: number, ahead: number | null): Rows {
  const size = (q[0]?.length ?? 0) / count;
  return q.map((query, row) =>
    query.map((_, column) => {
      const start = Math.floor(column / size) * size;
      const seen = ahead === null ? k : k.slice(0, ahead + row + 1);
      const scores = seen.map((key) => scale * query.slice(start, start + size).reduce((sum, x, i) => sum + x * (key[start + i] ?? 0), 0));
      const most = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - most));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return weights.reduce((sum, weight, at) => sum + weight * (v[at]?.[column] ?? 0), 0) / total;
    }),
  );
}

/** Rows that stand in front of a prompt's own. */
export const frontRows = ({ tuning }: Kind): number => (tuning === 'prompt' || tuning === 'p-tuning' ? virtualRows : 0);
