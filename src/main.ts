/** The command line. An error is one line with its code; a stack only for a fault of our own. */
import { Command, CommanderError } from 'commander';
import { WetreadError } from '#domain/errors.ts';
import { addAskCommand } from './command-line/ask.ts';
import { addBundleCommands } from './command-line/bundles.ts';
import { addJobCommands } from './command-line/jobs.ts';
import { addMeasureCommands } from './command-line/measure.ts';
import { addModelCommands } from './command-line/models.ts';
import { addServiceCommands } from './command-line/service.ts';
import { serviceVersion } from './version.ts';

const program = new Command('wetread')
  .description('Reads an imaging study before a human does: order-sign in, card and draft report out.')
  .version(serviceVersion)
  .exitOverride()
  .configureOutput({ outputError: () => undefined });

addServiceCommands(program);
addJobCommands(program);
addBundleCommands(program);
addModelCommands(program);
addAskCommand(program);
addMeasureCommands(program);

function say(text: string): void {
  process.stderr.write(`wetread: ${text}\n`);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0) say(error.message.replace(/^error: /, ''));
    process.exitCode = error.exitCode;
  } else if (error instanceof WetreadError) {
    say(`${error.code}: ${error.message}${error.hint === null ? '' : ` (${error.hint})`}`);
    process.exitCode = 1;
  } else {
    say(error instanceof Error ? `internal: ${error.stack ?? error.message}` : `internal: ${String(error)}`);
    process.exitCode = 1;
  }
}
