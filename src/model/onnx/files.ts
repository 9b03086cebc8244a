/**
 * Writes graphs and their weights: one `.onnx` file per graph, one data file for the weights of all of them.
 *
 * Weights are read, laid out and written one after the other (layout.ts), so memory does not grow with the model. Large tensors start at a
 * multiple of 4096, because ONNX Runtime maps them into memory; small ones go into the graph file.
 */
import { statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import { type DataFile, openDataFile, type Place } from './data-file.ts';
import type { Form, Graph, Placement, TensorNeed, Weight } from './graph.ts';
import { BeyondHalf, type ReadTensor, storedBytes, writeWeight } from './layout.ts';
import { formOf, readingNodes, type Stored, type WeightType } from './stored-weights.ts';

const INLINE_BELOW_BYTES = 1024;

export interface GraphFile {
  /** File name inside the folder, e.g. decoder.onnx. */
  readonly file: string;
  readonly graph: Graph;
}

/** Every tensor that graphs are made of, by our names. */
export function tensorNeeds(graphs: readonly GraphFile[]): ReadonlyMap<string, TensorNeed> {
  const needs = new Map<string, TensorNeed>();
  for (const { graph } of graphs) {
    for (const { recipe } of graph.weights) if (recipe.kind !== 'computed') for (const need of recipe.tensors) needs.set(need.name, need);
  }
  return needs;
}

/** How far writing has come. */
export interface Written {
  readonly weights: number;
  readonly ofWeights: number;
  readonly bytes: number;
  readonly ofBytes: number;
}

/** How weights are written, and who is told. */
export interface Writing {
  readonly weights: WeightType;
  /** Called after each weight, and while a large one is written. */
  progress(written: Written): void;
  /** A sentence for the import report. */
  note(sentence: string): void;
  /** Where it is noted what has been written, so that a later call with the same `identity` goes on; null = files must be new. */
  readonly journal: { readonly path: string; readonly identity: string } | null;
}

export const plainWriting: Writing = { weights: 'fp32', progress: () => undefined, note: () => undefined, journal: null };

/** A weight to be written, once for all that read it in this form. */
interface Job {
  readonly weight: Weight;
  readonly form: Form;
}

/** Weights of one key hold the same bytes. Rows of 8-bit blocks are the same for a table and for a matrix that is multiplied by. */
function keyOf(weight: Weight, form: Form): string {
  return form === 'rows8' ? `rows8${weight.key.replace(/^(stored|transposed)/, '')}` : `${form} ${weight.key}`;
}

function jobsOf(graphs: readonly GraphFile[], type: WeightType): ReadonlyMap<string, Job> {
  const jobs = new Map<string, Job>();
  for (const { graph } of graphs) {
    for (const weight of graph.weights) {
      const form = formOf(graph, weight, type);
      jobs.set(keyOf(weight, form), { weight, form });
    }
  }
  return jobs;
}

const bytesOf = ({ weight, form }: Job): number => storedBytes(weight, form).values + storedBytes(weight, form).scales;

/** @throws disk-full when what is still to be written is more than what is free */
async function checkSpace(folder: string, bytes: number): Promise<void> {
  const disk = await statfs(folder);
  const free = disk.bavail * disk.bsize;
  if (free >= bytes) return;
  throw new WetreadError('disk-full', `the bundle needs ${bytes} bytes more, ${free} are free where it shall lie`, {
    hint: 'free some space, name another folder, or take --weights fp16 or int8',
  });
}

/** A weight whose bytes go into the graph file. */
async function inline({ weight, form }: Job, read: ReadTensor): Promise<Stored> {
  const sizes = storedBytes(weight, form);
  const [values, scales] = [new Uint8Array(sizes.values), new Uint8Array(sizes.scales)];
  const into = (all: Uint8Array) => (bytes: Uint8Array, at: number) => Promise.resolve(all.set(bytes, at));
  await writeWeight(weight, form, read, { write: into(values), writeScales: into(scales) });
  return { form, values: { kind: 'inline', bytes: values }, ...(form === 'rows8' ? { scales: { kind: 'inline', bytes: scales } } : {}) };
}

function storedAt(location: string, { form, values, scales }: Place): Stored {
  const external = ([offset, length]: readonly [number, number]): Placement => ({ kind: 'external', location, offset, length });
  return { form, values: external(values), ...(scales === null ? {} : { scales: external(scales) }) };
}

/** Writes one weight; what fp16 cannot hold is written as f32. */
async function write(job: Job, key: string, read: ReadTensor, data: DataFile, written: (bytes: number) => void): Promise<Stored> {
  if (bytesOf(job) < INLINE_BELOW_BYTES) return await inline(job, read);
  const { weight, form } = job;
  const place = await data.append(key, form, storedBytes(weight, form), (target) => writeWeight(weight, form, read, target), written);
  return storedAt(data.name, place);
}

/**
 * Writes `graphs` and `dataFile` into `folder`, which must exist and, unless a journal is kept, hold none of them.
 *
 * @throws checkpoint-tensors when a tensor has another number of values than its shape says, or a value that is not finite; disk-full
 */
export async function writeGraphs(
  folder: string,
  dataFile: string,
  graphs: readonly GraphFile[],
  read: ReadTensor,
  writing: Writing = plainWriting,
): Promise<void> {
  const jobs = jobsOf(graphs, writing.weights);
  const ofBytes = [...jobs.values()].reduce((sum, job) => sum + bytesOf(job), 0);
  const stored = new Map<string, Stored>();
  const data = await openDataFile(folder, dataFile, [...jobs.keys()], writing.journal);
  try {
    if (data.known.size > 0) writing.note(`${data.known.size} of ${jobs.size} weights were there from an import that was stopped.`);
    await checkSpace(folder, ofBytes - data.size);
    let done = 0;
    for (const [key, job] of jobs) {
      const tell = (bytes: number) => writing.progress({ weights: stored.size, ofWeights: jobs.size, bytes: done + bytes, ofBytes });
      const known = data.known.get(key);
      if (known !== undefined) {
        if (known.form !== job.form) writing.note(`${job.weight.name} stays fp32: fp16 cannot hold it.`);
        stored.set(key, storedAt(dataFile, known));
      } else {
        try {
          stored.set(key, await write(job, key, read, data, tell));
        } catch (error) {
          if (!(error instanceof BeyondHalf)) throw error;
          writing.note(`${error.message}, beyond fp16: ${job.weight.name} stays fp32.`);
          stored.set(key, await write({ ...job, form: 'f32' }, key, read, data, tell));
        }
      }
      done += bytesOf(job);
      tell(0);
    }
    await data.sync();
  } finally {
    await data.close();
  }
  for (const { file, graph } of graphs) {
    const storedAs = (weight: Weight): Stored => {
      const found = stored.get(keyOf(weight, formOf(graph, weight, writing.weights)));
      if (found === undefined) throw new Error(`graph ${graph.name}: weight ${weight.name} was not written`);
      return found;
    };
    const { nodes, tensors } = readingNodes(graph, storedAs);
    await writeFile(join(folder, file), graph.encode(nodes, tensors), { flag: writing.journal === null ? 'wx' : 'w' });
  }
}
