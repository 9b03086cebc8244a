/** Commands for whoever brings a model: import, list, verify. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type WeightType, weightTypes } from '#model/onnx/stored-weights.ts';
import { printJson, progressLine, seldom, several, wholeNumber } from './terminal.ts';

const bundlesFolder = resolve(import.meta.dirname, '../../data/bundles');

interface ImportFlags {
  readonly out: string;
  readonly name?: string;
  readonly tower?: string;
  readonly template?: string;
  readonly modality: readonly string[];
  readonly maxImages?: number;
  readonly metadata?: string;
  readonly weights: WeightType;
  readonly json?: boolean;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);

async function importModel(from: string, flags: ImportFlags): Promise<void> {
  const { importText, modelsImport } = await import('#model/commands.ts');
  const show = seldom(progressLine);
  const report = await modelsImport({
    from: resolve(from),
    root: resolve(flags.out),
    name: flags.name ?? null,
    tower: flags.tower === undefined ? null : resolve(flags.tower),
    template: flags.template ?? null,
    modalities: flags.modality,
    maxImages: flags.maxImages ?? null,
    metadataPath: flags.metadata === undefined ? null : resolve(flags.metadata),
    weights: flags.weights,
    progress: ({ weights, ofWeights, bytes, ofBytes }) =>
      show(`weights ${weights} of ${ofWeights}, ${megabytes(bytes)} of ${megabytes(ofBytes)} MB`),
  });
  progressLine('');
  if (flags.json === true) printJson(report);
  else process.stdout.write(`${importText(report)}\n`);
}

async function listModels(flags: { readonly in: string; readonly json?: boolean }): Promise<void> {
  const { listText, modelsList } = await import('#model/commands.ts');
  const summaries = await modelsList(resolve(flags.in));
  if (flags.json === true) printJson(summaries);
  else process.stdout.write(`${listText(summaries)}\n`);
}

async function verifyModel(dir: string, flags: { readonly json?: boolean }): Promise<void> {
  const { modelsVerify, verifyText } = await import('#model/commands.ts');
  const report = await modelsVerify(resolve(dir));
  if (flags.json === true) printJson(report);
  else process.stdout.write(`${verifyText(report)}\n`);
}

export function addModelCommands(program: Command): void {
  const models = program.command('models').description('bundles: import, list, verify');
  models
    .command('import <checkpoint>')
    .description("make a bundle of the folder that a model's authors published")
    .option('--out <dir>', 'folder of the bundles', bundlesFolder)
    .option('--name <name>', "name of the bundle; default: the folder's")
    .option('--tower <dir>', 'folder of the vision tower when it is not in the checkpoint')
    .option('--template <name>', 'conversation template, where it cannot be told from the files')
    .option('--modality <code>', 'DICOM modality that it may draft; may be given several times', several, [])
    .option('--max-images <n>', 'images that it takes', wholeNumber)
    .option('--metadata <file>', 'a file of the form of wetread.json')
    .addOption(new Option('--weights <type>', 'number type that the weights are stored in').choices(weightTypes).default('fp32'))
    .option('--json', 'the report as JSON')
    .action(importModel);
  models
    .command('list')
    .description('bundles of a folder')
    .option('--in <dir>', 'folder of the bundles', bundlesFolder)
    .option('--json', 'as JSON')
    .action(listModels);
  models
    .command('verify <bundle>')
    .description('check every file of a bundle against its digest')
    .option('--json', 'as JSON')
    .action(verifyModel);
}
