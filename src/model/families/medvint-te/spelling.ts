/** Our names of MedVInT-TE's tensors in the authors' spelling. Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TE/models/llama/vqa_model.py. */
import type { Spelling } from '../../checkpoint/spelling.ts';

const visual = 'image_encoder.visual.';

export const spelling: Spelling = [
  [/^vision_embed\./, 'image_embed.0.'],
  [/^vision\.stem\./, visual],
  [/(?<=^vision\.stages\.\d+\.\d+)\.shortcut\.conv\./, '.downsample.0.'],
  [/(?<=^vision\.stages\.\d+\.\d+)\.shortcut\.bn\./, '.downsample.1.'],
  [/^vision\.stages\.(\d+)\./, (stage = '') => `${visual}layer${Number(stage) + 1}.`],
  [/^vision\./, 'image_encoder.vision_model.'],
  [/^queries\.table$/, 'qformer_query'],
  [/^queries\./, 'qformer_decoder.'],
  [/(?<=^qformer_decoder\..*)\.[qkv]_proj\./, '.in_proj_'],
  [/^fusion\./, 'fusion_module.resblocks.'],
  [/(?<=^fusion_module\..*)\.self_attn\.[qkv]_proj\./, '.attn.in_proj_'],
  [/(?<=^fusion_module\..*)\.self_attn\./, '.attn.'],
  [/(?<=^fusion_module\..*)\.layer_norm/, '.ln_'],
  [/(?<=^fusion_module\..*)\.mlp\.fc1\./, '.mlp.c_fc.'],
  [/(?<=^fusion_module\..*)\.mlp\.fc2\./, '.mlp.c_proj.'],
  [/^head\.projection$/, 'mlm_projection'],
  [/^image_mark$/, 'img_special_token'],
  [/^text_embed\./, 'text_embed.0.'],
  [/^decoder\./, 'text_encoder.base_model.model.'],
];
