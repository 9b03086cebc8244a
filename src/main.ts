/** The command line. Errors are one line with their code; a stack only for faults of our own. */
import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import pino, { type Logger } from 'pino';
import { codeOf, WetreadError } from '#domain/errors.ts';
import { serviceVersion } from './version.ts';

const root = resolve(import.meta.dirname, '..');

function number(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number');
  return value;
}

/** Logs go to stderr, so that stdout is for results alone. */
function logger(level: string): Logger {
  return pino({ level, base: null }, pino.destination(2));
}

/** Runs until SIGINT or SIGTERM, then closes. */
async function untilStopped(close: () => Promise<void>): Promise<void> {
  await new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop());
  });
  await close();
}

const program = new Command('wetread')
  .description('Reads an imaging study before a human does: order-sign in, card and draft report out.')
  .version(serviceVersion)
  .exitOverride()
  .configureOutput({ outputError: () => undefined });

program
  .command('sandbox')
  .description('start the embedded hospital with its EHR page, and the service beside it')
  .option('--port <n>', 'first of five ports in a row; 0 = free ones', number, 8480)
  .option('--data <dir>', 'folder for everything that is written', resolve(root, 'data'))
  .option('--dicom <dir>', 'your own DICOM files instead of the phantoms (with --fhir)')
  .option('--fhir <dir>', 'your own FHIR bundles (with --dicom)')
  .option('--json', 'one line of JSON on stdout once everything answers')
  .option('--log <level>', 'level of the log on stderr', 'warn')
  .action(async (options: { port: number; data: string; dicom?: string; fhir?: string; json?: boolean; log: string }) => {
    if ((options.dicom === undefined) !== (options.fhir === undefined))
      throw new WetreadError('usage', 'found one of --dicom and --fhir, expected both or none');
    const { runSandbox } = await import('#sandbox/run.ts');
    const running = await runSandbox({
      dataDir: resolve(options.data),
      port: options.port,
      own:
        options.dicom === undefined || options.fhir === undefined ? null : { dicom: resolve(options.dicom), fhir: resolve(options.fhir) },
      log: logger(options.log),
      now: () => new Date(),
      progress: (what) => void process.stderr.write(`wetread: ${what}\n`),
    });
    const { addresses } = running;
    if (options.json === true) process.stdout.write(`${JSON.stringify(addresses)}\n`);
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
  });

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0) process.stderr.write(`wetread: ${error.message.replace(/^error: /, '')}\n`);
    process.exitCode = error.exitCode;
  } else if (error instanceof WetreadError) {
    process.stderr.write(`wetread: ${error.code}: ${error.message}${error.hint === null ? '' : ` (${error.hint})`}\n`);
    process.exitCode = 1;
  } else {
    process.stderr.write(`wetread: ${codeOf(error)}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  }
}
