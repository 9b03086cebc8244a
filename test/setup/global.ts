/** Before the run: a file in which tests note what they lack. After it: one line per missing thing, with how to get it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Thing, things } from './require.ts';

export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'wetread-test-'));
  const record = join(folder, 'left-out');
  writeFileSync(record, '');
  process.env.WETREAD_LEFT_OUT = record;
  return () => {
    const names = [...new Set(readFileSync(record, 'utf8').split('\n').filter(Boolean))].sort();
    rmSync(folder, { recursive: true, force: true });
    for (const name of names) {
      // The file holds only names that `available` wrote.
      process.stderr.write(`left out, ${name} is not here: ${things[name as Thing].how}\n`);
    }
  };
}
