/** The store of a site, for commands that look at it or change it while the service runs; and a table for what they print. */
import { resolve } from 'node:path';
import type { Site } from '#site/site.ts';
import type { Store } from '#work/store.ts';

/** @throws site-invalid, data-locked (an embedded store belongs to its running service), store-unavailable */
export async function withStore<Result>(path: string, work: (store: Store, site: Site) => Promise<Result>): Promise<Result> {
  const [{ readSite }, { openStore, storeLocation }] = await Promise.all([import('#site/site.ts'), import('#work/store.ts')]);
  const site = readSite(resolve(path));
  const store = await openStore(storeLocation(site));
  try {
    return await work(store, site);
  } finally {
    await store.close();
  }
}

/** Columns of equal width, two spaces apart. */
export function tableText(head: readonly string[], cells: readonly (readonly string[])[]): string {
  const all = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
