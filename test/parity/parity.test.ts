import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compareClose, compareExact } from '#parity/compare.ts';
import { keepOneIn, leaveOneOut, shapley } from '#parity/games.ts';
import { parityTable, runParity } from '#parity/parity.ts';
import { precisionTable, runPrecision } from '#parity/precision.ts';
import { golden, temporaryFolder } from '../model/folder.ts';
import { available, sharedPath } from '../setup/require.ts';

const folder = await temporaryFolder();

test('the committed golden set is equal, in a clone alone', async () => {
  const result = await runParity(golden);
  expect(result.rows.filter((row) => row.verdict !== 'ok').map((row) => [row.name, row.note])).toEqual([]);
  expect(result).toMatchObject({ checked: 15, misses: 0, unsupported: 0, ok: true });
});

describe.skipIf(!available('shared'))('the whole golden set', () => {
  test.each(['llava', 'preprocessing', 'radfm'])('%s is equal', async (family) => {
    const result = await runParity(sharedPath('golden', family));
    expect(result.rows.filter((row) => row.verdict !== 'ok').map((row) => [row.name, row.note])).toEqual([]);
    expect(result.ok).toBe(true);
  });
});

/** A copy of one committed variant with one case, which is changed. */
async function changed(name: string, change: (json: Record<string, unknown>) => void): Promise<string> {
  const root = join(folder, name, 'some', 'depth');
  await cp(join(golden, 'llava/original-llama-bin2'), root, { recursive: true, filter: (from) => !/four\.(json|safetensors)$/.test(from) });
  const path = join(root, 'cases/one.json');
  const json = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  change(json);
  await writeFile(path, JSON.stringify(json));
  return join(folder, name);
}

describe('a checker that can fail', () => {
  const first = (key: string, by: number) => (json: Record<string, unknown>) => {
    const list = json[key] as number[];
    list[0] = (list[0] ?? 0) + by;
  };
  test.each([
    ['tokens', first('input_ids', 1)],
    // The last one: the rows of step_logits depend on those before it.
    ['greedy', (json: Record<string, unknown>) => (json.output_ids as number[]).splice(-1, 1, 3)],
    ['subset log-probs', (json: Record<string, unknown>) => Object.assign((json.score as { null_mean: object }).null_mean, { '0': -1 })],
    ['shapley', (json: Record<string, unknown>) => Object.assign(json.score as object, { shapley_black: [9] })],
    ['loo', (json: Record<string, unknown>) => Object.assign(json.score as object, { leave_one_out_mean: [9] })],
    ['kin', (json: Record<string, unknown>) => Object.assign(json.score as object, { keep_one_in_mean: [9] })],
  ])('a wrong number in %s is a miss of that column alone, at any depth', async (column, change) => {
    const result = await runParity(await changed(column, change));
    const row = result.rows.find(({ name }) => name === 'some/depth/cases/one');
    expect(row?.verdict).toBe('MISS');
    expect(
      Object.entries(row?.cells ?? {})
        .filter(([, cell]) => cell.miss)
        .map(([name]) => name),
    ).toEqual([column]);
    expect(result).toMatchObject({ checked: 1, misses: 1, ok: false });
  });

  test('fields that a case leaves out are shown as not checked', async () => {
    const root = await changed('fewer', (json) => {
      Reflect.deleteProperty(json, 'score');
      Reflect.deleteProperty(json, 'output_ids');
    });
    await rm(join(root, 'some/depth/cases/one.safetensors'));
    const result = await runParity(root);
    const row = result.rows.find(({ name }) => name.endsWith('one'));
    expect(row?.verdict).toBe('ok');
    expect(
      Object.entries(row?.cells ?? {})
        .filter(([, cell]) => cell.text !== '-')
        .map(([name]) => name),
    ).toEqual(['tokens']);
    expect(parityTable(result)).toContain('- the case leaves the field out, so it was not checked');
  });

  test('a case in which nothing can be compared is a miss', async () => {
    const root = await changed('nothing', (json) => {
      for (const key of ['score', 'output_ids', 'input_ids', 'prompt_text']) Reflect.deleteProperty(json, key);
    });
    await rm(join(root, 'some/depth/cases/one.safetensors'));
    expect((await runParity(root)).rows.find(({ name }) => name.endsWith('one'))).toMatchObject({
      verdict: 'MISS',
      note: 'nothing in this case was compared',
    });
  });

  test('a checkpoint that cannot be imported is a miss of its cases, with the code', async () => {
    const root = await changed('broken', () => undefined);
    await rm(join(root, 'some/depth/checkpoint/tokenizer.model'));
    const result = await runParity(root);
    expect(result).toMatchObject({ misses: 1, ok: false });
    expect(result.rows[0]?.note).toMatch(/^tokenizer-unsupported: /);
  });

  test('a family that is not built is listed and is no miss, but a set of nothing else is a failure', async () => {
    const root = await changed('other', () => undefined);
    await writeFile(join(root, 'some/depth/cases/two.json'), '{"family":"whisper"}');
    expect(await runParity(root)).toMatchObject({ unsupported: 1, checked: 1, misses: 0, ok: true });
    await rm(join(root, 'some/depth/cases/one.json'));
    const alone = await runParity(root);
    expect(alone.ok).toBe(false);
    expect(parityTable(alone)).toContain('Nothing was checked: that is a failure.');
  });

  test('no case at all is a failure, and so is a folder that is not there', async () => {
    const result = await runParity(join(golden, 'llava/original-llama-bin2/checkpoint'));
    expect(result.ok).toBe(false);
    expect(parityTable(result)).toContain('No cases/*.json was found: that is a failure.');
    await expect(runParity(join(folder, 'absent'))).rejects.toMatchObject({ code: 'usage' });
  });

  test('a file among the cases that is none is a miss', async () => {
    const root = await changed('text', () => undefined);
    await writeFile(join(root, 'some/depth/cases/bad.json'), '{');
    expect((await runParity(root)).rows.find(({ name }) => name.endsWith('bad'))).toMatchObject({ verdict: 'MISS' });
  });
});

describe('bundles with other weights than fp32', () => {
  test.each(['fp16', 'int8'] as const)('%s: the largest differences are told by family', async (weights) => {
    const result = await runPrecision(golden, weights);
    expect(result.families.map(({ family, failures }) => [family, failures])).toEqual([['llava', []]]);
    const [llava] = result.families;
    expect(llava?.logits).toBeGreaterThan(0);
    expect(llava?.logProbs).toBeGreaterThan(0);
    expect(llava?.answers).toBe(llava?.cases);
    expect(result.ok).toBe(true);
    expect(result.tolerance).toBe(weights === 'fp16' ? 0.01 : null);
    expect(precisionTable(result)).toMatch(new RegExp(`of ${weights} bundles[^]*\\nllava +${llava?.cases} `));
  });

  test('fp32 against itself is zero, and a set without a case is a failure', async () => {
    const same = await runPrecision(join(golden, 'llava/original-llama-bin2'), 'fp32');
    expect(same.families).toMatchObject([{ logits: 0, ofRow: 0, logProbs: 0, failures: [] }]);
    expect(same.families[0]?.equalAnswers).toBe(same.families[0]?.answers);
    expect((await runPrecision(join(golden, 'llava/original-llama-bin2/checkpoint'), 'fp16')).ok).toBe(false);
  });

  test('a checkpoint that cannot be imported is told and is a failure', async () => {
    const root = await changed('broken-weights', () => undefined);
    await rm(join(root, 'some/depth/checkpoint/tokenizer.model'));
    const result = await runPrecision(root, 'int8');
    expect(result.ok).toBe(false);
    expect(precisionTable(result)).toContain('tokenizer-unsupported: ');
  });
});

describe('comparing', () => {
  const tolerance = { abs: 1e-4, rel: 1e-3 };
  test.each([
    ['within abs', [0.00005], [0], false],
    ['beyond abs', [0.0002], [0], true],
    ['within rel where large', [100.05], [100], false],
    ['beyond rel', [100.2], [100], true],
    ['NaN', [Number.NaN], [1], true],
    ['infinity', [Number.POSITIVE_INFINITY], [1], true],
    ['another length', [1, 2], [1], true],
  ])('%s', (_, found, expected, isMiss) => expect(compareClose(found, expected, tolerance).miss).toBe(isMiss));

  test('by row, a small value may be off by what the largest of its row allows, and the cell says so', () => {
    const close = { abs: 1e-4, rel: 1e-3, row: 2 };
    expect(compareClose([100, 0.05], [100, 0.1], close)).toEqual({ text: '5e-2~', miss: false });
    expect(compareClose([100, 0.1, 0.05, 0], [100, 0.1, 0.1, 0], close).miss).toBe(true);
    expect(compareClose([100.05, 0.1], [100, 0.1], close).text).toBe('5e-2');
    expect(compareClose([100, 0.3], [100, 0.1], close).miss).toBe(true);
    expect(compareClose([100, 0.05], [100, 0.1], { abs: 1e-4, rel: 1e-3 }).miss).toBe(true);
  });

  test('a miss says where and what', () => {
    expect(compareExact([1, 2, 3], [1, 5, 3])).toEqual({ text: '[1] 2 for 5', miss: true });
  });
});

describe('attribution from a table', () => {
  /** v = 3 a + 5 b, and 2 more for both. */
  const value = (key: string) => (key[0] === '1' ? 3 : 0) + (key[1] === '1' ? 5 : 0) + (key === '11' ? 2 : 0);
  test('leave one out, keep one in, Shapley of a game that is solved by hand', () => {
    expect(leaveOneOut(2, value)).toEqual([5, 7]);
    expect(keepOneIn(2, value)).toEqual([3, 5]);
    expect(shapley(2, value)).toEqual([4, 6]);
  });
});
