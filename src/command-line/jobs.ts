/** Commands for who runs a service: what stands, and bringing back what ended. */
import type { Command } from 'commander';
import { WetreadError } from '#domain/errors.ts';
import type { Standing } from '#work/standing.ts';
import { tableText, withStore } from './site-store.ts';
import { printJson } from './terminal.ts';

interface Flags {
  readonly site: string;
  readonly json?: boolean;
}

function ageText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

function tableOf(rows: readonly Standing[]): string {
  if (rows.length === 0) return 'Nothing stands: every draft is ready and every delivery is delivered.';
  const cells = rows.map((row) => [
    row.key.slice(0, 12),
    row.of,
    row.state,
    String(row.tries),
    ageText(row.age),
    row.code ?? '',
    row.retryable ? 'yes' : '',
    row.message ?? '',
  ]);
  return tableText(['key', 'of', 'state', 'tries', 'age', 'code', 'retry', 'message'], cells);
}

async function list(flags: Flags): Promise<void> {
  const { standing } = await import('#work/standing.ts');
  const rows = await withStore(flags.site, (store) => standing(store.query));
  if (flags.json === true) printJson(rows);
  else process.stdout.write(`${tableOf(rows)}\n`);
}

/** The one key that begins so. */
function keyOf(rows: readonly Standing[], start: string): string {
  const keys = [...new Set(rows.map(({ key }) => key).filter((key) => key.startsWith(start)))];
  const [key] = keys;
  if (key !== undefined && keys.length === 1) return key;
  throw new WetreadError('usage', `found ${keys.length} keys that begin with ${start}, expected one`, { hint: 'wetread jobs list' });
}

async function bringBack(start: string, flags: Flags): Promise<void> {
  const { retry, standing } = await import('#work/standing.ts');
  const back = await withStore(flags.site, async (store) => {
    const key = keyOf(await standing(store.query), start);
    return { key, of: await retry(store, key) };
  });
  if (back.of.length === 0) {
    throw new WetreadError(
      'usage',
      'found nothing of this key that can be tried again: it is queued already, or retention removed its request',
      {
        hint: 'sign the order again',
      },
    );
  }
  if (flags.json === true) printJson(back);
  else process.stdout.write(`${back.key.slice(0, 12)}: ${back.of.join(', ')} will be tried again\n`);
}

export function addJobCommands(program: Command): void {
  const jobs = program.command('jobs').description('drafts and deliveries that are not finished');
  const add = (command: Command) => command.requiredOption('--site <file>', 'the site file').option('--json', 'as JSON');
  add(jobs.command('list').description('what is queued, failed, waiting or dead, oldest first')).action(list);
  add(jobs.command('retry <key>').description('try a failed draft or a dead delivery again; the start of a key is enough')).action(
    bringBack,
  );
}
