import { describe, expect, test } from 'vitest';
import { families } from '#model/families/registry.ts';
import { readArchitecture, type VilaConfigs, vilaSizes } from '#model/families/vila-m3/architecture.ts';
import { vilaProcessor } from '#model/families/vila-m3/preprocess.ts';
import { configs } from './checkpoint.ts';

type Parts = { readonly [Part in keyof typeof configs]?: Record<string, unknown> };

function changed(parts: Parts): VilaConfigs {
  return {
    top: { ...configs.top, ...parts.top },
    llm: { ...configs.llm, ...parts.llm },
    tower: { ...configs.tower, ...parts.tower },
    projector: { ...configs.projector, ...parts.projector },
  };
}

const read = (parts: Parts, order: 'columns' | 'rows' | null = null) => readArchitecture(changed(parts), order);

test('the family is told from llava by the config alone', () => {
  expect(families.find((family) => family.detect(configs.top))?.name).toBe('vila-m3');
  expect(families.find((family) => family.detect({ architectures: ['LlavaLlamaForCausalLM'], model_type: 'llava_llama' }))?.name).toBe(
    'llava',
  );
});

describe('sizes', () => {
  test.each([
    [42, 4],
    [56, 4],
    [70, 9],
    [378, 196],
  ])('a picture of %i gives %i rows after the merge', (image_size, rows) => {
    expect(vilaSizes(read({ tower: { image_size } })).visualTokens).toBe(rows);
  });

  test('M3 at 384 pixels: 27 x 27 rows become 196', () => {
    expect(vilaSizes(read({ tower: { image_size: 384, patch_size: 14 } })).visualTokens).toBe(196);
  });

  test('a projector without a merge gives a row for each row', () => {
    const { projector, ...rest } = read({ projector: { mm_projector_type: 'mlp3x_gelu' } });
    expect(projector).toMatchObject({ kind: 'layers', layers: 3 });
    expect(vilaSizes({ projector, ...rest }).visualTokens).toBe(9);
  });

  test('the context is what was trained; without it what positions reach, which linear scaling stretches', () => {
    expect(read({}).decoder.maxPositions).toBe(500);
    expect(read({ llm: { max_position_embeddings: 300 } }).decoder.maxPositions).toBe(500);
    const scaling = { max_position_embeddings: 200, rope_scaling: { type: 'linear', factor: 2 } };
    expect(read({ llm: { ...scaling, tokenizer_model_max_length: null } }).decoder.maxPositions).toBe(400);
    expect(read({ llm: { tokenizer_model_max_length: null } }).decoder.maxPositions).toBe(600);
  });
});

describe('the order of merged blocks', () => {
  test.each(['4.36.0', '4.37.2', undefined])('transformers %s: column by column', (transformers_version) => {
    expect(read({ top: { transformers_version } }).projector).toMatchObject({ order: 'columns' });
  });

  test.each(['4.38.0', '4.46.0', '5.0.0'])('transformers %s: asked for by name', (transformers_version) => {
    expect(() => read({ top: { transformers_version } })).toThrow(
      expect.objectContaining({ code: 'import-option-missing', hint: expect.stringContaining('mergeOrder') }),
    );
    expect(read({ top: { transformers_version } }, 'rows').projector).toMatchObject({ order: 'rows' });
  });
});

describe('what is not built is refused by name', () => {
  test.each<[string, Parts, RegExp]>([
    ['image tokens', { top: { mm_use_im_start_end: true } }, /mm_use_im_start_end true/],
    ['a patch token, the class default', { top: { mm_use_im_patch_token: undefined } }, /mm_use_im_patch_token is true/],
    ['several scales', { top: { s2: true } }, /s2 is true/],
    ['tiles', { top: { image_aspect_ratio: 'dynamic' } }, /image_aspect_ratio is dynamic/],
    ['a later merge', { projector: { mm_projector_type: 'mlp_downsample_2x2_fix' } }, /mm_projector_type is mlp_downsample_2x2_fix/],
    ['rows that are no square', { top: { mm_vision_select_feature: 'patch' } }, /needs a square of rows, the tower gives 8/],
    ['another feature', { top: { mm_vision_select_feature: 'cls' } }, /mm_vision_select_feature is cls/],
    ['another tower', { tower: { model_type: 'intern_vit_6b' } }, /vision tower intern_vit_6b/],
    ['widths that differ', { top: { mm_hidden_size: 64 } }, /mm_hidden_size is 64 .* hidden_size is 32/],
    ['another decoder', { llm: { model_type: 'gpt_neox' } }, /decoder gpt_neox is not built/],
  ])('%s', (_, parts, message) => {
    expect(() => read(parts)).toThrow(
      expect.objectContaining({ code: 'architecture-unsupported', message: expect.stringMatching(message) }),
    );
  });
});

describe('pictures', () => {
  const clip = { size: { shortest_edge: 30 }, crop_size: { height: 30, width: 30 }, resample: 2 };

  test('resize stretches to the square, bicubic whatever the processor says', () => {
    const processor = vilaProcessor(clip, 'resize');
    expect(processor).toMatchObject({ pad: false, filter: 'bicubic', crop: null, resize: { to: 'size', height: 30, width: 30 } });
  });

  test('pad and none leave the processor as it is', () => {
    expect(vilaProcessor(clip, 'pad')).toMatchObject({ pad: true, filter: 'bilinear', resize: { to: 'shortest', edge: 30 } });
    expect(vilaProcessor(clip, 'processor')).toMatchObject({ pad: false, crop: { height: 30 } });
  });

  test('a processor that would resize once more is refused', () => {
    expect(() => vilaProcessor({ ...clip, size: { shortest_edge: 40 } }, 'resize')).toThrow(
      expect.objectContaining({ code: 'architecture-unsupported', message: expect.stringContaining('change the picture again') }),
    );
  });
});
