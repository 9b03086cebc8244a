/** Commands that run or check a service: sandbox, serve, site check. */
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { WetreadError } from '#domain/errors.ts';
import type { Role } from '#service/parts.ts';
import { endOnUncaught, logger, printJson, untilStopped, wholeNumber } from './terminal.ts';

const root = resolve(import.meta.dirname, '../..');

/** Of a person's own folder, which may hold hundreds of other files. */
const shownLeftOut = 10;

interface SandboxFlags {
  readonly port: number;
  readonly data: string;
  readonly dicom?: string;
  readonly fhir?: string;
  readonly json?: boolean;
  readonly log: string;
}

async function sandbox(flags: SandboxFlags): Promise<void> {
  const { dicom, fhir } = flags;
  if ((dicom === undefined) !== (fhir === undefined))
    throw new WetreadError('usage', 'found one of --dicom and --fhir, expected both or none');
  const { runSandbox } = await import('#sandbox/run.ts');
  const log = logger(flags.log);
  endOnUncaught(log);
  const running = await runSandbox({
    dataDir: resolve(flags.data),
    port: flags.port,
    own: dicom === undefined || fhir === undefined ? null : { dicom: resolve(dicom), fhir: resolve(fhir) },
    log,
    now: () => new Date(),
    progress: (what) => void process.stderr.write(`wetread: ${what}\n`),
  });
  for (const file of running.leftOut.slice(0, shownLeftOut)) process.stderr.write(`wetread: left out: ${file}\n`);
  if (running.leftOut.length > shownLeftOut)
    process.stderr.write(`wetread: left out: ${running.leftOut.length - shownLeftOut} more files\n`);
  const { addresses } = running;
  if (flags.json === true) printJson(addresses);
  else {
    const rows = [
      ['EHR page', addresses.ehr],
      ['FHIR server', addresses.fhir],
      ['DICOMweb', addresses.dicomweb],
      ['CDS service', `${addresses.cds}/cds-services`],
      ['authorization server', addresses.authorization],
      ['data', addresses.data],
    ] as const;
    process.stdout.write(`\n${rows.map(([name, address]) => `  ${name.padEnd(22)}${address}`).join('\n')}\n\n`);
    process.stdout.write(`Next: open ${addresses.ehr}, choose a patient, and sign the order.\n`);
  }
  await untilStopped(running.close);
}

interface ServeFlags {
  readonly site: string;
  readonly role: Role;
  readonly port?: number;
  readonly log: string;
}

async function serveSite(flags: ServeFlags): Promise<void> {
  const [{ readSite }, { serve }, { listen }] = await Promise.all([
    import('#site/site.ts'),
    import('#service/serve.ts'),
    import('#src/listen.ts'),
  ]);
  const site = readSite(resolve(flags.site));
  const listening = await listen('service', flags.port ?? site.service.port, site.service.host);
  const { role } = flags;
  const log = logger(flags.log);
  endOnUncaught(log);
  const service = await serve(site, { role, listening, log, now: () => new Date() }).catch(async (error: unknown) => {
    await listening.close();
    throw error;
  });
  process.stderr.write(`wetread: serving ${site.environment} site ${site.service.publicUrl} on ${listening.origin}\n`);
  await untilStopped(async () => {
    await listening.close();
    await service.close();
  });
}

async function checkSiteFile(file: string, flags: { readonly json?: boolean; readonly write?: boolean }): Promise<void> {
  const [{ readSite }, { checkSite, checkText }, { openLanes }, { testStudy }] = await Promise.all([
    import('#site/site.ts'),
    import('#site/check.ts'),
    import('#reading/lanes.ts'),
    import('#reading/test-study.ts'),
  ]);
  const site = readSite(resolve(file));
  const lanes = await openLanes(site);
  try {
    const findings = await checkSite(site, {
      token: lanes.fhirToken,
      fhir: lanes.fhir,
      dicomweb: lanes.pacs,
      testStudy: flags.write === true ? testStudy(site.service.publicUrl) : null,
      now: () => new Date(),
    });
    if (flags.json === true) printJson(findings);
    else process.stdout.write(`${checkText(findings)}\n`);
    if (findings.some((finding) => finding.state === 'problem')) process.exitCode = 1;
  } finally {
    await lanes.close();
  }
}

export function addServiceCommands(program: Command): void {
  program
    .command('sandbox')
    .description('start the embedded hospital with its EHR page, and the service beside it')
    .option('--port <n>', 'first of five ports in a row; 0 = free ones', wholeNumber, 8480)
    .option('--data <dir>', 'folder for everything that is written', join(root, 'data'))
    .option('--dicom <dir>', 'your own DICOM files instead of the phantoms (with --fhir)')
    .option('--fhir <dir>', 'your own FHIR bundles (with --dicom)')
    .option('--json', 'one line of JSON on stdout once everything answers')
    .option('--log <level>', 'level of the log on stderr', 'warn')
    .action(sandbox);
  program
    .command('serve')
    .description('run the service of a site')
    .requiredOption('--site <file>', 'the site file')
    .addOption(new Option('--role <role>', 'api answers the EHR, worker makes drafts').choices(['all', 'api', 'worker']).default('all'))
    .option('--port <n>', 'instead of service.port, for several processes on one machine', wholeNumber)
    .option('--log <level>', 'level of the log on stderr', 'info')
    .action(serveSite);
  const site = program.command('site').description('work with site files');
  site
    .command('schema')
    .description('print the JSON Schema of the site file')
    .action(async () => {
      const { siteJsonSchema } = await import('#site/schema.ts');
      process.stdout.write(`${JSON.stringify(siteJsonSchema(), null, 2)}\n`);
    });
  site
    .command('check <file>')
    .description('read from every connection of a site and say what was found')
    .option('--write', 'also store a small object of nobody in the PACS, which stays there, and read it back')
    .option('--json', 'findings as JSON')
    .action(checkSiteFile);
}
