/** Torch files for tests: pickle opcodes by hand and a stored zip, so that hostile and damaged ones can be made. */
import { crc32 } from 'node:zlib';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';

const text = new TextEncoder();

function u32(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255];
}

function u16(value: number): number[] {
  return [value & 255, (value >>> 8) & 255];
}

/** Pieces of a pickle; a whole one is `[...pickle.start, ..., ...pickle.stop]`. */
export const pickle = {
  start: [0x80, 2],
  stop: [0x2e],
  string: (value: string) => [0x58, ...u32(text.encode(value).length), ...text.encode(value)],
  int: (value: number) => [0x4a, ...u32(value)],
  global: (module: string, name: string) => [0x63, ...text.encode(`${module}\n${name}\n`)],
  tuple: (...items: number[][]) => [0x28, ...items.flat(), 0x74],
  reduce: (callable: number[], args: number[]) => [...callable, ...args, 0x52],
  orderedDict: () => [0x63, ...text.encode('collections\nOrderedDict\n'), 0x29, 0x52],
  items: (dict: number[], ...pairs: [number[], number[]][]) => [...dict, 0x28, ...pairs.flat(2), 0x75],
  /** An object of a module's class with attributes, as TorchScript's pickler writes it. */
  module: (...attributes: [string, number[]][]) => {
    const named = pickle.global('__torch__.torch.nn.modules.module.___torch_mangle_3', 'Module');
    return [
      ...named,
      0x29,
      0x81,
      ...pickle.items([0x7d], ...attributes.map(([name, value]): [number[], number[]] => [pickle.string(name), value])),
      0x62,
    ];
  },
  storage: (type: string, key: string, count: number) => [
    ...pickle.tuple(pickle.string('storage'), pickle.global('torch', type), pickle.string(key), pickle.string('cpu'), pickle.int(count)),
    0x51,
  ],
  tensor: (storage: number[], offset: number, shape: readonly number[], stride: readonly number[]) =>
    pickle.reduce(
      pickle.global('torch._utils', '_rebuild_tensor_v2'),
      pickle.tuple(
        storage,
        pickle.int(offset),
        pickle.tuple(...shape.map(pickle.int)),
        pickle.tuple(...stride.map(pickle.int)),
        [0x89],
        pickle.orderedDict(),
      ),
    ),
};

export interface Entry {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** 0 = stored. */
  readonly method?: number;
}

function u64(value: number): number[] {
  return [...u32(value), ...u32(0)];
}

/**
 * A zip of stored entries, each local header with an extra field of its own length. `long` writes sizes and offsets in ZIP64 fields only,
 * as files beyond 4 GB have them.
 */
export function zip(entries: readonly Entry[], long = false): Buffer {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const [index, { name, bytes, method = 0 }] of entries.entries()) {
    const nameBytes = text.encode(name);
    const fields = [
      ...u16(20),
      ...u16(0),
      ...u16(method),
      ...u16(0),
      ...u16(0),
      ...u32(crc32(bytes)),
      ...u32(bytes.length),
      ...u32(bytes.length),
    ];
    const extra = new Uint8Array(4 + index);
    extra.set([...u16(0x4246), ...u16(index)]);
    const local = Uint8Array.from([...u32(0x04034b50), ...fields, ...u16(nameBytes.length), ...u16(extra.length)]);
    const longExtra = long ? [...u16(1), ...u16(24), ...u64(bytes.length), ...u64(bytes.length), ...u64(offset)] : [];
    const sizes = long ? [...u32(0xffffffff), ...u32(0xffffffff)] : [...u32(bytes.length), ...u32(bytes.length)];
    const central = [
      ...[...u32(0x02014b50), ...u16(20), ...fields.slice(0, 14), ...sizes],
      ...[
        ...u16(nameBytes.length),
        ...u16(longExtra.length),
        ...u16(0),
        ...u16(0),
        ...u16(0),
        ...u32(0),
        ...u32(long ? 0xffffffff : offset),
      ],
    ];
    parts.push(local, nameBytes, extra, bytes);
    directory.push(Uint8Array.from(central), nameBytes, Uint8Array.from(longExtra));
    offset += local.length + nameBytes.length + extra.length + bytes.length;
  }
  const central = Buffer.concat(directory);
  const counts = [...u16(entries.length), ...u16(entries.length)];
  const longEnd = [
    ...[...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0), ...u64(entries.length), ...u64(entries.length)],
    ...[...u64(central.length), ...u64(offset)],
    ...[...u32(0x07064b50), ...u32(0), ...u64(offset + central.length), ...u32(1)],
  ];
  const place = long ? [...u32(0xffffffff), ...u32(0xffffffff)] : [...u32(central.length), ...u32(offset)];
  const end = [...(long ? longEnd : []), ...u32(0x06054b50), ...u16(0), ...u16(0), ...counts, ...place, ...u16(0)];
  return Buffer.concat([...parts, central, Uint8Array.from(end)]);
}

/** A torch file with one pickle and the given storages. */
export function torchFile(data: readonly number[], storages: Readonly<Record<string, Float32Array>> = {}, long = false): Buffer {
  const entries = [
    { name: 'archive/data.pkl', bytes: Uint8Array.from(data) },
    { name: 'archive/byteorder', bytes: text.encode('little') },
    ...Object.entries(storages).map(([key, values]) => ({ name: `archive/data/${key}`, bytes: new Uint8Array(values.buffer.slice(0)) })),
  ];
  return zip(entries, long);
}

/** The pickle of a whole tensor whose values lie in the storage `key`. */
function whole({ shape, values }: NamedTensor, key: number): number[] {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  return pickle.tensor(pickle.storage('FloatStorage', `${key}`, values.length), 0, shape, strides);
}

function storedFile(object: readonly number[], tensors: readonly NamedTensor[], others: readonly Entry[]): Buffer {
  return zip([
    { name: 'archive/data.pkl', bytes: Uint8Array.from([...pickle.start, ...object, ...pickle.stop]) },
    ...tensors.map(({ values }, key) => ({ name: `archive/data/${key}`, bytes: new Uint8Array(values.buffer) })),
    ...others,
  ]);
}

/** A flat state dict as torch.save writes it. */
export function stateFile(tensors: readonly NamedTensor[]): Buffer {
  const entries = tensors.map((tensor, key): [number[], number[]] => [pickle.string(tensor.name), whole(tensor, key)]);
  return storedFile(pickle.items(pickle.orderedDict(), ...entries), tensors, []);
}

/** A TorchScript archive: modules nested by the dots of the names, code beside them that is compressed. */
export function moduleFile(tensors: readonly NamedTensor[]): Buffer {
  const named = tensors.map((tensor, key) => ({ path: tensor.name.split('.'), bytes: whole(tensor, key) }));
  const moduleOf = (inside: typeof named): number[] => {
    const keys = [...new Set(inside.map(({ path }) => path[0] ?? ''))];
    const attributes = keys.map((key): [string, number[]] => {
      const below = inside.filter(({ path }) => path[0] === key);
      const own = below.find(({ path }) => path.length === 1);
      return [key, own?.bytes ?? moduleOf(below.map(({ path, bytes }) => ({ path: path.slice(1), bytes })))];
    });
    return pickle.module(...attributes, ['training', [0x88]]);
  };
  return storedFile(moduleOf(named), tensors, [
    { name: 'archive/constants.pkl', bytes: Uint8Array.of(0x80, 2, 0x29, 0x2e) },
    { name: 'archive/code/__torch__/Archive.py', bytes: Uint8Array.of(1, 2, 3), method: 8 },
  ]);
}
