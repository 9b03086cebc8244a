/** The decoder in plain double-precision arithmetic, straight from its definition: one row at a time, no cache, no library. */
import type { DecoderArchitecture } from '#model/onnx/decoder.ts';
import { rotaryFrequencies } from '#model/onnx/rotary.ts';

type Tensors = (name: string) => Float32Array;
type Row = readonly number[];

function linear(tensors: Tensors, name: string, x: Row, bias: boolean): Row {
  const weight = tensors(`${name}.weight`);
  const offset = bias ? tensors(`${name}.bias`) : null;
  return Array.from({ length: weight.length / x.length }, (_, o) =>
    x.reduce((sum, value, i) => sum + value * (weight[o * x.length + i] ?? 0), offset?.[o] ?? 0),
  );
}

function normed(tensors: Tensors, name: string, x: Row, epsilon: number): Row {
  const scale = tensors(`${name}.weight`);
  const root = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + epsilon);
  return x.map((value, i) => (value / root) * (scale[i] ?? 0));
}

const sum = (a: Row, b: Row): Row => a.map((value, i) => value + (b[i] ?? 0));

/** @param positions the row's own, for each frequency */
function turned(x: Row, positions: Row, frequencies: Float32Array): Row {
  const half = frequencies.length;
  return x.map((value, d) => {
    const angle = (positions[d % half] ?? 0) * (frequencies[d % half] ?? 0);
    const pair = x[d < half ? d + half : d - half] ?? 0;
    return value * Math.cos(angle) + (d < half ? -pair : pair) * Math.sin(angle);
  });
}

/** Position of each row for each frequency: its index, or that of the axis whose frequency it is. */
function positionsOf(a: DecoderArchitecture, rows: number, axes: readonly Row[]): Row[] {
  const axisOf = (a.positionSections ?? [a.headDim / 2]).flatMap((count, axis) => new Array<number>(count).fill(axis));
  return Array.from({ length: rows }, (_, row) => axisOf.map((axis) => axes[axis]?.[row] ?? row));
}

interface Places {
  /** Positions on each axis, where they are not the index. */
  readonly axes?: readonly Row[];
  /** Rows that no row sees, but themselves are computed. */
  readonly hidden?: ReadonlySet<number>;
}

function attention(a: DecoderArchitecture, tensors: Tensors, layer: number, rows: readonly Row[], places: Places): readonly Row[] {
  const { axes = [], hidden = new Set<number>() } = places;
  const at = `decoder.layers.${layer}.self_attn`;
  const frequencies = rotaryFrequencies(a.headDim, a.rotary);
  const heads = (x: Row, count: number): Row[] => Array.from({ length: count }, (_, h) => x.slice(h * a.headDim, (h + 1) * a.headDim));
  const positions = positionsOf(a, rows.length, axes);
  const turn = (x: Row, row: number): Row => turned(x, positions[row] ?? [], frequencies);
  const queries = rows.map((x, p) => heads(linear(tensors, `${at}.q_proj`, x, a.bias.qkv), a.heads).map((q) => turn(q, p)));
  const keys = rows.map((x, p) => heads(linear(tensors, `${at}.k_proj`, x, a.bias.qkv), a.kvHeads).map((k) => turn(k, p)));
  const values = rows.map((x) => heads(linear(tensors, `${at}.v_proj`, x, a.bias.qkv), a.kvHeads));
  const window = a.windows[layer] ?? Number.POSITIVE_INFINITY;
  return rows.map((_, row) => {
    const mixed = Array.from({ length: a.heads }, (__, head): Row => {
      const group = Math.floor(head / (a.heads / a.kvHeads));
      const seen = rows.map((___, p) => p).filter((p) => p <= row && row - p < window && !hidden.has(p));
      const weights = seen.map((p) => {
        const score = (queries[row]?.[head] ?? []).reduce((s, q, d) => s + q * (keys[p]?.[group]?.[d] ?? 0), 0);
        return Math.exp(score / Math.sqrt(a.headDim));
      });
      const total = weights.reduce((s, weight) => s + weight, 0);
      return Array.from({ length: a.headDim }, (___, d) =>
        seen.reduce((s, p, i) => s + ((weights[i] ?? 0) / total) * (values[p]?.[group]?.[d] ?? 0), 0),
      );
    });
    return linear(tensors, `${at}.o_proj`, mixed.flat(), a.bias.out);
  });
}

/** Every row after all layers and the last norm: rows [count][hidden] -> [count][hidden]. */
export function plainRows(a: DecoderArchitecture, tensors: Tensors, rows: readonly Row[], places: Places = {}): readonly Row[] {
  let x = rows;
  for (const layer of a.windows.keys()) {
    const at = `decoder.layers.${layer}`;
    const attended = attention(
      a,
      tensors,
      layer,
      x.map((row) => normed(tensors, `${at}.input_layernorm`, row, a.normEpsilon)),
      places,
    );
    x = x.map((row, i) => sum(row, attended[i] ?? []));
    x = x.map((row) => {
      const h = normed(tensors, `${at}.post_attention_layernorm`, row, a.normEpsilon);
      const gate = linear(tensors, `${at}.mlp.gate_proj`, h, a.bias.mlp);
      const up = linear(tensors, `${at}.mlp.up_proj`, h, a.bias.mlp);
      const product = gate.map((value, i) => (value / (1 + Math.exp(-value))) * (up[i] ?? 0));
      return sum(row, linear(tensors, `${at}.mlp.down_proj`, product, a.bias.mlp));
    });
  }
  return x.map((row) => normed(tensors, 'decoder.norm', row, a.normEpsilon));
}

/** Logits of every row: rows [count][hidden] -> [count][vocab]. */
export function plainDecoder(a: DecoderArchitecture, tensors: Tensors, rows: readonly Row[], places: Places = {}): readonly Row[] {
  const head = a.tiedHead ? 'decoder.embed_tokens' : 'head';
  return plainRows(a, tensors, rows, places).map((row) => linear(tensors, head, row, false));
}
