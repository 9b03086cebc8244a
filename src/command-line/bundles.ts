/** Commands for the bundles of a running site: which there are, the switch that stops one, and what each wrote. */
import { userInfo } from 'node:os';
import { type Command, Option } from 'commander';
import { codeOf, WetreadError } from '#domain/errors.ts';
import type { Site } from '#site/site.ts';
import type { BundleId, BundleStop, WrittenDraft } from '#work/bundle-stops.ts';
import type { Query } from '#work/store.ts';
import { tableText, withStore } from './site-store.ts';
import { printJson } from './terminal.ts';

interface Flags {
  readonly site: string;
  readonly reason?: string;
  readonly json?: boolean;
}

/** Who ran the command, for the audit; a container may have no name for its user. */
function actor(): string {
  try {
    return `local:${userInfo().username}`;
  } catch {
    return `local:${process.getuid?.() ?? 'unknown'}`;
  }
}

interface Known extends BundleId {
  /** Whether the site file names it. */
  readonly inSite: boolean;
}

/** Bundles of the site file and those that wrote a draft; a folder that does not open is said and left out, since a stop must not wait for it. */
async function knownBundles(site: Site, query: Query): Promise<Known[]> {
  const [{ openBundle }, { bundlesThatWrote }] = await Promise.all([import('#model/bundle.ts'), import('#work/bundle-stops.ts')]);
  const known: Known[] = [];
  for (const { path } of site.bundles) {
    try {
      const { digest, manifest } = await openBundle(path, { digests: 'sizes' });
      known.push({ digest, name: manifest.name, inSite: true });
    } catch (error) {
      process.stderr.write(`wetread: ${codeOf(error)}: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  const others = (await bundlesThatWrote(query)).filter(({ digest }) => known.every((one) => one.digest !== digest));
  return [...known, ...others.map((one) => ({ ...one, inSite: false }))];
}

const shortestStart = 8;

/**
 * The name or the whole digest that is meant; the start of a digest is enough.
 * @throws usage when it names nothing, or several bundles
 */
function meant(text: string, known: readonly BundleId[], stops: readonly BundleStop[]): string {
  const names = new Set([...known.map(({ name }) => name), ...stops.map(({ bundle }) => bundle)]);
  if (names.has(text)) return text;
  const digests = new Set([...known.map(({ digest }) => digest), ...stops.map(({ bundle }) => bundle)]);
  const found = text.length < shortestStart ? [] : [...digests].filter((digest) => digest.startsWith(text));
  const [one] = found;
  if (one !== undefined && found.length === 1) return one;
  throw new WetreadError('usage', `found ${found.length} bundles that ${JSON.stringify(text)} names, expected one`, {
    hint: `a name, or at least ${shortestStart} digits of a digest; known: ${[...names].join(', ') || 'none'}`,
  });
}

async function list(flags: Flags): Promise<void> {
  const { bundleStops, stopFor } = await import('#work/bundle-stops.ts');
  const rows = await withStore(flags.site, async (store, site) => {
    const stops = await bundleStops(store.query);
    return (await knownBundles(site, store.query)).map((one) => {
      const stop = stopFor(stops, one);
      return { ...one, stopped: stop !== null, stoppedAt: stop?.stoppedAt ?? null, reason: stop?.reason ?? null };
    });
  });
  if (flags.json === true) {
    printJson(rows);
    return;
  }
  const cells = rows.map((row) => [
    row.name,
    row.digest.slice(0, 12),
    row.inSite ? 'yes' : 'no',
    row.stopped ? `stopped ${row.stoppedAt?.toISOString().slice(0, 16) ?? ''}` : 'writes',
    row.reason ?? '',
  ]);
  process.stdout.write(`${tableText(['name', 'digest', 'in site', 'state', 'reason'], cells)}\n`);
}

async function stop(text: string, flags: Flags): Promise<void> {
  const { bundleStops, draftsOfBundle, stopBundle } = await import('#work/bundle-stops.ts');
  const said = await withStore(flags.site, async (store, site) => {
    const bundle = meant(text, await knownBundles(site, store.query), await bundleStops(store.query));
    await stopBundle(store, { bundle, reason: flags.reason ?? null, actor: actor() });
    return { bundle, stopped: true, written: (await draftsOfBundle(store.query, bundle)).length };
  });
  if (flags.json === true) printJson(said);
  else
    process.stdout.write(
      `${said.bundle} is stopped: no new drafts, nothing of it is delivered. It wrote ${said.written} drafts: wetread bundles drafts ${JSON.stringify(said.bundle)}\n`,
    );
}

async function start(text: string, flags: Flags): Promise<void> {
  const { bundleStops, startBundle, stopFor } = await import('#work/bundle-stops.ts');
  const said = await withStore(flags.site, async (store, site) => {
    const known = await knownBundles(site, store.query);
    const bundle = meant(text, known, await bundleStops(store.query));
    const started = await startBundle(store, { bundle, actor: actor() });
    const stops = await bundleStops(store.query);
    const ids = known.filter(({ digest, name }) => digest === bundle || name === bundle);
    return { bundle, started, stillStoppedBy: [...new Set(ids.flatMap((id) => stopFor(stops, id)?.bundle ?? []))] };
  });
  if (!said.started) {
    const hint = said.stillStoppedBy.length === 0 ? 'wetread bundles list' : `start ${said.stillStoppedBy.join(', ')}`;
    throw new WetreadError('usage', `${said.bundle} was not stopped under this name`, { hint });
  }
  if (flags.json === true) printJson(said);
  else {
    const still = said.stillStoppedBy.length === 0 ? '' : `, but is still stopped as ${said.stillStoppedBy.join(', ')}`;
    process.stdout.write(`${said.bundle} may write again${still}\n`);
  }
}

function draftLine(row: WrittenDraft): string[] {
  const of = (state: string | null, name: string | null) => [state ?? 'not ours', name ?? ''].filter(Boolean).join(' ');
  return [
    row.key.slice(0, 12),
    row.writtenAt.toISOString().slice(0, 16),
    row.answer ?? '',
    of(row.report, row.reference),
    of(row.sr, row.srUid),
    row.studyUid,
  ];
}

async function drafts(text: string, flags: Flags): Promise<void> {
  const { bundleStops, draftsOfBundle } = await import('#work/bundle-stops.ts');
  const rows = await withStore(flags.site, async (store, site) =>
    draftsOfBundle(store.query, meant(text, await knownBundles(site, store.query), await bundleStops(store.query))),
  );
  if (flags.json === true) printJson(rows);
  else if (rows.length === 0) process.stdout.write('It wrote no draft that is still kept.\n');
  else process.stdout.write(`${tableText(['key', 'written', 'answer', 'report', 'SR', 'study'], rows.map(draftLine))}\n`);
}

export function addBundleCommands(program: Command): void {
  const bundles = program.command('bundles').description('the bundles of a site: what may write, and what each wrote');
  const add = (command: Command) => command.requiredOption('--site <file>', 'the site file').option('--json', 'as JSON');
  add(bundles.command('list').description('bundles of the site and those that wrote drafts, and whether they may write')).action(list);
  add(bundles.command('stop <bundle>').description('stop a bundle at once, by name (all versions) or digest: no new drafts'))
    .addOption(new Option('--reason <text>', 'shown on cards and kept in the audit; name no patient'))
    .action(stop);
  add(bundles.command('start <bundle>').description('let a stopped bundle write again')).action(start);
  add(bundles.command('drafts <bundle>').description('every kept draft that a bundle wrote, oldest first; no names')).action(drafts);
}
