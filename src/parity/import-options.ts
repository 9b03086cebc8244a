/** import.json beside a golden checkpoint: what no file of the authors says, as options of the import by the same names in our spelling. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '#model/json.ts';
import { type Metadata, metadataSchema } from '#model/metadata.ts';

/** `qformer_heads` -> `qformerHeads`. @throws import-option-missing for an option that this version does not know */
export async function readImportOptions(folder: string): Promise<Metadata> {
  const path = join(folder, 'import.json');
  if (!existsSync(path)) return {};
  const ours = z
    .record(z.string(), z.unknown())
    .transform((options) =>
      Object.fromEntries(
        Object.entries(options).map(([name, value]) => [name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]),
      ),
    )
    .pipe(metadataSchema);
  return await readJson(path, ours, 'import-option-missing');
}
