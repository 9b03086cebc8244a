/** The form of `wetread ask`; ask-run.ts does it. */
import { type Command, InvalidArgumentError } from 'commander';
import type { AskFlags } from './ask-run.ts';
import type { Window } from './source.ts';
import { printJson, progressLine, several, wholeNumber } from './terminal.ts';

function windowOf(text: string): Window {
  const match = /^(-?\d+(?:\.\d+)?)\/(\d+(?:\.\d+)?)$/.exec(text);
  const [center, width] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || !(width >= 1)) throw new InvalidArgumentError('expected CENTER/WIDTH, e.g. 40/400, and a width of at least 1');
  return { center, width };
}

function fromOne(text: string): number {
  const number = wholeNumber(text);
  if (number === 0) throw new InvalidArgumentError('expected a number from 1 on');
  return number;
}

const numbers = (text: string, before: readonly number[]): readonly number[] => [...before, fromOne(text)];

async function ask(flags: AskFlags): Promise<void> {
  const { runAsk } = await import('./ask-run.ts');
  await runAsk(flags, {
    write: (text) => process.stdout.write(text),
    warn: (line) => process.stderr.write(`wetread: ${line}\n`),
    progress: progressLine,
    json: printJson,
  });
}

export function addAskCommand(program: Command): void {
  program
    .command('ask')
    .description("run one prompt on images, streaming the answer; without --task and --text, list the bundle's tasks")
    .requiredOption('--bundle <dir>', 'the bundle')
    .option('--image <file...>', 'PNG, JPEG, DICOM, NIfTI, or a folder with one DICOM series; several, in the order of the prompt')
    .option('--task <name>', 'a task of the bundle, in the words it was trained with')
    .option('--text <text>', "the task's question; without --task the whole message, <image> marks in it are the images' places")
    .option('--option <text>', 'an option of a choice; give each', several, [])
    .option('--results <text>', 'what another model found, for tasks that have a place for it')
    .option('--frame <n>', 'frame or slice to show of a stack; may be given several times', numbers, [])
    .option(
      '--slices <n>',
      'slices to show of a stack, evenly spaced; default: as many as fit, or the whole volume where the model takes one',
      fromOne,
    )
    .option('--window <center/width>', "in place of the file's window, e.g. 40/400", windowOf)
    .option('--attribute', 'then say which images each statement depends on, and write a contact sheet')
    .option('--sheet <file>', 'the contact sheet (PNG), with --attribute; default: named after the first image, in this folder')
    .option('--device <name>', 'auto, cpu, webgpu or cuda', 'auto')
    .option('--threads <n>', 'threads of the engine', wholeNumber)
    .option('--max-new-tokens <n>', 'limit of the answer', wholeNumber)
    .option('--json', 'everything as JSON')
    .action(ask);
}
