/**
 * torch.save files (`pytorch_model.bin`, `.pt`): a zip with `<name>/data.pkl` and one entry per storage, `<name>/data/<key>`. TorchScript archives
 * (OpenAI's CLIP) have the same form, with modules in data.pkl and their code beside it: the tensors are the modules' attributes.
 *
 * Nothing is executed (pickle.ts). Tensors may be views of shared storages: offset and strides are honoured. Files before PyTorch 1.6 are
 * no zips and are refused with advice. Source: torch/serialization.py, docs/source/notes/serialization.rst.
 */
import { WetreadError } from '#domain/errors.ts';
import { type CheckpointFile, openFile } from './file.ts';
import { bytesOf, toF32 } from './number-type.ts';
import { readPickle } from './pickle.ts';
import { isKind, type Storage, type TensorView, type Value } from './pickle-values.ts';
import type { Range, TensorSource } from './tensors.ts';
import { readZip, type ZipEntry } from './zip.ts';

const maxPickleBytes = 256 * 1024 * 1024;

/** Opens one torch file that holds a state dictionary or modules; names of nested modules are joined with dots. @throws checkpoint-unreadable, checkpoint-hostile */
export async function openTorchPickle(path: string): Promise<TensorSource> {
  const file = await openFile(path);
  try {
    await checkIsZip(file);
    const entries = await readZip(file);
    const root = rootOf(entries, file);
    await checkByteOrder(file, entries.get(`${root}byteorder`));
    const views = await readState(file, entries, root);
    const viewOf = (name: string) => {
      const view = views.get(name);
      if (view === undefined) throw new WetreadError('checkpoint-tensors', `${file.name}: no tensor ${name}`);
      return view;
    };
    return {
      names: [...views.keys()],
      info: (name) => ({ dtype: viewOf(name).storage.type, shape: viewOf(name).shape }),
      readF32: (name, range) => readView(file, entries, root, viewOf(name), range),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function checkIsZip(file: CheckpointFile): Promise<void> {
  const head = await file.read(0, Math.min(4, file.size));
  if (head[0] === 0x50 && head[1] === 0x4b) return;
  const legacy = head[0] === 0x80 ? 'a file of PyTorch before 1.6' : 'no zip file';
  throw new WetreadError('checkpoint-unreadable', `${file.name}: found ${legacy}; expected a zip file as torch.save writes it`, {
    hint: 'load it with a current PyTorch where you trust it, and save it again with torch.save or safetensors',
  });
}

/** The folder inside the zip, with its slash. */
function rootOf(entries: ReadonlyMap<string, ZipEntry>, file: CheckpointFile): string {
  const pickles = [...entries.keys()].filter((name) => name.endsWith('/data.pkl') && name.split('/').length === 2);
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    throw new WetreadError(
      'checkpoint-unreadable',
      `${file.name}: found ${pickles.length} entries data.pkl, expected 1: no torch.save file`,
    );
  }
  return pickle.slice(0, -'data.pkl'.length);
}

async function checkByteOrder(file: CheckpointFile, entry: ZipEntry | undefined): Promise<void> {
  if (entry === undefined) return; // files of PyTorch before 2.1 do not say it: little
  const order = new TextDecoder().decode(await file.read(entry.offset, Math.min(entry.size, 16)));
  if (order !== 'little') throw new WetreadError('checkpoint-unreadable', `${file.name}: found byte order ${order}, expected little`);
}

/** The state dictionary: names to views, each checked against its storage. */
async function readState(file: CheckpointFile, entries: ReadonlyMap<string, ZipEntry>, root: string): Promise<Map<string, TensorView>> {
  const pickle = entries.get(`${root}data.pkl`);
  if (pickle === undefined || pickle.size > maxPickleBytes) {
    throw new WetreadError('checkpoint-unreadable', `${file.name}: data.pkl has ${pickle?.size} bytes, expected at most ${maxPickleBytes}`);
  }
  checkStored(file, pickle);
  const form = entries.has(`${root}constants.pkl`) ? 'module' : 'state';
  const state = readPickle(await file.read(pickle.offset, pickle.size), file.name, form);
  const views = isKind(state, 'module') ? moduleTensors(file, state) : stateTensors(file, state);
  for (const [name, view] of views) checkView(file, name, view, storageEntry(file, entries, root, view.storage));
  return views;
}

function stateTensors(file: CheckpointFile, state: Value): Map<string, TensorView> {
  if (!isKind(state, 'dict')) throw new WetreadError('checkpoint-unreadable', `${file.name}: holds no dictionary of tensors`);
  const views = new Map<string, TensorView>();
  for (const [name, value] of state.entries) {
    if (typeof name !== 'string' || !isKind(value, 'tensor')) {
      throw new WetreadError('checkpoint-unreadable', `${file.name}: the entry ${String(name)} of the state dictionary is no tensor`);
    }
    views.set(name, value);
  }
  return views;
}

/** Tensors of a module and of the modules in it. A module that stands in two places is refused: it could name itself. */
function moduleTensors(file: CheckpointFile, root: Value): Map<string, TensorView> {
  const views = new Map<string, TensorView>();
  const seen = new Set<Value>();
  const waiting: { readonly prefix: string; readonly module: Value }[] = [{ prefix: '', module: root }];
  for (const { prefix, module } of waiting) {
    if (seen.has(module)) throw new WetreadError('checkpoint-hostile', `${file.name}: the module ${prefix} stands in two places`);
    seen.add(module);
    for (const [key, value] of (isKind(module, 'module') ? module.attributes : null) ?? []) {
      const name = `${prefix}${String(key)}`;
      if (isKind(value, 'tensor')) views.set(name, value);
      else if (isKind(value, 'module')) waiting.push({ prefix: `${name}.`, module: value });
    }
  }
  return views;
}

function checkStored(file: CheckpointFile, entry: ZipEntry): void {
  if (!entry.compressed) return;
  throw new WetreadError(
    'checkpoint-unreadable',
    `${file.name}: found the entry ${entry.name} compressed; expected a zip file as torch.save writes it`,
  );
}

function storageEntry(file: CheckpointFile, entries: ReadonlyMap<string, ZipEntry>, root: string, storage: Storage): ZipEntry {
  const entry = entries.get(`${root}data/${storage.key}`);
  if (entry === undefined) throw new WetreadError('checkpoint-unreadable', `${file.name}: the storage ${storage.key} is missing`);
  checkStored(file, entry);
  const expected = storage.count * bytesOf[storage.type];
  if (entry.size !== expected) {
    throw new WetreadError(
      'checkpoint-unreadable',
      `${file.name}: the storage ${storage.key} has ${entry.size} bytes, expected ${expected}`,
    );
  }
  return entry;
}

/** Last element of a view, counted in its storage; -1 when the view is empty. */
function lastElement(view: TensorView): number {
  if (view.shape.includes(0)) return -1;
  return view.shape.reduce((last, size, axis) => last + (size - 1) * (view.stride[axis] ?? 0), view.offset);
}

function checkView(file: CheckpointFile, name: string, view: TensorView, entry: ZipEntry): void {
  const last = lastElement(view);
  if (last >= view.storage.count) {
    throw new WetreadError(
      'checkpoint-unreadable',
      `${file.name}: tensor ${name} of shape [${view.shape.join(', ')}] reaches element ${last} of the storage ${entry.name}, which has ${view.storage.count}`,
    );
  }
  // A stride of 0 repeats elements: a small file could name a tensor of any size. Trained weights are not expanded.
  if (view.shape.reduce((product, size) => product * size, 1) > view.storage.count) {
    throw new WetreadError('checkpoint-hostile', `${file.name}: tensor ${name} has more elements than its storage`);
  }
}

/** Values of a view, row-major; only its own range of the storage is read. Of a strided view all, whatever the range. */
async function readView(
  file: CheckpointFile,
  entries: ReadonlyMap<string, ZipEntry>,
  root: string,
  view: TensorView,
  range?: Range,
): Promise<Float32Array> {
  const entry = storageEntry(file, entries, root, view.storage);
  const size = bytesOf[view.storage.type];
  const count = lastElement(view) + 1 - view.offset;
  if (count <= 0) return new Float32Array(0);
  if (range !== undefined && isContiguous(view)) {
    return toF32(view.storage.type, await file.read(entry.offset + (view.offset + range.from) * size, (range.to - range.from) * size));
  }
  const values = toF32(view.storage.type, await file.read(entry.offset + view.offset * size, count * size));
  return isContiguous(view) ? values : gather(values, view);
}

function isContiguous(view: TensorView): boolean {
  let expected = 1;
  for (let axis = view.shape.length - 1; axis >= 0; axis--) {
    if (view.shape[axis] !== 1 && view.stride[axis] !== expected) return false;
    expected *= view.shape[axis] ?? 1;
  }
  return true;
}

/** Row-major copy of a strided view whose first element is values[0]. */
function gather(values: Float32Array, view: TensorView): Float32Array {
  const { shape, stride } = view;
  const out = new Float32Array(shape.reduce((product, size) => product * size, 1));
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        from += stride[axis] ?? 0;
        break;
      }
      index[axis] = 0;
      from -= (next - 1) * (stride[axis] ?? 0);
    }
  }
  return out;
}
