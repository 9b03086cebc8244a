/** Every case of the golden medvint-td checkpoints: tokens, every stage, the greedy answers, the letters, and attribution. */
import { describe, expect, test } from 'vitest';
import { runParity } from '#parity/parity.ts';
import { available, sharedPath } from '../setup/require.ts';

describe.skipIf(!available('shared'))('golden medvint-td', () => {
  test('every case is equal, and in every column', async () => {
    const result = await runParity(sharedPath('golden/medvint-td'));
    expect(result.rows.filter((row) => row.verdict !== 'ok').map((row) => [row.name, row.note])).toEqual([]);
    expect(result.ok).toBe(true);
    const unchecked = result.rows.flatMap((row) => Object.entries(row.cells).filter(([, cell]) => cell.text === '-'));
    expect(unchecked).toEqual([]);
  });
});
