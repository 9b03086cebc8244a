/** Runs the evaluation on an imported bundle with its own wording, on an engine of its own. */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import { openBundle } from '#model/bundle.ts';
import { defaultWording, wordingSchema } from '#prompt/wording.ts';
import { type Device, startDevice } from '#runtime/device.ts';
import { type AttributionFigures, evaluateAttribution } from './attribution.ts';
import { type Evaluation, type EvaluationPrompt, evaluate, heldOutSeeds } from './evaluate.ts';

export interface BundleEvaluationOptions {
  readonly bundleDir: string;
  /** Held-out seeds, from the first on. */
  readonly count: number;
  readonly device: 'auto' | 'cpu' | 'webgpu' | 'cuda';
  readonly threads: number | null;
  /** Seeds for which attribution is measured too; 0 = none. */
  readonly attributed: number;
  readonly progress?: (what: 'answers' | 'attribution', done: number, of: number) => void;
}

export interface BundleEvaluation {
  readonly bundle: string;
  readonly device: string;
  readonly evaluation: Evaluation;
  readonly attribution: AttributionFigures | null;
}

const silenceMs = 600_000;

async function promptOf(dir: string): Promise<EvaluationPrompt> {
  const { manifest } = await openBundle(dir, { digests: 'sizes' });
  const report = manifest.tasks.report;
  if (report === undefined)
    throw new WetreadError('bundle-invalid', `${manifest.name}: found no task "report", which is what is evaluated`);
  return manifest.wording === null
    ? { ...defaultWording, task: report.text }
    : wordingSchema.parse({ ...manifest.wording, task: report.text });
}

async function answerOf(device: Device, parts: readonly PromptPart[]) {
  const { answer, promptId } = await device.ask({ parts, task: 'report', maxNewTokens: null });
  return { answer, promptId, release: () => device.release(promptId) };
}

/** @throws bundle-*, device-unavailable, and what the engine throws */
export async function evaluateBundle(options: BundleEvaluationOptions): Promise<BundleEvaluation> {
  const { bundleDir, count, attributed, progress } = options;
  const prompt = await promptOf(bundleDir);
  const device = await startDevice({ device: options.device, bundleDir, threads: options.threads, timeoutMs: silenceMs });
  try {
    const evaluation = await evaluate({
      seeds: heldOutSeeds(count),
      prompt,
      ask: async (parts) => {
        const { answer, release } = await answerOf(device, parts);
        await release();
        return answer;
      },
      progress: (done, of) => progress?.('answers', done, of),
    });
    const attribution =
      attributed === 0
        ? null
        : await evaluateAttribution({
            seeds: heldOutSeeds(attributed),
            prompt,
            ask: async (parts) => {
              const { answer, promptId, release } = await answerOf(device, parts);
              return { answer, release, scorer: (keep, nullImage) => device.score(promptId, keep, nullImage) };
            },
            progress: (done, of) => progress?.('attribution', done, of),
          });
    const { name, version } = device.info.bundle;
    return { bundle: `${name} ${version}`, device: device.info.provider, evaluation, attribution };
  } finally {
    await device.close();
  }
}
