/**
 * Our names of MedVInT-TD's tensors in the authors' spelling. Its ResNet is a Sequential of children: 0, 3, 6 are the stem's convolutions, 1, 4,
 * 7 its norms, 10 to 12 the stages; activations and the pool between them hold nothing. `llamacasual` is theirs.
 * Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TD/models/QA_model.py.
 */
import type { Spelling } from '../../checkpoint/spelling.ts';

const firstConvolution = 0;
const firstNorm = 1;
/** Children of a step of the stem: convolution, norm, activation. */
const step = 3;
const firstStage = 10;

export const spelling: Spelling = [
  [/^vision\.stem\.conv(\d+)\./, (n = '') => `vision_model.${firstConvolution + step * (Number(n) - 1)}.`],
  [/^vision\.stem\.bn(\d+)\./, (n = '') => `vision_model.${firstNorm + step * (Number(n) - 1)}.`],
  [/(?<=^vision\.stages\.\d+\.\d+)\.shortcut\.conv\./, '.downsample.0.'],
  [/(?<=^vision\.stages\.\d+\.\d+)\.shortcut\.bn\./, '.downsample.1.'],
  [/^vision\.stages\.(\d+)\./, (stage = '') => `vision_model.${firstStage + Number(stage)}.`],
  [/^vision\./, 'vision_model.vision_model.'],
  [/^decoder\./, 'llamacasual.base_model.model.model.'],
  [/^head\./, 'llamacasual.base_model.model.lm_head.'],
  [/^queries\.table$/, 'query_embed.weight'],
  [/^queries\./, 'decoder.'],
  [/(?<=^decoder\..*)\.[qkv]_proj\./, '.in_proj_'],
  [/^projector\.0\./, 'fc_l1.'],
  [/^projector\.1\./, 'fc_l2.'],
];
