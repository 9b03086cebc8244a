/**
 * What a provider needs of the machine before it is worth a try.
 *
 * CUDA needs two libraries of exactly the package's version that the npm package does not bring; they are searched next to the library, not
 * on LD_LIBRARY_PATH. Their own dependencies (CUDA 13, driver) show when the provider is tried. WebGPU also runs on a software driver, right
 * perhaps but hundreds of times slower than the CPU provider, so without a GPU it is nothing for `auto`.
 */
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Provider } from './port.ts';

/** Folder of the library inside the package for this machine. */
export function libraryFolder(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  return join(dirname(dirname(entry)), 'bin', 'napi-v6', process.platform, process.arch);
}

/** Version of the installed library's package. */
export async function libraryVersion(): Promise<string> {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  const json: unknown = JSON.parse(await readFile(join(dirname(dirname(entry)), 'package.json'), 'utf8'));
  return z.looseObject({ version: z.string() }).parse(json).version;
}

const cudaFiles: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'],
  win32: ['onnxruntime_providers_shared.dll', 'onnxruntime_providers_cuda.dll'],
};

/** Names of the provider's files that are not there; empty for a provider that is inside the library. */
export function missingFiles(provider: Provider): readonly string[] {
  if (provider !== 'cuda') return [];
  const needed = cudaFiles[process.platform] ?? [`CUDA on ${process.platform}`];
  return needed.filter((name) => !existsSync(join(libraryFolder(), name)));
}

/** False where the machine certainly has no GPU: Linux shows one as a render node, an NVIDIA or a WSL device. */
export function mayHaveGpu(): boolean {
  if (process.platform !== 'linux') return true;
  if (existsSync('/dev/nvidia0') || existsSync('/dev/dxg')) return true;
  return existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
}
