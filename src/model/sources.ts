/**
 * What an import reads, as one digest: names, sizes and times of all files of the checkpoint, of parts that are named, and of folders beside
 * it, where families look for what their authors published apart. Contents are not read: a changed file has another size or time.
 */
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** Lines of the files below `folder`; what cannot be read is left out, and so are hidden names. */
async function filesBelow(folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const lines: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) {
      if (depth > 0) lines.push(...(await filesBelow(path, depth - 1)));
      continue;
    }
    const found = await stat(path).catch(() => null);
    if (found?.isFile()) lines.push(`${path} ${found.size} ${found.mtimeMs}`);
  }
  return lines;
}

/** Deeper than any published checkpoint. */
const WHOLE = 8;

/**
 * @param others folders that are named as parts of the checkpoint, from its folder on
 * @param options everything else that the result depends on
 */
export async function sourcesDigest(from: string, others: readonly string[], options: unknown): Promise<string> {
  const lines = [...(await filesBelow(resolve(from), WHOLE)), ...(await filesBelow(dirname(resolve(from)), 1))];
  for (const other of others) lines.push(...(await filesBelow(resolve(from, other), WHOLE)));
  return createHash('sha256')
    .update(JSON.stringify([options, [...new Set(lines)].sort()]))
    .digest('hex');
}
