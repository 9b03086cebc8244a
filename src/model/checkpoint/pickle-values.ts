/**
 * What a pickle of tensors can hold, and the names that it may say: collections.OrderedDict, torch storages and
 * torch._utils._rebuild_tensor_v2; in a TorchScript archive also classes below __torch__, whose objects are bags of attributes and nothing else.
 * Any other name is refused by its dotted name. Source: torch/_utils.py, torch/serialization.py, torch/csrc/jit/serialization/pickler.cpp.
 */
import { WetreadError } from '#domain/errors.ts';
import type { NumberType } from './number-type.ts';

/** A tensor as the file describes it: a view of a storage, offset and strides in elements. */
export interface TensorView {
  readonly kind: 'tensor';
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

export interface Storage {
  readonly kind: 'storage';
  readonly type: NumberType;
  /** Name of the zip entry below data/. */
  readonly key: string;
  readonly count: number;
}

interface StorageType {
  readonly kind: 'storage-type';
  readonly type: NumberType;
}

type Callable =
  | { readonly kind: 'rebuild-tensor' }
  | { readonly kind: 'ordered-dict' }
  | { readonly kind: 'module-class' }
  | { readonly kind: 'list-builder' };
/** An object of a module's class: its attributes, null until they are set. */
interface Module {
  readonly kind: 'module';
  attributes: ReadonlyMap<Value, Value> | null;
}

type Tuple = { readonly kind: 'tuple'; readonly items: readonly Value[] };
type List = { readonly kind: 'list'; readonly items: Value[] };
type Dict = { readonly kind: 'dict'; readonly entries: Map<Value, Value> };
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tuple
  | List
  | Dict
  | Callable
  | Module
  | StorageType
  | Storage
  | TensorView;

const storageTypes: Readonly<Record<string, NumberType>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

/** What TorchScript wraps typed lists in, such as the sizes of a layer. */
const listBuilders = new Set(['int', 'double', 'bool', 'tensor'].map((type) => `torch.jit._pickle.build_${type}list`));

/** Whether the pickle is a state dictionary, or the object that a TorchScript archive holds. */
export type PickleForm = 'state' | 'module';

/** The named thing, or a refusal by its dotted name. */
export function named(module: string, name: string, where: string, form: PickleForm): Value {
  const dotted = `${module}.${name}`;
  if (form === 'module' && dotted.startsWith('__torch__.')) return { kind: 'module-class' };
  if (form === 'module' && listBuilders.has(dotted)) return { kind: 'list-builder' };
  if (dotted === 'collections.OrderedDict') return { kind: 'ordered-dict' };
  if (dotted === 'torch._utils._rebuild_tensor_v2') return { kind: 'rebuild-tensor' };
  const type = module === 'torch' && Object.hasOwn(storageTypes, name) ? storageTypes[name] : undefined;
  if (type !== undefined) return { kind: 'storage-type', type };
  throw new WetreadError('checkpoint-hostile', `${where}: the pickle names ${dotted}, which is no tensor; nothing of it was run`, {
    hint: 'use a checkpoint in safetensors form, or one that holds only a state dictionary',
  });
}

export function isKind<K extends string>(value: Value | undefined, kind: K): value is Extract<Value, { readonly kind: K }> {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}

/** The items of a tuple of whole numbers, null for anything else. */
export function wholeNumbers(value: Value | undefined): number[] | null {
  if (!isKind(value, 'tuple')) return null;
  const numbers = value.items.filter((item) => typeof item === 'number' && Number.isInteger(item) && item >= 0);
  return numbers.length === value.items.length ? (numbers as number[]) : null; // the filter keeps numbers only
}
