/**
 * A CLIP tower under OpenAI's names, in a state dictionary or a TorchScript archive: sizes from shapes, and our names in theirs.
 *
 * No file says the heads: they are 64 values wide in all of OpenAI's models. `visual.proj` lies as [in, out].
 * Source: openai/CLIP, clip/model.py (build_model).
 */
import { WetreadError } from '#domain/errors.ts';
import { countNumbered, dimensions } from '../checkpoint/shapes.ts';
import type { Spelling } from '../checkpoint/spelling.ts';
import type { TensorSource } from '../checkpoint/tensors.ts';
import type { VisionArchitecture } from '../onnx/vision-transformer.ts';

const headWidth = 64;

/** `visual.proj` as [out, in] is our `vision.projection.weight`. */
export const openaiClipSpelling: Spelling = [
  [/^vision\.embeddings\.patch_embedding\./, 'visual.conv1.'],
  [/^vision\.embeddings\.class_embedding$/, 'visual.class_embedding'],
  [/^vision\.embeddings\.position_embedding\.weight$/, 'visual.positional_embedding'],
  [/^vision\.projection\.weight$/, 'visual.proj'],
  [/^vision\.pre_layrnorm\./, 'visual.ln_pre.'],
  [/^vision\.post_layernorm\./, 'visual.ln_post.'],
  [/^vision\.encoder\.layers\./, 'visual.transformer.resblocks.'],
  [/(?<=^visual\..*)\.layer_norm([12])\./, '.ln_$1.'],
  [/(?<=^visual\..*)\.self_attn\.[qkv]_proj\.(weight|bias)$/, '.attn.in_proj_$1'],
  [/(?<=^visual\..*)\.self_attn\.out_proj\./, '.attn.out_proj.'],
  [/(?<=^visual\..*)\.mlp\.fc1\./, '.mlp.c_fc.'],
  [/(?<=^visual\..*)\.mlp\.fc2\./, '.mlp.c_proj.'],
];

/** Names of the text encoder, and of scalars that archives hold. */
export const openaiClipRest =
  /^(transformer\.|ln_final\.|token_embedding\.weight$|positional_embedding$|text_projection$|logit_scale$|(visual\.)?(input_resolution|context_length|vocab_size|output_dim)$)/;

/** Width of the pooled embedding. @throws checkpoint-tensors */
export function openaiProjection(source: Pick<TensorSource, 'names' | 'info'>): number {
  return dimensions(source, 'visual.proj', 2)[1] ?? 0;
}

/** The whole tower, its last norm apart. @throws checkpoint-tensors, architecture-unsupported with the sizes that were found */
export function readOpenaiClip(source: Pick<TensorSource, 'names' | 'info'>): VisionArchitecture {
  const [hiddenSize = 0, channels = 0, patchSize = 0] = dimensions(source, 'visual.conv1.weight', 4);
  const [rows = 0] = dimensions(source, 'visual.positional_embedding', 2);
  const [intermediateSize = 0] = dimensions(source, 'visual.transformer.resblocks.0.mlp.c_fc.weight', 2);
  const side = Math.round(Math.sqrt(rows - 1));
  if (hiddenSize % headWidth !== 0 || side === 0 || side ** 2 + 1 !== rows) {
    throw new WetreadError(
      'architecture-unsupported',
      `CLIP: found a width of ${hiddenSize} and ${rows} positions; a multiple of ${headWidth}, and a square and one more, are expected`,
    );
  }
  return {
    hiddenSize,
    intermediateSize,
    heads: hiddenSize / headWidth,
    blocks: countNumbered(source.names, 'visual.transformer.resblocks.'),
    channels,
    imageSize: side * patchSize,
    patchSize,
    activation: 'quick_gelu',
    normEpsilon: 1e-5,
    kind: 'clip',
    dropFirst: false,
  };
}
