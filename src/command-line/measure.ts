/** Commands that measure: parity with golden numbers, evaluation on phantoms, what this machine can do; and the phantoms' export. */
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { WetreadError } from '#domain/errors.ts';
import type { AttributionFigures } from '#evaluate/attribution.ts';
import type { Share } from '#evaluate/score.ts';
import { type WeightType, weightTypes } from '#model/onnx/stored-weights.ts';
import { printJson, progressLine, several, wholeNumber } from './terminal.ts';

const root = resolve(import.meta.dirname, '../..');

interface ParityFlags {
  readonly golden: readonly string[];
  readonly weights: WeightType;
  readonly json?: boolean;
}

async function parity(flags: ParityFlags): Promise<void> {
  const { parityTable, runParity } = await import('#parity/parity.ts');
  if (flags.golden.length === 0) throw new WetreadError('usage', 'found no --golden DIR, expected at least one');
  let ok = true;
  for (const dir of flags.golden) {
    if (flags.weights !== 'fp32') {
      ok = (await precision(resolve(dir), flags)) && ok;
      continue;
    }
    const result = await runParity(resolve(dir), (row) => progressLine(row.name));
    progressLine('');
    if (flags.json === true) printJson(result);
    else process.stdout.write(`${parityTable(result)}\n`);
    ok = ok && result.ok;
  }
  if (!ok) process.exitCode = 1;
}

/** What other weights than fp32 cost. */
async function precision(dir: string, flags: ParityFlags): Promise<boolean> {
  const { precisionTable, runPrecision } = await import('#parity/precision.ts');
  const result = await runPrecision(dir, flags.weights, progressLine);
  progressLine('');
  if (flags.json === true) printJson(result);
  else process.stdout.write(`${precisionTable(result)}\n`);
  return result.ok;
}

interface EvaluateFlags {
  readonly bundle?: string;
  readonly count: number;
  readonly attributed: number;
  readonly device: 'auto' | 'cpu' | 'webgpu' | 'cuda';
  readonly threads?: number;
  readonly json?: boolean;
}

async function evaluate(flags: EvaluateFlags): Promise<void> {
  const [{ evaluateBundle }, { evaluationTable }] = await Promise.all([import('#evaluate/bundle.ts'), import('#evaluate/evaluate.ts')]);
  const { ensurePhantomBundle } = await import('#sandbox/bundle.ts');
  const bundleDir = flags.bundle === undefined ? await ensurePhantomBundle(join(root, 'data'), progressLine) : resolve(flags.bundle);
  const result = await evaluateBundle({
    bundleDir,
    count: flags.count,
    attributed: flags.attributed,
    device: flags.device,
    threads: flags.threads ?? null,
    progress: (what, done, of) => progressLine(`${what} ${done} of ${of}`),
  });
  progressLine('');
  if (flags.json === true) printJson(result);
  else {
    const lines = [`${result.bundle} on ${result.device}, ${flags.count} held-out studies`, evaluationTable(result.evaluation)];
    if (result.attribution !== null) lines.push(attributionText(result.attribution));
    process.stdout.write(`${lines.join('\n\n')}\n`);
  }
}

function attributionText({ currentFirst, priorFirst, resolved }: AttributionFigures): string {
  const line = (what: string, share: Share) => `  ${what.padEnd(52)}${share.value === null ? '-' : share.value.toFixed(2)} of ${share.of}`;
  return [
    'Attribution: the film that shows the lesion is ranked first',
    line('findings, current film shown first', currentFirst),
    line('findings, prior film shown first', priorFirst),
    line('lesions that are gone, ranked on the prior film', resolved),
  ].join('\n');
}

async function doctor(flags: { readonly json?: boolean }): Promise<void> {
  const [{ doctorTable, examineMachine }, { checkDecoders }] = await Promise.all([
    import('#runtime/doctor.ts'),
    import('#dicom/known-answers.ts'),
  ]);
  const [machine, decoders] = [await examineMachine(), await checkDecoders()];
  if (flags.json === true) printJson({ ...machine, decoders });
  else {
    const lines = decoders.map(({ name, fault }) => `${name}: ${fault ?? 'decodes its known answer'}`);
    process.stdout.write(`${doctorTable(machine)}\n\nPixel decoders\n  ${lines.join('\n  ')}\n`);
  }
}

async function exportPhantoms(flags: {
  readonly count: number;
  readonly seed: string;
  readonly size: number;
  readonly out: string;
}): Promise<void> {
  const { exportTraining } = await import('#phantom/export.ts');
  exportTraining({ count: flags.count, seed: flags.seed, size: flags.size, out: resolve(flags.out) });
}

export function addMeasureCommands(program: Command): void {
  program
    .command('parity')
    .description('import the checkpoints of golden folders and compare every number with the reference')
    .option('--golden <dir>', 'folder with cases at any depth; may be given several times', several, [])
    .addOption(
      new Option('--weights <type>', 'fp16 or int8: how far bundles with such weights are from fp32 ones')
        .choices(weightTypes)
        .default('fp32'),
    )
    .option('--json', 'as JSON')
    .action(parity);
  program
    .command('evaluate')
    .description('score a bundle on held-out phantoms, with baselines')
    .option('--bundle <dir>', 'the bundle; default: phantom-cxr')
    .option('--count <n>', 'held-out studies', wholeNumber, 500)
    .option('--attributed <n>', 'studies of which attribution is measured too', wholeNumber, 60)
    .option('--device <name>', 'auto, cpu, webgpu or cuda', 'auto')
    .option('--threads <n>', 'threads of the engine', wholeNumber)
    .option('--json', 'as JSON')
    .action(evaluate);
  program.command('doctor').description('say what this machine can do and what is missing').option('--json', 'as JSON').action(doctor);
  program
    .command('phantom')
    .description('synthetic studies')
    .command('export')
    .description('write training data for models/phantom-cxr')
    .requiredOption('--count <n>', 'studies', wholeNumber)
    .requiredOption('--seed <text>', 'seed; `held` is kept for evaluation')
    .option('--size <n>', 'side of a film in pixels', wholeNumber, 256)
    .requiredOption('--out <dir>', 'folder')
    .action(exportPhantoms);
}
