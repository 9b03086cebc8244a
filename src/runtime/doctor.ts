/**
 * What this machine can do for an engine, and what is missing with how to get it; as data and as a table for a person.
 *
 * Every provider is tried in a process of its own with known answers, because what a library was built with says nothing about what starts.
 */
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { codeOf } from '#domain/errors.ts';
import { abilities } from '#model/onnx/sizes.ts';
import { startEngineProcess } from './engine-process.ts';
import type { KnownAnswers } from './known-answer.ts';
import type { Provider } from './port.ts';
import { libraryFolder, libraryVersion, missingFiles } from './provider-needs.ts';

export interface ProviderReport {
  readonly provider: Provider;
  /** Runs models that need nothing beyond plain attention. */
  readonly usable: boolean;
  /** What it computes rightly. */
  readonly abilities: readonly string[];
  /** What stands against it or one of its abilities; null when all is well. */
  readonly reason: string | null;
  /** What to do; null when there is nothing to do. */
  readonly hint: string | null;
}

export interface DoctorReport {
  readonly node: { readonly version: string; readonly enough: boolean };
  readonly platform: string;
  readonly processor: { readonly model: string; readonly cores: number };
  /** Bytes. `limit` is what this process may use: a container's limit, else the machine's memory. */
  readonly memory: { readonly total: number; readonly free: number; readonly limit: number };
  readonly library: { readonly name: string; readonly version: string };
  readonly providers: readonly ProviderReport[];
}

/** First version that runs our sources without flags. */
const LEAST_NODE = [22, 19] as const;
const PROBE_TIMEOUT_MS = 120_000;

function nodeIsEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
}

function hintFor(provider: Provider, version: string): string | null {
  if (provider === 'cuda') {
    return (
      `take ${missingFiles('cuda').join(' and ') || 'the CUDA 13 libraries'} from the PyPI wheel onnxruntime-gpu ${version} (onnxruntime/capi), ` +
      `put them into ${libraryFolder()}; CUDA 13 and its driver must be installed`
    );
  }
  if (provider === 'webgpu') return 'install libvulkan1 and the Vulkan driver of the GPU; software drivers need Mesa 25 or newer';
  return null;
}

function reportOf(provider: Provider, answers: KnownAnswers, version: string): ProviderReport {
  const right = abilities.filter((ability) => answers[ability] === null);
  const faults = [...new Set(abilities.flatMap((ability) => answers[ability] ?? []))];
  const usable = answers.attention === null;
  return {
    provider,
    usable,
    abilities: right,
    reason: faults.length === 0 ? null : faults.join('; '),
    hint: usable ? null : hintFor(provider, version),
  };
}

async function tryProvider(provider: Provider, version: string): Promise<ProviderReport> {
  const none = { provider, usable: false, abilities: [] };
  const missing = missingFiles(provider);
  if (missing.length > 0) return { ...none, reason: `not installed: ${missing.join(', ')}`, hint: hintFor(provider, version) };
  const engine = startEngineProcess();
  try {
    return reportOf(provider, await engine.call('probe', { provider }, PROBE_TIMEOUT_MS), version);
  } catch (error) {
    // A provider whose start kills the process is a finding, not a failure of the doctor.
    return {
      ...none,
      reason: `${codeOf(error)}: ${error instanceof Error ? error.message : String(error)}`,
      hint: hintFor(provider, version),
    };
  } finally {
    await engine.end();
  }
}

export async function examineMachine(): Promise<DoctorReport> {
  const version = await libraryVersion();
  const providers: ProviderReport[] = [];
  for (const provider of ['cuda', 'webgpu', 'cpu'] as const) providers.push(await tryProvider(provider, version));
  const constrained = process.constrainedMemory();
  return {
    node: { version: process.versions.node, enough: nodeIsEnough(process.versions.node) },
    platform: `${process.platform}-${process.arch}`,
    processor: { model: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism() },
    // An unlimited container says 0 or a number beyond any machine.
    memory: { total: totalmem(), free: freemem(), limit: constrained > 0 ? Math.min(constrained, totalmem()) : totalmem() },
    library: { name: 'onnxruntime-node', version },
    providers,
  };
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

/** One line per finding, for a terminal. */
export function doctorTable(report: DoctorReport): string {
  const rows: [string, string, string][] = [
    ['node', report.node.enough ? 'ok' : 'too old', `${report.node.version} (${LEAST_NODE.join('.')} or newer)`],
    ['machine', 'ok', `${report.platform}, ${report.processor.cores} cores, ${report.processor.model}`],
    ['memory', 'ok', `${gigabytes(report.memory.limit)} usable, ${gigabytes(report.memory.free)} free`],
    ['library', 'ok', `${report.library.name} ${report.library.version}`],
  ];
  for (const { provider, usable, abilities: right, reason, hint } of report.providers) {
    const said = [right.length > 0 ? `right: ${right.join(', ')}` : '', reason ?? '', hint === null ? '' : `to do: ${hint}`];
    rows.push([provider, usable ? 'ok' : 'no', said.filter(Boolean).join('. ')]);
  }
  const width = (column: 0 | 1): number => Math.max(...rows.map((row) => row[column].length));
  return rows.map(([what, state, words]) => `${what.padEnd(width(0))}  ${state.padEnd(width(1))}  ${words}`).join('\n');
}
