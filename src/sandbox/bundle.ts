/** The sandbox's model: models/phantom-cxr, imported by our own importer at the first start. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { importCheckpoint } from '#model/import.ts';

const shipped = join(import.meta.dirname, '../../models/phantom-cxr');

/** Folder of the imported bundle below `dataDir`; a new version of the shipped model is imported anew. */
export async function ensurePhantomBundle(dataDir: string, progress: (what: string) => void): Promise<string> {
  const weights = join(shipped, 'checkpoint/model.safetensors');
  const version = createHash('sha256')
    .update(await readFile(weights))
    .update(await readFile(join(shipped, 'wetread.json')))
    .digest('hex')
    .slice(0, 12);
  const to = join(dataDir, 'bundles', `phantom-cxr-${version}`);
  if (!existsSync(to)) {
    progress('importing phantom-cxr');
    await importCheckpoint({ from: join(shipped, 'checkpoint'), to, metadata: {} });
  }
  return to;
}
