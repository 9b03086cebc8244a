import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findingNames } from '#domain/finding.ts';
import { exportTraining } from '#phantom/export.ts';
import { mapSize } from '#phantom/field.ts';
import { shownFilm } from '#phantom/shown.ts';
import { makeStudy } from '#phantom/study.ts';

interface Shard {
  readonly films: number;
  readonly studies: readonly {
    readonly seed: string;
    readonly prior: boolean;
    readonly film: number;
    readonly sizes: { readonly current: readonly number[]; readonly prior: readonly number[] };
  }[];
}

const folder = mkdtempSync(join(tmpdir(), 'wetread-export-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('exportTraining', () => {
  const size = 16;
  exportTraining({ count: 5, seed: 'export', out: folder, size, shard: 3 });
  const shards = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort();
  const read = (name: string): Shard => JSON.parse(readFileSync(join(folder, name), 'utf8')); // written by exportTraining

  it('writes every film and map that the records name, shard by shard', () => {
    expect(shards).toEqual(['shard-0000.json', 'shard-0001.json']);
    for (const name of shards) {
      const { films, studies } = read(name);
      expect(films).toBe(studies.reduce((sum, study) => sum + (study.prior ? 2 : 1), 0));
      const bytes = (kind: string): number => statSync(join(folder, name.replace('json', kind))).size;
      expect(bytes('films')).toBe(films * size * size);
      expect(bytes('maps')).toBe(films * findingNames.length * mapSize * mapSize);
    }
  });

  it('writes the film that the product shows for the same seed', () => {
    const [name = ''] = shards;
    const all = readFileSync(join(folder, name.replace('json', 'films')));
    for (const { seed, film } of read(name).studies) {
      const pixels = shownFilm(makeStudy(seed), 'current', size).pixels;
      expect(all.subarray(film * size * size, (film + 1) * size * size).equals(Buffer.from(pixels))).toBe(true);
    }
  });

  it('gives the size of each lesion on either film, -1 where there is none', () => {
    for (const { seed, sizes } of shards.flatMap((name) => read(name).studies)) {
      const { lesions } = makeStudy(seed);
      const count = (which: 'current' | 'prior'): number => lesions.filter((lesion) => lesion[which] !== null).length;
      expect(sizes.current.filter((one) => one >= 0)).toHaveLength(count('current'));
      expect(sizes.prior.filter((one) => one >= 0)).toHaveLength(count('prior'));
    }
  });
});
