/** Every case of the golden prefix-vqa checkpoints: tokens, every stage, all beams, null pictures and their attribution. */
import { describe, expect, test } from 'vitest';
import { runParity } from '#parity/parity.ts';
import { available, sharedPath } from '../setup/require.ts';

describe.skipIf(!available('shared'))('golden prefix-vqa', () => {
  test('every case is equal, and in every column', async () => {
    const result = await runParity(sharedPath('golden/prefix-vqa'));
    expect(result.rows.filter((row) => row.verdict !== 'ok').map((row) => [row.name, row.note])).toEqual([]);
    expect(result.ok).toBe(true);
    const unchecked = result.rows.flatMap((row) => Object.entries(row.cells).filter(([, cell]) => cell.text === '-'));
    expect(unchecked).toEqual([]);
  });
});
